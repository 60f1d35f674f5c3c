"""Which encoding a text file has, found without ever guessing silently.

A reading of the bytes must decode strictly and then look like writing: Chinese is told by its most frequent characters
(a wrong reading gives rare ones), Western text by single accented letters among plain ones. When two readings look
about as good, or none looks good, that is an error which names them.

>>> detect("灵渠是一条运河，连接两条江。".encode("gb18030")), detect("靈渠是一條運河，連接兩條江。".encode("big5"))
('gb18030', 'big5')
>>> detect("Une clé, déjà vue".encode("cp1252")), detect("naïve".encode()), detect(b"plain")
('cp1252', 'utf-8', 'utf-8')
"""

from __future__ import annotations

import codecs
import io
import re
import unicodedata
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise

from lingqu.errors import DataError, Problem

BROKEN = "lingqu-broken"
"""The error handler under which a byte that does not fit becomes a lone surrogate, in UTF-16 too."""

SAMPLE_CAP = 1 << 18
"""How many bytes are judged, from the first chunk on that is not plain ASCII."""

_CHUNK = 1 << 16
_CANDIDATES = ("gb18030", "big5", "utf-16-le", "utf-16-be", "cp1252")
_OTHERS = ("shift_jis", "euc-jp", "euc-kr", "cp1251")
"""Read only to warn: bytes that look like one of these are never taken for one of ours."""

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)

_NO_TEXT = {
    b"PK\x03\x04": ("a zip archive, as workbooks of Excel are", "Name it .xlsx if it is one; else unpack it."),
    b"\xd0\xcf\x11\xe0": ("an old workbook of Excel", "Save it as .xlsx or .csv."),
    b"\x1f\x8b": ("a gzip archive", "Unpack it."),
    b"PAR1\x15": ("a Parquet file", "Name it .parquet."),
    b"%PDF": ("a PDF document", "Save its table as .csv."),
    b"\x89PNG": ("a picture", "A table names its pictures; else name a folder of pictures."),
    b"\xff\xd8\xff": ("a picture", "A table names its pictures; else name a folder of pictures."),
}
"""How files begin that are no text, whatever their name says: what they are, and what to do."""

# The most frequent characters of modern Chinese, simplified and traditional: about half of any running text.
_FREQUENT = frozenset(
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进"
    "好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己"
    "制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感"
    "建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉"
    "格望觉术领共确传师观清今切院让识候带导争运买贵店服务房间酒店质量价格便宜喜欢推荐"
    "這個們來時為說國會對過後還沒從與經學發點實現業種開關問間樣長電話東車門馬風飛書見覺頭體機動務報場應當讓認識論議員總統質處產區數學義氣無業黨條邊進運選將戰軍資計號"
    "請給買賣價錢店點麼嗎妳啊吧呢啦哦喔很好吃喝快慢新舊高低左右男女老少爸媽哥姊弟妹早晚安謝對錯真假笑哭愛恨"
)
_KOREAN = frozenset(
    "이다는가을의에하고를지은도로한기사리어자나서시아인대해들라니스정일보수그만주게부으상제전안장여까요습했었있것과와좋잘못"
)
_CHINESE_MARKS = frozenset("，。！？、；：“”‘’（）《》【】「」『』…—·％～　＂＂")
_WESTERN = frozenset("éèêëàâäáãåçñöóòôõøüúùûíìîïßæœÉÈÀÂÄÖÜÅØÇÑÁÍÓÚ")
_WESTERN_MARKS = frozenset("‘’“”–—…€£°«»·•\u00a0©®™§²³½¼¾±µ×¡¿")


_RUN = re.compile(r"[^\x00-\x7f]+")
_GLUED = re.compile(r"[a-z](?=[\u2e80-\uffff])|[\u2e80-\uffff](?=[a-z])")
_CUT_OFF = re.compile("[\ud800-\udfff]{0,4}$")
_NOT_A_LETTER, _REFUSED = -4.0, -9.0


@dataclass(frozen=True, slots=True, order=True)
class _Reading:
    """How much like writing the bytes look in an encoding: about -4 to 1 a character, over so many characters."""

    score: float
    encoding: str
    characters: int = 0


def _keep_broken(error: UnicodeError) -> tuple[str, int]:
    # Python's "surrogateescape" does the same, but refuses bytes below 128, which half of UTF-16 consists of.
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(BROKEN, _keep_broken)


def detect(source: bytes | io.BufferedReader, name: str = "the file") -> str:
    """The encoding of bytes, as Python calls it; DataError when it is in doubt.

    >>> detect("中".encode("utf-16"))
    'utf-16'
    >>> detect("很好吃".encode("gb18030"), "labels.csv")
    'gb18030'
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    head = file.read(8)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            if encoding == "utf-32":
                raise _doubt(name, "UTF-32")
            return encoding
    for sign, (what, advice) in _NO_TEXT.items():
        if head.startswith(sign):
            raise DataError(Problem(f"text in {name}", what, advice))
    file.seek(0)
    sample = _sample(file)
    if sample.isascii() and b"\0" not in sample:
        return "utf-8"
    wide = [_read_as(sample, encoding) for encoding in _CANDIDATES if encoding.startswith("utf-16")]
    if sample.isascii():
        # Plain text in UTF-16, or plain text with some NUL bytes, which cost their rows.
        if max(wide).score > 0.25:
            return max(wide).encoding
        if sample.count(0) > len(sample) / 10:
            raise _doubt(name, "many NUL bytes")
        return "utf-8"
    utf8 = _read_as(sample, "utf-8")
    readings = sorted((_read_as(sample, encoding) for encoding in (*_CANDIDATES, *_OTHERS)), reverse=True)
    if utf8.score > _REFUSED:
        # UTF-8 read as cp1252 can look like writing ("Â…"); cp1252 that happens to be UTF-8 does not exist in practice.
        readings = [reading for reading in readings if reading.encoding != "cp1252"]
    return _decide(utf8, readings, name)


def _sample(file: io.BytesIO | io.BufferedReader) -> bytes:
    """The bytes to judge: from the first chunk on that is not plain ASCII. Chunks are even, for the sake of UTF-16."""
    parts: list[bytes] = []
    while len(parts) * _CHUNK < SAMPLE_CAP and (chunk := file.read(_CHUNK)):
        if parts or not chunk.isascii() or b"\0" in chunk:
            parts.append(chunk)
    return b"".join(parts)


def _read_as(sample: bytes, encoding: str) -> _Reading:
    if encoding.startswith("utf-16"):
        # Delimiters and line ends have a zero byte in UTF-16; without one it is something else.
        text = _decode(sample, encoding) if b"\0" in sample else None
        return _Reading(_REFUSED, encoding) if text is None else _judge(text, encoding)
    # A few NUL bytes are damage to some rows; many are a sign of UTF-16.
    text = _decode(sample.replace(b"\0", b""), encoding)
    if text is None:
        return _Reading(_REFUSED, encoding)
    reading = _judge_letters(text, encoding) if encoding.startswith("cp") else _judge(text, encoding)
    return _Reading(reading.score - 2 * (sample.count(0) > len(sample) / 100), encoding, reading.characters)


def _decode(sample: bytes, encoding: str) -> str | None:
    """The text, with lone surrogates for bytes that do not fit; None when more than one character in fifty is such."""
    text = sample.decode(encoding, BROKEN)
    # The sample may be cut off within a character.
    if len(sample) >= SAMPLE_CAP:
        text = _CUT_OFF.sub("", text)
    broken = sum("\ud800" <= character <= "\udfff" for character in text)
    strange = sum(map(len, _RUN.findall(text)))
    return text if text and broken * 50 <= strange else None


def _judge(text: str, encoding: str) -> _Reading:
    wide = encoding.startswith("utf-16")
    points = 0.0
    total = 0
    for character, count in Counter(text).items():
        if character > "\x7f" or character < "\t" or wide:
            points += _points(character, encoding) * count
            total += count
    if encoding in ("gb18030", "big5"):
        # Accents sit between plain letters; Chinese characters do not.
        points -= 0.8 * len(_GLUED.findall(text))
    return _Reading(points / total if total else 0.0, encoding, total)


def _points(character: str, encoding: str) -> float:
    unicode = encoding.startswith("utf")
    if encoding in _OTHERS and "\u4e00" <= character <= "\u9fff":
        return 0.2 if character in _FREQUENT else -0.2
    if character in _FREQUENT or character in _CHINESE_MARKS:
        return 1.0
    if " " <= character <= "~" or character in "\t\r\n":
        return 0.5
    if "\u4e00" <= character <= "\u9fff":
        return 0.15 if _is_common(character) else -0.7
    if "\u3040" <= character <= "\u30ff":
        # Kana are frequent in Japanese; they are also what Big5 looks like when it is read as GB18030.
        return 0.8 if unicode or encoding in ("shift_jis", "euc-jp") else -0.7
    if "\uac00" <= character <= "\ud7a3":
        # Half of GB 2312 is a Korean syllable in EUC-KR, but seldom one that Koreans use often.
        korean = 1.0 if character in _KOREAN else -0.2
        return korean if encoding == "euc-kr" else 0.7 if encoding == "utf-8" else max(korean, 0) if unicode else -0.7
    if "\uff01" <= character <= "\uff5e":
        return 0.5
    if encoding.startswith("utf-16") and "\u0370" <= character <= "\u0e7f":
        return 0.4  # Greek to Thai; what is no UTF-16 looks like anything but these
    if unicode and "\x80" <= character <= "\x9f":
        return -0.5  # damage from before, which UTF-8 has kept as it was
    if unicodedata.category(character) in ("Cn", "Co", "Cc", "Cs"):
        return _NOT_A_LETTER
    if character in _WESTERN or character in _WESTERN_MARKS:
        return 0.9 if unicode else -0.7
    return 0.3 if encoding == "utf-8" else -0.3 if unicode else -0.7


def _is_common(character: str) -> bool:
    """Whether the character is one of the 3,755 of GB 2312 or the 5,401 of Big5 that stand in their first level."""
    try:
        if b"\xb0\xa1" <= character.encode("gb2312") <= b"\xd7\xf9":
            return True
    except UnicodeEncodeError:
        pass
    try:
        return character.encode("big5") <= b"\xc6\x7e"
    except UnicodeEncodeError:
        return False


def _judge_letters(text: str, encoding: str) -> _Reading:
    """Western text has one or two accents among plain letters; Cyrillic comes in whole words, capitals first."""
    points = 0.0
    total = 0
    judge = _cyrillic if encoding == "cp1251" else _western
    for run in _RUN.finditer(text):
        points += judge(run[0], text[run.start() - 1 : run.start()], text[run.end() : run.end() + 1])
        total += len(run[0])
    return _Reading(points / total if total else 0.0, encoding, total)


def _western(run: str, before: str, after: str) -> float:
    beside = before.isalpha() or after.isalpha()
    alone = not before.strip() and after == " "
    if len(run) > 2:
        return -1.0 * len(run)
    return sum(
        0.6 if character in _WESTERN_MARKS else 1.0 if character in _WESTERN and (beside or alone) else -1.0
        for character in run
    )


def _cyrillic(run: str, before: str, after: str) -> float:
    if len(run) == 1 or before.isalpha() or after.isalpha():
        return -0.5 * len(run)
    points = 0.0
    for previous, character in pairwise(" " + run):
        letter = "а" <= character.lower() <= "я" or character in "ёЁ"
        points += -1.5 if character.isupper() and previous.islower() else 0.8 if letter else -0.5
    return points


def _decide(utf8: _Reading, others: list[_Reading], name: str) -> str:
    """The reading that clearly wins; DataError otherwise."""
    rival = next(other for other in others if other.encoding in _CANDIDATES)
    if utf8.score > _REFUSED:
        # A dozen characters that happen to be UTF-8 do not exist in practice; a few do, and must look better.
        clear = utf8.score > rival.score + (0.3 if utf8.characters < 4 else 0)
        if clear or rival.score < 0.1 or utf8.characters >= 12:
            return "utf-8"
    best, second = others[0], utf8 if utf8.score > others[1].score else others[1]
    if best.score < 0.25:
        raise _doubt(name, "bytes that look like none of them")
    # The fewer characters there are to judge by, the clearer they must speak.
    if best.score - second.score < 0.2 + 1 / max(best.characters, 1):
        raise _doubt(name, f"bytes that may be {best.encoding} or {second.encoding}")
    if best.encoding not in _CANDIDATES:
        raise _doubt(name, f"bytes that look like {best.encoding}")
    return best.encoding


def _doubt(name: str, found: str) -> DataError:
    return DataError(
        Problem(
            f"text in UTF-8, UTF-16, GB18030, Big5 or Latin-1 in {name}",
            found,
            "Save it as UTF-8, or name its encoding: data: {encoding: gb18030}.",
        )
    )
