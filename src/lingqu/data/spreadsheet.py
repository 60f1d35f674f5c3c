r"""Tables that people open in a spreadsheet, which runs what begins as a formula.

OWASP, "CSV Injection": such a cell gets an apostrophe before it, so that it is read as the text that it is. The full-width
signs count too, since spreadsheets of East Asian languages read them as the narrow ones. A cell that holds a line end
is quoted, also a lone carriage return: otherwise what follows it would begin a row.

>>> import sys
>>> TableWriter(sys.stdout, ["said"]).write([{"said": "=1+1"}, {"said": -3}])
said
'=1+1
-3
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

_BEGINS = re.compile(r"[=+\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?", re.IGNORECASE)


def safe_cell(value: Any) -> Any:
    """A cell as it may be opened: a text that would be run gets an apostrophe; numbers, also written ones, stay.

    >>> safe_cell("=1+1"), safe_cell("-3.5"), safe_cell(-3.5), safe_cell("fine"), safe_cell("@好")
    ("'=1+1", '-3.5', -3.5, 'fine', "'@好")
    """
    if not isinstance(value, str) or _BEGINS.match(value) is None or _NUMBER.fullmatch(value):
        return value
    return f"'{value}"


def plain_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a table that lingqu wrote, its cells and their names as they were before.

    >>> plain_row({"'@name": "'=1+1", "word": "'tis", "number": 3})
    {'@name': '=1+1', 'word': "'tis", 'number': 3}
    """
    return {_plain_cell(name): _plain_cell(cell) for name, cell in row.items()}


def _plain_cell(cell: Any) -> Any:
    return cell[1:] if isinstance(cell, str) and cell[:1] == "'" and safe_cell(cell[1:]) == cell else cell


class TableWriter:
    """Rows as CSV with a header, in lines that end with a line feed; keys of a row beyond the header are left out."""

    def __init__(self, file: IO[str], names: Sequence[str], delimiter: str = ",") -> None:
        self.names = list(names)
        # Python's writer quotes the signs of its own line end alone, so it is given both of them.
        self._csv = csv.writer(_LineFeeds(file), delimiter=delimiter, lineterminator="\r\n")
        self._csv.writerow([safe_cell(name) for name in self.names])

    def write(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write more rows."""
        self._csv.writerows([safe_cell(row.get(name)) for name in self.names] for row in rows)


class _LineFeeds:
    """Takes whole lines as Python's CSV writer gives them, one at a time."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, line: str) -> None:
        self._file.write(line.removesuffix("\r\n") + "\n")
