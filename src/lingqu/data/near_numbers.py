"""Rows of a table that are nearly the same: equal names, and numbers that differ by what spelling and rounding change.

Where a table has few columns, rows that have nothing to do with each other lie close by chance; so nearness here is a
ten-thousandth of a column's middle half, enough for numbers that went through another program and no more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from lingqu.contract import Rows
from lingqu.data.groups import row_digests

Array = np.ndarray[Any, np.dtype[np.float64]]

SHARE = 1e-4
"""Of the distance between the quartiles of a column: numbers so near are one."""


def nearly_in(rows: Rows, held: Rows, kinds: Mapping[str, str]) -> set[int]:
    """The places of the rows that are nearly the same as one of those held.

    >>> held = Rows({"age": [20.0, 40.0, 60.0], "town": ["ulm", "ulm", "bonn"]})
    >>> rows = Rows({"age": [20.001, 20.1, 60.0, 40.0], "town": ["ulm", "ulm", "ulm", "ulm"]})
    >>> sorted(nearly_in(rows, held, {"age": "number", "town": "category"}))
    [0, 3]
    """
    numbers = [name for name, kind in kinds.items() if kind == "number"]
    others = [name for name in kinds if name not in numbers]
    near = np.array([_spread(held[name]) * SHARE for name in numbers])
    table, asked = _table(held, numbers), _table(rows, numbers)
    alike: dict[tuple[str, bytes], list[int]] = defaultdict(list)
    for place, key in enumerate(_keys(held, others, table)):
        alike[key].append(place)
    # By their first number, so that each row is held against few.
    sorted_by = {
        key: np.array(sorted(places, key=lambda place: table[place, :1].tolist())) for key, places in alike.items()
    }
    found: set[int] = set()
    for place, key in enumerate(_keys(rows, others, asked)):
        places = sorted_by.get(key)
        if places is None:
            continue
        row = np.nan_to_num(asked[place])
        if numbers:
            first = np.nan_to_num(table[places, 0])
            start = np.searchsorted(first, row[0] - near[0], side="left")
            places = places[start : np.searchsorted(first, row[0] + near[0], side="right")]
        if (np.abs(np.nan_to_num(table[places]) - row) <= near).all(axis=1).any():
            found.add(place)
    return found


def _spread(values: list[float | None] | Any) -> float:
    present = [value for value in values if value is not None]
    return float(np.subtract(*np.quantile(present, [0.75, 0.25]))) if present else 0.0


def _table(rows: Rows, numbers: list[str]) -> Array:
    columns = [[np.nan if value is None else value for value in rows[name]] for name in numbers]
    return np.array(columns, np.float64).reshape(len(numbers), len(rows)).T


def _keys(rows: Rows, others: list[str], table: Array) -> list[tuple[str, bytes]]:
    """What has to be equal: the names, and which numbers are missing."""
    missing = np.isnan(table)
    names = row_digests(rows, others)
    return [(name, missing[place].tobytes()) for place, name in enumerate(names)]
