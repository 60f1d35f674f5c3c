"""HARDENING D5: files in every encoding are read right or refused by a typed error, and never as mojibake."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from lingqu.data.encodings import detect
from lingqu.data.readers import read
from lingqu.errors import DataError

SIMPLIFIED = [
    ("房间很干净，服务也不错", "好"),
    ("早餐一般般，隔音很差", "坏"),
    ("位置方便，价格便宜，下次还会来", "好"),
]
TRADITIONAL = [("房間很乾淨，服務也不錯", "好"), ("早餐普通，隔音很差", "壞"), ("位置方便，價錢便宜，下次還會來", "好")]
FRENCH = [
    ("Une très bonne soirée à l'hôtel", "été"),
    ("Déçu par le dîner, où tout était salé", "été"),
    ("Ça alors", "fin"),
]
GERMAN = [("Schöne Grüße aus München", "gut"), ("Die Straße ist zu laut", "schlecht"), ("Äpfel für 3 €", "gut")]
ENGLISH = [("a plain text", "good"), ("another one", "bad"), ("naïve café – “quoted”", "good")]
PLAIN = [("a plain text", "good"), ("another one", "bad"), ("the third", "good")]
RUSSIAN = [("Очень хороший отель", "да"), ("Плохой завтрак и шум", "нет"), ("Мы приедем ещё раз", "да")]
JAPANESE = [("部屋がとてもきれいでした", "良い"), ("朝食はふつうです", "悪い"), ("また行きたいと思います", "良い")]
KOREAN = [
    ("방이 정말 깨끗하고 좋았습니다", "좋음"),
    ("아침 식사는 보통이었어요", "나쁨"),
    ("다음에도 다시 오고 싶습니다", "좋음"),
]

FIXTURES = [
    *[(SIMPLIFIED, encoding) for encoding in ("utf-8", "utf-8-sig", "gb18030", "gbk", "gb2312")],
    *[(SIMPLIFIED, encoding) for encoding in ("utf-16", "utf-16-le", "utf-16-be")],
    *[(TRADITIONAL, encoding) for encoding in ("utf-8", "utf-8-sig", "big5", "gb18030", "cp950")],
    *[(TRADITIONAL, encoding) for encoding in ("utf-16", "utf-16-le", "utf-16-be")],
    *[(FRENCH, encoding) for encoding in ("utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16", "utf-16-le")],
    *[(GERMAN, encoding) for encoding in ("utf-8", "cp1252", "utf-16-be")],
    *[(ENGLISH, encoding) for encoding in ("utf-8", "cp1252", "utf-16")],
    *[(PLAIN, encoding) for encoding in ("ascii", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be")],
    *[(RUSSIAN, encoding) for encoding in ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "cp1251", "koi8-r")],
    *[(JAPANESE, encoding) for encoding in ("utf-8", "utf-16-le", "shift_jis", "euc-jp")],
    *[(KOREAN, encoding) for encoding in ("utf-8", "utf-16", "euc-kr")],
]
REFUSED = {"cp1251", "koi8-r", "shift_jis", "euc-jp", "euc-kr"}


def table(rows: list[tuple[str, str]], newline: str) -> str:
    return newline.join(["text,label", *(f'"{text}",{label}' for text, label in rows)]) + newline


@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["lf", "crlf"])
@pytest.mark.parametrize(("rows", "encoding"), FIXTURES)
def test_a_file_is_read_right_or_refused(
    rows: list[tuple[str, str]], encoding: str, newline: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(table(rows, newline).encode(encoding))
    if encoding in REFUSED:
        with pytest.raises(
            DataError, match=r"^Expected text in UTF-8, UTF-16, GB18030, Big5 or Latin-1 in rows\.csv, "
        ):
            read(path)
        return
    found = read(path)
    assert list(zip(found.rows["text"], found.rows["label"], strict=True)) == rows
    assert found.quarantined == []


def test_every_real_line_of_the_frequent_characters_is_told_apart() -> None:
    for text in (text for text, _ in SIMPLIFIED):
        assert detect(text.encode("gb18030")) == "gb18030"
    for text in (text for text, _ in TRADITIONAL):
        assert detect(text.encode("big5")) == "big5"


@pytest.mark.parametrize("encoding", ["gb18030", "big5", "cp1252", "utf-8"])
def test_a_cut_anywhere_is_never_read_as_something_else(encoding: str) -> None:
    rows = {"gb18030": SIMPLIFIED, "big5": TRADITIONAL, "cp1252": FRENCH, "utf-8": SIMPLIFIED}[encoding]
    data = table(rows, "\n").encode(encoding)
    for end in range(1, len(data)):
        part = data[:end]
        try:
            found = detect(part)
        except DataError:
            continue
        assert found in (encoding, "utf-8" if part.isascii() else encoding), part


def test_two_readings_that_are_as_good_are_named_in_the_error() -> None:
    # 没 in GBK is û in UTF-8.
    with pytest.raises(DataError) as error:
        detect("没".encode("gbk"), "one.csv")
    assert str(error.value) == (
        "Expected text in UTF-8, UTF-16, GB18030, Big5 or Latin-1 in one.csv, found bytes that may be gb18030 or utf-8. "
        "Save it as UTF-8, or name its encoding: data: {encoding: gb18030}."
    )


def test_bytes_that_look_like_nothing_are_refused() -> None:
    with pytest.raises(DataError, match="found bytes that look like none of them"):
        detect(bytes(range(0x80, 0x100)) * 3)


@pytest.mark.parametrize(
    ("begins", "found"),
    [
        (b"PK\x03\x04", "a zip archive, as workbooks of Excel are. Name it .xlsx if it is one; else unpack it."),
        (b"\xd0\xcf\x11\xe0", "an old workbook of Excel. Save it as .xlsx or .csv."),
        (b"PAR1\x15", "a Parquet file. Name it .parquet."),
        (b"%PDF-1.7", "a PDF document. Save its table as .csv."),
    ],
)
def test_another_kind_of_file_is_named(begins: bytes, found: str) -> None:
    with pytest.raises(DataError) as error:
        detect(begins + bytes(range(256)) * 9, "rows.csv")
    assert str(error.value) == f"Expected text in rows.csv, found {found}"
    assert detect(b"PAR1,PAR2\n1,2\n") == "utf-8"


def test_many_nul_bytes_are_no_text() -> None:
    with pytest.raises(DataError, match="found many NUL bytes"):
        detect(b"a\0\0\0b\x01" * 50)


def test_utf_32_is_named() -> None:
    with pytest.raises(DataError, match=r"in the file, found UTF-32\. Save it as UTF-8"):
        detect("abc".encode("utf-32"))


def test_the_first_chunk_may_be_plain() -> None:
    data = b"plain text\n" * 20_000 + "房间很干净，服务也不错\n".encode("gb18030") * 3
    assert detect(io.BufferedReader(io.BytesIO(data))) == "gb18030"  # type: ignore[arg-type]


def test_damage_from_before_does_not_hide_utf_8(tmp_path: Path) -> None:
    # As in the IMDB reviews: cp1252 dashes that somebody read as Latin-1 and saved as UTF-8.
    path = tmp_path / "rows.csv"
    path.write_bytes(b"text,label\n" + "a film \x96 a good one\x85,1\n".encode() * 50)
    assert detect(path.read_bytes()) == "utf-8"
    assert read(path).rows["text"][0] == "a film \x96 a good one\x85"


def test_a_broken_byte_costs_its_row_and_not_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    lines = [f"房间很干净 {i},1".encode() for i in range(300)]
    lines[7] = b"\xff\xfe broken,1"
    path.write_bytes(b"text,label\n" + b"\n".join(lines))
    found = read(path)
    assert [str(one) for one in found.quarantined] == ["rows.csv row 8: holds bytes that are not utf-8"]
    assert len(found.rows) == 299


def test_nul_bytes_cost_their_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b"text,label\ngood,1\nb\0d,0\nfine,1\n")
    found = read(path)
    assert found.rows["text"] == ["good", "fine"]
    assert [str(one) for one in found.quarantined] == ["rows.csv row 2: holds a NUL byte"]


def test_newlines_of_every_kind_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(b'text,label\r\none,1\ntwo,2\rthree,3\r\n"four\r\nlines",4\n\nfive,5')
    assert read(path).rows["text"] == ["one", "two", "three", "four\r\nlines", "five"]


def test_a_named_encoding_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("text,label\n没,1\n".encode("gbk"))
    assert read(path, encoding="gb18030").rows["text"] == ["没"]
