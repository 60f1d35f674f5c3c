"""One JSON object a line, or one list of objects in a file."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from lingqu.contract import Rows
from lingqu.data.quarantine import CELL_CAP, RAW_READ, Batch
from lingqu.data.text_files import Lines, line_fault, open_text
from lingqu.errors import DataError, Problem

LIST_CAP = 1 << 30
"""The longest file that is read as one JSON list, in characters; JSON lines have no such limit."""


def read_json_lines(path: Path, batch: int = 1000, *, encoding: str = "auto") -> Generator[Batch, None, None]:
    """The objects of a JSON-lines file in order; a file that begins with "[" is read as one list of objects."""
    with open_text(path, encoding) as text:
        begin = text.read(1 << 12).lstrip("\ufeff \t\r\n")
        text.seek(0)
        if begin.startswith("["):
            parsed: Iterator[tuple[dict[str, Any], str, str]] = map(_from_list, _read_list(text.read(LIST_CAP), path))
        else:
            lines = Lines(text)
            parsed = (_from_line(line, text.encoding, lines) for line in lines if not line.isspace())
        first = 1
        # One order of columns for the whole file, in which a column takes its place when it is first seen.
        names: dict[str, None] = {}
        while chunk := list(islice(parsed, batch)):
            yield _batch(chunk, names, first)
            first += len(chunk)
        if first == 1:
            raise DataError(Problem(f"JSON objects in {path.name}", "nothing", "Check that it is the right file."))


def _batch(chunk: list[tuple[dict[str, Any], str, str]], names: dict[str, None], first: int) -> Batch:
    names.update(dict.fromkeys(name for row, _, _ in chunk for name in row))
    rows = Rows({name: [row.get(name) for row, _, _ in chunk] for name in names} or {"": [None] * len(chunk)})
    faults = {i: fault for i, (_, fault, _) in enumerate(chunk) if fault}
    return Batch(rows, first, faults, {i: chunk[i][2][:RAW_READ] for i in faults})


def _from_line(line: str, encoding: str, lines: Lines) -> tuple[dict[str, Any], str, str]:
    lines.start()
    fault = line_fault(line, encoding)
    if fault:
        return {}, fault, line
    try:
        value = json.loads(line.lstrip("\ufeff"))
    except (ValueError, RecursionError) as error:
        # Too many digits or brackets raise other errors than broken syntax; for a user it is the same.
        return {}, f"not JSON: {str(error).splitlines()[0][:100]}", line
    row, fault = _cells(value)
    return row, fault, line if fault else ""


def _from_list(value: object) -> tuple[dict[str, Any], str, str]:
    row, fault = _cells(value)
    return row, fault, repr(value)[:RAW_READ] if fault else ""


def _cells(value: object) -> tuple[dict[str, Any], str]:
    if not isinstance(value, dict):
        return {}, f"expected a JSON object, found {type(value).__name__}"
    row: dict[str, Any] = {}
    for name, cell in value.items():
        if isinstance(cell, str):
            if len(cell) > CELL_CAP:
                return {}, "a cell longer than 1 MiB"
            if not cell.isascii():
                if not _encodes(cell):
                    return {}, f"half a character in {name!r}"
            elif "\0" in cell:
                return {}, "holds a NUL byte"
        elif isinstance(cell, dict | list):
            cell = json.dumps(cell, ensure_ascii=False, sort_keys=True)
        row[name] = cell
    return row, ""


def _encodes(text: str) -> bool:
    """Whether text has no half of a surrogate pair, which JSON can write and nothing else can store."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _read_list(text: str, path: Path) -> list[object]:
    advice = "Write one JSON object a line."
    if len(text) >= LIST_CAP:
        raise DataError(Problem(f"a JSON list below 1 GiB in {path.name}", "a longer one", advice))
    try:
        value = json.loads(text.lstrip("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise DataError(Problem(f"a JSON list in {path.name}", str(error).splitlines()[0][:100], advice)) from None
    return value if isinstance(value, list) else [value]
