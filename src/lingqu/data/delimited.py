"""Comma-separated files and their relatives (semicolon, tab, bar), read record by record."""

from __future__ import annotations

import csv
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from lingqu.contract import Rows
from lingqu.data.quarantine import CELL_CAP, RAW_READ, Batch
from lingqu.data.text_files import Lines, line_fault, open_text
from lingqu.errors import DataError, Problem

DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
_SAMPLE = 1 << 16


@dataclass(frozen=True, slots=True)
class Dialect:
    r"""How the cells of a line are told apart.

    >>> sniff("a;b\n1,5;2,5\n")
    Dialect(delimiter=';', escape=None)
    """

    delimiter: str = ","
    escape: str | None = None

    def reader(self, lines: Iterator[str]) -> Iterator[list[str]]:
        """Python's own reader, set to complain about quotes that do not close."""
        return csv.reader(lines, delimiter=self.delimiter, escapechar=self.escape, doublequote=True, strict=True)


def sniff(sample: str, delimiter: str = "auto") -> Dialect:
    r"""The delimiter under which most of the sample's records have as many cells as the header; a comma when in doubt.

    >>> sniff("text\tlabel\nwell, well\t1\n").delimiter
    '\t'
    """
    known = [DELIMITERS.get(delimiter, delimiter)] if delimiter != "auto" else list(DELIMITERS.values())
    escapes = (None, "\\") if '\\"' in sample else (None,)
    dialects = [Dialect(one, escape) for escape in escapes for one in known]
    # max keeps the first of equals, so the order of DELIMITERS decides and backslashes come last.
    return max(dialects, key=lambda dialect: _regularity(sample, dialect))


def _regularity(sample: str, dialect: Dialect) -> float:
    records: list[list[str]] = []
    try:
        for record in dialect.reader(iter(sample.splitlines(keepends=True))):
            records.append(record)
            if len(records) == 100:
                break
    except csv.Error:
        pass  # the sample may end inside quotes; what was read until there is judged
    records = [record for record in records if record]
    if not records or len(records[0]) < 2:
        return 0.0
    width = len(records[0])
    same = sum(len(record) == width for record in records) / len(records)
    return same + min(width, 50) / 1000 + min(len(records), 100) / 10_000


def read_delimited(
    path: Path, batch: int = 1000, *, encoding: str = "auto", delimiter: str = "auto"
) -> Generator[Batch, None, None]:
    """The records of a delimited file in order, in batches of raw cells; empty lines are passed over."""
    # The limit belongs to the whole process; it is only ever raised to ours.
    csv.field_size_limit(max(csv.field_size_limit(), CELL_CAP + 1))
    with open_text(path, encoding) as text:
        name = text.encoding.removesuffix("-sig")
        sample = text.read(_SAMPLE)
        dialect = sniff(sample, "tab" if delimiter == "auto" and path.suffix.lower() == ".tsv" else delimiter)
        text.seek(0)
        lines = Lines(text)
        header = _header(lines, dialect, path)
        records = _records(lines, dialect, len(header), path.name, name)
        yield from _batches(records, lines, header, batch)


def _header(lines: Lines, dialect: Dialect, path: Path) -> list[str]:
    reader = dialect.reader(lines)
    try:
        cells = next((record for record in reader if record), [])
    except csv.Error as error:
        raise DataError(Problem(f"a header line in {path.name}", str(error), "Repair its quotes.")) from None
    lines.start()
    names = [cell.strip().lstrip("\ufeff") or f"column {i}" for i, cell in enumerate(cells, 1)]
    return check_header(names, path.name)


def check_header(names: list[str], source: str) -> list[str]:
    """The names themselves, or DataError when they cannot be column names.

    >>> check_header(["a", "b", "a"], "x.csv")
    Traceback (most recent call last):
    lingqu.errors.DataError: Expected column names that differ in x.csv, found 'a' twice. Rename one of them.
    """
    if not names:
        raise DataError(Problem(f"a header line and rows in {source}", "nothing", "Check that it is the right file."))
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        found = f"{', '.join(map(repr, twice))} twice"
        raise DataError(Problem(f"column names that differ in {source}", found, "Rename one of them."))
    if all(_is_number(name) for name in names):
        found = f"only numbers in its first line ({', '.join(names[:4])})"
        raise DataError(Problem(f"column names in the first line of {source}", found, "Add a header line."))
    return names


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _batches(records: Iterator[tuple[list[str], str]], lines: Lines, header: list[str], size: int) -> Iterator[Batch]:
    width = len(header)
    empty = [None] * width
    cells: list[list[str] | list[None]] = []
    faults: dict[int, str] = {}
    raw: dict[int, str] = {}
    first = 1
    for record, fault in records:
        if fault:
            faults[len(cells)] = fault
            raw[len(cells)] = lines.taken[0][:RAW_READ].rstrip("\r\n")
            record = (record + [""] * width)[:width] if record else empty
        cells.append(record)
        if len(cells) == size:
            yield Batch(_columns(header, cells), first, faults, raw)
            first += size
            cells, faults, raw = [], {}, {}
    if cells or first == 1:
        yield Batch(_columns(header, cells), first, faults, raw)


def _columns(header: list[str], cells: list[list[str] | list[None]]) -> Rows:
    if not cells:
        return Rows({name: [] for name in header})
    return Rows(dict(zip(header, zip(*cells, strict=True), strict=True)))


def _records(lines: Lines, dialect: Dialect, width: int, source: str, encoding: str) -> Iterator[tuple[list[str], str]]:
    reader = dialect.reader(lines)
    while True:
        lines.start()
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            # An open quote has swallowed what follows: only the line where it began is broken, the others come again.
            lines.give_back(source)
            reader = dialect.reader(lines)
            yield [], _quote_fault(str(error))
            continue
        if not record:
            continue
        fault = _fault(record, lines, width, encoding)
        if fault and len(lines.taken) > 1:
            lines.give_back(source)
            record = []
        yield record, fault


def _fault(record: list[str], lines: Lines, width: int, encoding: str) -> str:
    if len(record) != width:
        return f"{len(record)} cell{'s' * (len(record) != 1)} where the header names {width}"
    for line in lines.taken:
        fault = line_fault(line, encoding)
        if fault:
            return fault
    long = len(lines.taken) > 1 or len(lines.taken[0]) > CELL_CAP
    return "a cell longer than 1 MiB" if long and any(len(cell) > CELL_CAP for cell in record) else ""


def _quote_fault(error: str) -> str:
    if "limit" in error:
        return "a cell longer than 1 MiB"
    return "quotes that do not close" if "end of data" in error else "text after a closing quote"
