r"""One door for every source: a file, a folder of images, or a bundled set, as batches of raw rows in order.

>>> path = getfixture("tmp_path") / "a.csv"
>>> _ = path.write_text("text,label\ngood,1\nbad\n")
>>> found = read(path)
>>> found.rows, [str(one) for one in found.quarantined]
(Rows(1 rows of text, label), ['a.csv row 2: 1 cell where the header names 2'])
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lingqu.contract import Rows
from lingqu.data.arrays import read_npz
from lingqu.data.bundled import PREFIX, read_bundled
from lingqu.data.delimited import read_delimited
from lingqu.data.image_folder import read_image_folder
from lingqu.data.json_lines import read_json_lines
from lingqu.data.parquet import read_parquet
from lingqu.data.quarantine import Batch, Quarantined
from lingqu.data.text_files import open_bytes
from lingqu.errors import DataError, Problem, near

DELIMITED = (".csv", ".tsv", ".tab", ".txt")
JSON = (".jsonl", ".ndjson", ".json")
PARQUET = (".parquet", ".pq")
NPZ = (".npz",)
SUFFIXES = (*DELIMITED, *JSON, *PARQUET, *NPZ)

BATCH = 1000


@dataclass(frozen=True, slots=True)
class Table:
    """All rows of a source: the good ones, with the number and the given split ("" when none) of each, and the rest."""

    rows: Rows
    splits: list[str]
    numbers: list[int]
    quarantined: list[Quarantined]


def stream(
    source: str | Path, batch: int = BATCH, *, encoding: str = "auto", delimiter: str = "auto"
) -> Iterator[Batch]:
    r"""The rows of a source in order, never all in memory; broken rows keep their place, with the reason in `faults`.

    >>> path = getfixture("tmp_path") / "a.jsonl"
    >>> _ = path.write_text('{"text": "good"}\nnonsense\n')
    >>> [sorted(part.faults) for part in stream(path)]
    [[1]]
    """
    name = str(source)
    if name.startswith(PREFIX):
        return read_bundled(name.removeprefix(PREFIX), batch)
    path = Path(source)
    if path.is_dir():
        return read_image_folder(path, batch)
    suffix = path.suffix.lower()
    if suffix in DELIMITED:
        return read_delimited(path, batch, encoding=encoding, delimiter=delimiter)
    if suffix in JSON:
        return read_json_lines(path, batch, encoding=encoding)
    if suffix in PARQUET:
        return read_parquet(path, batch)
    if suffix in NPZ:
        return read_npz(path, batch)
    raise DataError(unreadable(path))


def unreadable(path: Path) -> Problem:
    """What is told about a source that no reader takes.

    >>> print(unreadable(Path("rows.cvs")))
    Expected a csv, tsv, txt, jsonl, json, parquet or npz file or a folder of images, found 'rows.cvs'. Did you mean '.csv'?
    """
    if path.suffix.lower() in SUFFIXES and not path.exists():
        return Problem(f"a readable file {path}", "no such file", "Check data.source.")
    advice = near(path.suffix, SUFFIXES) if path.suffix else "Known: " + ", ".join(SUFFIXES) + "."
    kinds = "a csv, tsv, txt, jsonl, json, parquet or npz file or a folder of images"
    return Problem(kinds, f"'{path.name}'", advice)


def read(source: str | Path, *, encoding: str = "auto", delimiter: str = "auto") -> Table:
    """All rows of a source at once, broken ones set aside."""
    columns: dict[str, list[Any]] = {}
    splits: list[str] = []
    numbers: list[int] = []
    quarantined: list[Quarantined] = []
    for part in stream(source, 10_000, encoding=encoding, delimiter=delimiter):
        quarantined.extend(part.quarantined(source_name(source)))
        append_rows(columns, part.good().rows, len(splits))
        good = [part.first + i for i in range(len(part.rows)) if i not in part.faults]
        numbers.extend(good)
        splits.extend([part.split] * len(good))
    return Table(Rows(columns), splits, numbers, quarantined)


def source_name(source: str | Path) -> str:
    """How a source is called in messages: its last part.

    >>> source_name("data/a.csv"), source_name("sklearn:iris")
    ('a.csv', 'sklearn:iris')
    """
    return str(source) if str(source).startswith(PREFIX) else Path(source).name


def append_rows(columns: dict[str, list[Any]], rows: Rows, before: int) -> None:
    """Add rows to lists of cells that hold `before` rows so far; a column that either side lacks is None there."""
    for name in rows.names:
        # The reader of JSON calls a column "" when not one object of a batch could be read.
        if name and name not in columns:
            columns[name] = [None] * before
        if name:
            columns[name].extend(rows[name])
    for name, values in columns.items():
        if name not in rows:
            values.extend([None] * len(rows))


def fingerprint(source: str | Path, suffixes: Collection[str] = ()) -> str:
    r"""SHA-256 of what a source holds, so that unchanged data need not be read again.

    Of a folder every file counts that is not hidden, or those with one of `suffixes`.

    >>> path = getfixture("tmp_path") / "a.csv"
    >>> _ = path.write_text("text\n")
    >>> fingerprint(path)[:12]
    'b9e68e1bea3e'
    """
    name = str(source)
    if name.startswith(PREFIX):
        from importlib.metadata import version

        return hashlib.sha256(f"{name} {version('scikit-learn')}".encode()).hexdigest()
    path = Path(source)
    if not path.is_dir():
        with open_bytes(path) as raw:
            return hashlib.file_digest(raw, "sha256").hexdigest()
    whole = hashlib.sha256()
    for file in _files(path, suffixes):
        with open_bytes(file) as raw:
            digest = hashlib.file_digest(raw, "sha256").hexdigest()
        whole.update(f"{file.relative_to(path).as_posix()}\0{digest}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


def _files(folder: Path, suffixes: Collection[str]) -> Iterator[Path]:
    # Hidden folders hold what tools keep (a store, version control), which changes by itself.
    for top, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and (not suffixes or Path(name).suffix.lower() in suffixes):
                yield Path(top, name)
