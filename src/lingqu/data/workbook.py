"""Excel workbooks (.xlsx, .xlsm), read row by row: the one file that imports openpyxl.

The values of formulas are those that Excel saved; formulas and macros are never run. Dates become ISO 8601.
"""

from __future__ import annotations

import datetime
import zipfile
import zlib
from collections.abc import Generator, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

from lingqu.contract import Rows
from lingqu.data.archives import check_archive
from lingqu.data.cells import cell_faults, plain_cell
from lingqu.data.delimited import check_header
from lingqu.data.quarantine import RAW_READ, Batch
from lingqu.data.text_files import open_bytes
from lingqu.errors import DataError, Problem, missing_package, near

UNPACKED_CAP = 2 << 30
"""The most bytes that a workbook may unpack to: a sheet of a million rows stays below it."""
STRINGS_CAP = 512 << 20
"""The most bytes of its table of texts, which is held in memory."""


def read_workbook(path: Path, batch: int = 1000, *, sheet: str = "") -> Generator[Batch, None, None]:
    """The rows of a sheet, the first one unless named, in order; the first row that is not empty names the columns."""
    try:
        import openpyxl
        from openpyxl.utils.exceptions import InvalidFileException
    except ImportError:
        raise missing_package("openpyxl", "excel", "reading Excel workbooks") from None
    with open_bytes(path) as raw:
        _check_size(raw, path)
        try:
            book: Any = openpyxl.load_workbook(raw, read_only=True, data_only=True)
        except (InvalidFileException, KeyError, ValueError, OSError, zipfile.BadZipFile, SyntaxError) as error:
            raise DataError(_damaged(path, error)) from None
        try:
            chosen = _sheet(book, sheet, path)
            # Some programs write a wrong size of the sheet, which would cut it.
            chosen.reset_dimensions()
            yield from _batches(chosen.iter_rows(values_only=True), batch, path)
        except (
            KeyError,
            ValueError,
            TypeError,
            zipfile.BadZipFile,
            EOFError,
            SyntaxError,
            zlib.error,
        ) as error:
            raise DataError(_damaged(path, error)) from None
        finally:
            book.close()


def _check_size(raw: BinaryIO, path: Path) -> None:
    """DataError for a workbook that would fill the memory."""
    try:
        check_archive(raw, path)
        with zipfile.ZipFile(raw) as packed:
            sizes = {one.filename: one.file_size for one in packed.infolist()}
    except zipfile.BadZipFile as error:
        raise DataError(_damaged(path, error)) from None
    strings = max((size for name, size in sizes.items() if name.lower().endswith("sharedstrings.xml")), default=0)
    if sum(sizes.values()) > UNPACKED_CAP or strings > STRINGS_CAP:
        expected = f"at most {UNPACKED_CAP:,} bytes, {STRINGS_CAP:,} of them texts, in {path.name} when unpacked"
        found = f"{sum(sizes.values()):,}, {strings:,} of them texts"
        raise DataError(Problem(expected, found, "Save its rows as CSV."))
    raw.seek(0)


def _damaged(path: Path, error: Exception) -> Problem:
    said = (str(error).splitlines() or [""])[0][:200].strip("'\". ")
    return Problem(f"a whole workbook {path.name}", said or type(error).__name__, "Save it again as .xlsx.")


def _sheet(book: Any, name: str, path: Path) -> Any:
    sheets = {one.title: one for one in book.worksheets}
    if not sheets:
        raise DataError(Problem(f"a sheet of cells in {path.name}", "none", "Check data.source."))
    if not name:
        return next(iter(sheets.values()))
    if name not in sheets:
        found = f"the sheets {', '.join(map(repr, sheets))}"
        raise DataError(Problem(f"the sheet {name!r} in {path.name}", found, near(name, sheets)))
    return sheets[name]


def _batches(cells: Iterator[Sequence[Any]], size: int, path: Path) -> Iterator[Batch]:
    filled = (_trimmed(row) for row in cells if any(one is not None for one in row))
    first = next(filled, [])
    second = next(filled, None)
    header = _header(first, second, path)
    width = len(header)
    records = filled if second is None else chain([second], filled)
    number = 1
    while part := list(islice(records, size)):
        faults = {
            i: f"{len(row)} cells where the header names {width}" for i, row in enumerate(part) if len(row) > width
        }
        columns = {
            name: [_cell(row[place]) if place < len(row) else None for row in part] for place, name in enumerate(header)
        }
        faults |= cell_faults(columns)
        raw = {i: ", ".join(str(one) for one in part[i] if one is not None)[:RAW_READ] for i in faults}
        yield Batch(Rows(columns), number, faults, raw)
        number += len(part)
    if number == 1:
        yield Batch(Rows({name: [] for name in header}))


def _trimmed(row: Sequence[Any]) -> list[Any]:
    """A row without the empty cells behind its last value."""
    last = max(i for i, one in enumerate(row) if one is not None)
    return list(row[: last + 1])


def _header(first: Sequence[Any], second: Sequence[Any] | None, path: Path) -> list[str]:
    """The names of the columns; DataError where cells were merged, so that a name covers several columns or none."""
    unnamed = [i for i in range(max(len(first), len(second or ()))) if i >= len(first) or first[i] is None]
    if first and unnamed:
        from openpyxl.utils import get_column_letter

        found = f"no name above column {', '.join(get_column_letter(i + 1) for i in unnamed[:10])}"
        advice = "Undo merged cells and titles, so that the first row has one name per column."
        raise DataError(Problem(f"one name per column in the first row of {path.name}", found, advice))
    return check_header([str(_cell(one)).strip() for one in first], path.name)


def _cell(value: Any) -> Any:
    """A cell as text, number or boolean; a day without a time is a date, as Excel shows it."""
    if isinstance(value, datetime.datetime) and value.time() == datetime.time():
        return value.date().isoformat()
    return str(value) if isinstance(value, datetime.timedelta) else plain_cell(value)
