r"""One door for every source: a file, a folder of images, a database, a set, as batches of raw rows in order.

>>> path = getfixture("tmp_path") / "a.csv"
>>> _ = path.write_text("text,label\ngood,1\nbad\n")
>>> found = read(path)
>>> found.rows, [str(one) for one in found.quarantined]
(Rows(1 rows of text, label), ['a.csv row 2: 1 cell where the header names 2'])
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lingqu.contract import Rows
from lingqu.data.arrays import read_npz
from lingqu.data.bundled import PREFIX, read_bundled
from lingqu.data.databases import read_table
from lingqu.data.delimited import read_delimited
from lingqu.data.hub import read_hub_set
from lingqu.data.image_folder import read_image_folder
from lingqu.data.json_lines import read_json_lines
from lingqu.data.parquet import read_parquet
from lingqu.data.quarantine import Batch, Quarantined
from lingqu.data.text_files import open_bytes
from lingqu.data.workbook import read_workbook
from lingqu.errors import DataError, Problem, near
from lingqu.spec.addresses import DATABASES, SHEETS, called, fault, scheme, sheet_of

DELIMITED = (".csv", ".tsv", ".tab", ".txt")
JSON = (".jsonl", ".ndjson", ".json")
PARQUET = (".parquet", ".pq")
NPZ = (".npz",)
SUFFIXES = (*DELIMITED, *JSON, *PARQUET, *NPZ, *SHEETS)

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
) -> Generator[Batch, None, None]:
    r"""The rows of a source in order, never all in memory; broken rows keep their place, with the reason in `faults`.

    >>> path = getfixture("tmp_path") / "a.jsonl"
    >>> _ = path.write_text('{"text": "good"}\nnonsense\n')
    >>> [sorted(part.faults) for part in stream(path)]
    [[1]]
    """
    name = str(source)
    if scheme(name):
        return _stream_address(name, batch)
    file, sheet = sheet_of(name)
    path = Path(file)
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
    if suffix in SHEETS:
        return read_workbook(path, batch, sheet=sheet)
    raise DataError(unreadable(path))


def _stream_address(source: str, batch: int) -> Generator[Batch, None, None]:
    if source.startswith(PREFIX):
        return read_bundled(source.removeprefix(PREFIX), batch)
    problem = fault(source)
    if problem is not None:
        raise DataError(problem)
    return read_table(source, batch) if scheme(source) in DATABASES else read_hub_set(source, batch)


def unreadable(path: Path) -> Problem:
    """What is told about a source that no reader takes.

    >>> print(unreadable(Path("rows.cvs")))
    Expected a csv, tsv, txt, jsonl, json, parquet, npz or xlsx file or a folder of images, found 'rows.cvs'. Did you mean '.csv'?
    """
    if path.suffix.lower() in SUFFIXES and not path.exists():
        return Problem(f"a readable file {path}", "no such file", "Check the path.")
    advice = near(path.suffix, SUFFIXES) if path.suffix else "Known: " + ", ".join(SUFFIXES) + "."
    kinds = "a csv, tsv, txt, jsonl, json, parquet, npz or xlsx file or a folder of images"
    return Problem(kinds, f"'{path.name}'", advice)


def read(source: str | Path, *, encoding: str = "auto", delimiter: str = "auto") -> Table:
    """All rows of a source at once, broken ones set aside."""
    columns: dict[str, list[Any]] = {}
    splits: list[str] = []
    numbers: list[int] = []
    quarantined: list[Quarantined] = []
    for part in stream(source, 10_000, encoding=encoding, delimiter=delimiter):
        quarantined.extend(part.quarantined(called(str(source))))
        append_rows(columns, part.good().rows, len(splits))
        good = [part.first + i for i in range(len(part.rows)) if i not in part.faults]
        numbers.extend(good)
        splits.extend([part.split] * len(good))
    return Table(Rows(columns), splits, numbers, quarantined)


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

    Of a folder every file counts that is not hidden, or those with one of `suffixes`; of a database or a set of the Hub
    every row, in whatever order they come.

    >>> path = getfixture("tmp_path") / "a.csv"
    >>> _ = path.write_text("text\n")
    >>> fingerprint(path)[:12]
    'b9e68e1bea3e'
    """
    name = str(source)
    if name.startswith(PREFIX):
        from importlib.metadata import version

        return hashlib.sha256(f"{name} {version('scikit-learn')}".encode()).hexdigest()
    if scheme(name):
        return content_digest(stream(name, 10_000))
    path = Path(sheet_of(name)[0])
    if not path.is_dir():
        with open_bytes(path) as raw:
            return hashlib.file_digest(raw, "sha256").hexdigest()
    whole = hashlib.sha256()
    for file in _files(path, suffixes):
        with open_bytes(file) as raw:
            digest = hashlib.file_digest(raw, "sha256").hexdigest()
        whole.update(f"{file.relative_to(path).as_posix()}\0{digest}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


def content_digest(parts: Iterable[Batch]) -> str:
    """SHA-256 of rows, whatever their order: the digests of all rows added up (Bellare and Micciancio 1997).

    >>> one, other = Rows({"a": [1, "x"]}), Rows({"a": ["x", 1]})
    >>> content_digest([Batch(one)]) == content_digest([Batch(other)]) != content_digest([Batch(one), Batch(one)])
    True
    """
    total = 0
    names: tuple[str, ...] = ()
    for part in parts:
        names = part.rows.names
        for cells in zip(*(part.rows[name] for name in names), strict=True):
            total += int.from_bytes(hashlib.sha256(repr((part.split, cells)).encode("utf-8", "surrogatepass")).digest())
    return hashlib.sha256(f"{names} {total}".encode()).hexdigest()


def _files(folder: Path, suffixes: Collection[str]) -> Iterator[Path]:
    # Hidden folders hold what tools keep (a store, version control), which changes by itself.
    for top, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and (not suffixes or Path(name).suffix.lower() in suffixes):
                yield Path(top, name)
