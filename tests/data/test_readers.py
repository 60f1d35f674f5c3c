"""Every format is read in order; what is broken is set aside with its reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lingqu.contract import Rows
from lingqu.data.ingest import preview
from lingqu.data.pictures import encode_png, open_picture
from lingqu.data.readers import fingerprint, read, stream
from lingqu.errors import DataError
from lingqu.spec.settings import DataSettings
from lingqu.tasks import find_task


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def told(path: Path) -> list[str]:
    return [str(one) for one in read(path).quarantined]


def test_delimiters_are_found(tmp_path: Path) -> None:
    for number, mark in enumerate([",", ";", "\t", "|"]):
        path = write(tmp_path / f"{number}.csv", f'a{mark}b\n1.5{mark}"x{mark}y"\n2,5{mark}z\n'.replace("2,5", "25"))
        assert read(path).rows == Rows({"a": ["1.5", "25"], "b": [f"x{mark}y", "z"]})


def test_decimal_commas_do_not_hide_a_semicolon(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "a;b;c\n1,5;2,5;x\n3,5;4,5;y\n")
    assert read(path).rows["b"] == ["2,5", "4,5"]


def test_ragged_rows_and_open_quotes_cost_only_themselves(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv",
        'text,label\ngood,1\nlonely\none,two,three\n"never closed,1\nfine,1\n"shut"then,0\n"two\nlines",1\nlast,0\n',
    )
    found = read(path)
    assert found.rows["text"] == ["good", "fine", "two\nlines", "last"]
    assert [str(one) for one in found.quarantined] == [
        "a.csv row 2: 1 cell where the header names 2",
        "a.csv row 3: 3 cells where the header names 2",
        "a.csv row 4: text after a closing quote",
        "a.csv row 6: text after a closing quote",
    ]
    assert found.numbers == [1, 5, 7, 8]
    assert found.quarantined[2].raw == '"never closed,1'


def test_an_open_quote_at_the_end_costs_one_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'text,label\n"open,1\n' + "fine,1\n" * 50)
    found = read(path)
    assert len(found.rows) == 50
    assert told(path) == ["a.csv row 1: quotes that do not close"]


def test_backslash_quotes_are_found(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", 'text,label\n"he said \\"well, yes\\" twice",1\nplain,0\n')
    assert read(path).rows["text"] == ['he said "well, yes" twice', "plain"]


def test_huge_cells_are_capped(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", f"text,label\n{'x' * (1 << 20)},1\n{'y' * ((1 << 20) + 1)},1\nfine,0\n")
    found = read(path)
    assert [len(text) for text in found.rows["text"]] == [1 << 20, 4]
    assert told(path) == ["a.csv row 2: a cell longer than 1 MiB"]


def test_a_line_without_end_is_one_broken_row(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", '{"text": "a"}\n' + '{"text": "' + "x" * (20 << 20) + '"}\n{"text": "b"}\n')
    found = read(path)
    assert found.rows["text"] == ["a", "b"]
    assert told(path) == ["a.jsonl row 2: longer than 8 MiB"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expected a header line and rows in a.csv, found nothing. Check that it is the right file."),
        ("a,b,a\n1,2,3\n", "Expected column names that differ in a.csv, found 'a' twice. Rename one of them."),
        (
            "5.1,3.5\n4.9,3.0\n",
            "Expected column names in the first line of a.csv, found only numbers in its first line (5.1, 3.5). Add a header line.",
        ),
    ],
)
def test_headers_that_cannot_be(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read(write(tmp_path / "a.csv", text))
    assert str(error.value) == message


def test_json_lines(tmp_path: Path) -> None:
    lines = [
        '{"text": "a", "n": 1, "deep": {"b": [1, 2]}}',
        "not json",
        "[1, 2]",
        '{"text": "half \\ud800"}',
        "[" * 100_000,
        '{"n": ' + "9" * 5000 + "}",
        '{"text": "b", "new": true}',
    ]
    found = read(write(tmp_path / "a.jsonl", "\n".join(lines) + "\n"))
    assert found.rows == Rows(
        {"text": ["a", "b"], "n": [1, None], "deep": ['{"b": [1, 2]}', None], "new": [None, True]}
    )
    reasons = [one.reason for one in found.quarantined]
    assert reasons[0] == "not JSON: Expecting value: line 1 column 1 (char 0)"
    assert reasons[1:3] == ["expected a JSON object, found list", "half a character in 'text'"]
    assert all(reason.startswith("not JSON: ") for reason in reasons[3:])


def test_a_json_list(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", json.dumps([{"a": 1}, {"a": 2}, 3]))
    assert read(path).rows["a"] == [1, 2]
    assert told(path) == ["a.json row 3: expected a JSON object, found int"]
    with pytest.raises(
        DataError, match=r"Expected a JSON list in b\.json, found Expecting .* Write one JSON object a line"
    ):
        read(write(tmp_path / "b.json", "[1, 2"))


def test_parquet_values_come_as_plain_ones(tmp_path: Path) -> None:
    table = pa.table(
        {
            "n": pa.array([1, None], pa.int8()),
            "x": pa.array([1.5, float("nan")]),
            "when": pa.array([0, 86_400_000_000], pa.timestamp("us")),
            "image": pa.array([{"bytes": b"abc", "path": "a.png"}, None]),
            "words": pa.array([["a", "b"], None]),
            "kind": pa.array(["a", "b"]).dictionary_encode(),
            "yes": pa.array([True, False]),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    rows = read(tmp_path / "a.parquet").rows
    assert rows.row(0) == {
        "n": 1,
        "x": 1.5,
        "when": "1970-01-01T00:00:00",
        "image": b"abc",
        "words": '["a", "b"]',
        "kind": "a",
        "yes": True,
    }
    assert rows["x"][1] is None


def test_a_damaged_parquet_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": list(range(1000))}), path)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DataError, match=r"^Expected a whole Parquet file a\.parquet, found .*\. Write it again\.$"):
        read(path)


def test_folders_of_images(tmp_path: Path) -> None:
    picture = encode_png(np.zeros((4, 4), np.uint8))
    for name in ("train/cat/1.png", "train/dog/2.png", "test/cat/3.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(picture)
    (tmp_path / "train/cat/notes.txt").write_text("x")
    (tmp_path / "train/cat/.hidden").write_text("x")
    found = read(tmp_path)
    assert found.rows["label"] == ["cat", "cat", "dog"]
    assert found.splits == ["test", "train", "train"]
    assert found.quarantined == []
    (tmp_path / "train/cat/moving.gif").write_bytes(b"GIF89a")
    assert [one.reason for one in read(tmp_path).quarantined] == [
        "a file named .gif, which is no .bmp, .jpeg, .jpg, .png, .webp"
    ]
    assert set(read(tmp_path / "train").splits) == {""}


def test_files_among_pictures_are_a_finding_and_no_broken_rows(tmp_path: Path) -> None:
    for number in range(40):
        for label in ("cat", "dog"):
            file = tmp_path / "photos" / label / f"{number}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(number).integers(0, 255, (8, 8), np.uint8)
            file.write_bytes(encode_png(pixels if label == "cat" else pixels.T))
    for stray in ("Thumbs.db", "cat/.DS_Store", "cat/notes.txt", "dog/list.csv", "dog/LICENSE", "read.me", ".git/x"):
        (tmp_path / "photos" / stray).parent.mkdir(exist_ok=True)
        (tmp_path / "photos" / stray).write_bytes(b"\0x")
    found = preview(DataSettings(source=str(tmp_path / "photos")), find_task("image-classification"))
    assert (found.rows, found.quarantined) == (80, 0)
    assert [str(one) for one in found.findings if one.code == "stray-files"] == [
        "In the folder photos 4 files that are no pictures were left out: 'LICENSE', 'list.csv', 'notes.txt' …"
    ]


def test_a_folder_without_classes_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read(tmp_path)
    assert str(error.value) == (
        f"Expected one folder per class in {tmp_path}, found no folder. "
        "Sort the pictures into folder/class/picture.png."
    )


@pytest.mark.parametrize(
    "names",
    [("x_train", "y_train", "x_test", "y_test"), ("train_images", "train_labels", "test_images", "test_labels")],
)
def test_archives_keep_their_splits(names: tuple[str, ...], tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 5, 7, 3), dtype=np.uint8)
    labels = np.arange(6).reshape(6, 1)
    np.savez(tmp_path / "a.npz", **dict(zip(names, (images[:4], labels[:4], images[4:], labels[4:]), strict=True)))
    found = read(tmp_path / "a.npz")
    assert found.splits == ["train"] * 4 + ["test"] * 2
    assert found.rows["label"] == list(range(6))
    back = np.stack([np.asarray(open_picture(data)) for data in found.rows["image"]])
    assert (back == images).all()


def test_archives_of_numbers_and_of_floats(tmp_path: Path) -> None:
    np.savez(tmp_path / "t.npz", x=np.array([[1.5, 2.0], [3.0, 4.0]]), y=np.array(["a", "b"]))
    assert read(tmp_path / "t.npz").rows == Rows({"x0": [1.5, 3.0], "x1": [2.0, 4.0], "label": ["a", "b"]})
    np.savez(tmp_path / "f.npz", x=np.linspace(0, 1, 32).reshape(2, 4, 4), y=np.array([0, 1]))
    pixels = np.asarray(open_picture(read(tmp_path / "f.npz").rows["image"][1]))
    assert pixels.max() == 255


def test_archives_never_execute(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.array([{"a": 1}], dtype=object), y=np.array([1]))
    with pytest.raises(DataError, match=r"Expected a NumPy archive of plain arrays a\.npz, found Object arrays"):
        read(tmp_path / "a.npz")


def test_bundled_sets_by_name() -> None:
    digits = read("sklearn:digits")
    assert digits.rows.names == ("image", "label")
    assert len(digits.rows) == 1797
    assert open_picture(digits.rows["image"][0]).size == (8, 8)
    assert read("sklearn:diabetes").rows.names[-1] == "target"
    with pytest.raises(DataError) as error:
        read("sklearn:digit")
    assert str(error.value) == "Expected a set that scikit-learn bundles, found 'sklearn:digit'. Did you mean 'digits'?"


def test_what_is_not_there_or_not_known(tmp_path: Path) -> None:
    with pytest.raises(DataError) as error:
        read(tmp_path / "a.csv")
    assert (
        str(error.value)
        == f"Expected a readable file {tmp_path / 'a.csv'}, found no such file. Check the path, and who may read it."
    )
    with pytest.raises(DataError, match=r"found 'a\.cvs'\. Did you mean '\.csv'\?"):
        read(write(tmp_path / "a.cvs", "a,b"))


def test_a_pipe_is_refused_before_anybody_waits_for_its_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "rows.csv")
    for source in (tmp_path / "rows.csv", Path("/dev/zero")):
        with pytest.raises(DataError) as error:
            fingerprint(source)
        told = f"Expected a readable file {source}, found a pipe or a device. Write the rows to a file first."
        assert str(error.value) == told


def test_a_stream_keeps_broken_rows_in_their_place(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label\n" + "".join(f"t{i},1\n" if i % 5 else "short\n" for i in range(25)))
    parts = list(stream(path, 10))
    assert [len(part.rows) for part in parts] == [10, 10, 5]
    assert [part.first for part in parts] == [1, 11, 21]
    assert [sorted(part.faults) for part in parts] == [[0, 5], [0, 5], [0]]
    assert parts[1].rows["text"][0] == "short"


@pytest.mark.heavy
def test_a_stream_holds_no_more_than_a_batch(tmp_path: Path) -> None:
    """The same small memory for 5 MB and for 50 MB, so any file can be answered."""
    script = (
        "import re, sys\n"
        "from pathlib import Path\n"
        "from lingqu.data.readers import stream\n"
        "rows = sum(len(part.rows) for part in stream(sys.argv[1]))\n"
        "print(rows, re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])\n"
    )
    peaks = []
    for count in (20_000, 200_000):
        path = tmp_path / f"{count}.csv"
        path.write_text("text,label\n" + f"{'x' * 90},1\n" * count)
        done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
        rows, peak = done.stdout.split()
        assert int(rows) == count
        peaks.append(int(peak))
    assert peaks[1] < peaks[0] + 4 * 1024, f"{peaks} KiB"


def test_a_fingerprint_follows_content_alone(tmp_path: Path) -> None:
    one, two = write(tmp_path / "a.csv", "a\n1\n"), write(tmp_path / "b.csv", "a\n1\n")
    assert fingerprint(one) == fingerprint(two) != fingerprint(write(tmp_path / "c.csv", "a\n2\n"))
    assert fingerprint("sklearn:iris") != fingerprint("sklearn:wine")
    before = fingerprint(tmp_path)
    write(tmp_path / "d.csv", "a\n")
    assert fingerprint(tmp_path) != before
