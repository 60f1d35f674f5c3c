"""Cells of sources that have types of their own (Parquet, workbooks, databases), as the plain values that text files hold.

>>> plain_cell(datetime.datetime(2024, 1, 31)), plain_cell(decimal.Decimal("1.5")), plain_cell(["a", "b"])
('2024-01-31T00:00:00', 1.5, '["a", "b"]')
"""

from __future__ import annotations

import datetime
import decimal
import json
import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lingqu.data.quarantine import CELL_CAP


def plain_cells(values: Iterable[Any]) -> list[Any]:
    """Each value as text, number, boolean, bytes or None."""
    return [one if one is None or isinstance(one, str | int | bytes) else plain_cell(one) for one in values]


def plain_cell(value: Any) -> Any:
    """A value as text, number, boolean, bytes or None; times as ISO 8601, nested ones as JSON text."""
    if value is None or isinstance(value, str | int | bytes):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, memoryview | bytearray):
        return bytes(value)
    if isinstance(value, Mapping) and isinstance(value.get("bytes"), bytes):
        return value["bytes"]  # how data sets on the Hub hold an image: {bytes, path}
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def cell_faults(columns: Mapping[str, Sequence[Any]]) -> dict[int, str]:
    """By position the rows that hold a text which no row may hold.

    >>> cell_faults({"text": ["fine", "a" + chr(0)]})
    {1: 'holds a NUL byte'}
    """
    faults: dict[int, str] = {}
    for values in columns.values():
        for i, value in enumerate(values):
            if isinstance(value, str):
                if len(value) > CELL_CAP:
                    faults[i] = "a cell longer than 1 MiB"
                elif "\0" in value:
                    faults[i] = "holds a NUL byte"
    return faults
