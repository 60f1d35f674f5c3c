"""What kind each column is, and every cell brought to that kind.

>>> rows = Rows({"age": ["30", "1,200", "?"], "job": ["chef", "nurse", "chef"]})
>>> kinds = infer(rows)
>>> kinds, convert(rows, kinds)
({'age': 'number', 'job': 'category'}, (Rows(3 rows of age, job), {}))
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from lingqu.contract import Rows
from lingqu.data.values import CONVERT, MISSING, CellFault, looks_like_code, to_number, to_time

MOSTLY = 0.95
"""The share of a column's values that must fit a kind; the others are then broken cells."""

FEW = 50
"""A column of at most so many different names is a category, however few its rows are."""

_ID_NAME = re.compile(
    r"(?:.*[_ \-.])?(?:id|ids|uuid|guid|key|index|no|number|nr|编号|序号)|.*[a-z]ID|.*Id|unnamed: 0|column 1"
)
_POSTAL_NAME = re.compile(
    r"(?:.*[_ \-.])?(?:zip|zip[_ \-]?code|postal[_ \-]?code|postcode|plz)|邮编|邮政编码", re.IGNORECASE
)
"""Numbers of these names are names of places: the one in the middle of two others need not lie between them."""
_KEY_TEXT = re.compile(r"[\w\-:.#/]{1,64}")


def infer(rows: Rows, given: Mapping[str, str] | None = None) -> dict[str, str]:
    """The kind of each column: number, category, text, image, time, id, or ignore when it has no value at all.

    `given` says some of them, and is not questioned.

    >>> infer(Rows({"day": ["2024-01-31"], "note": [None]}))
    {'day': 'time', 'note': 'ignore'}
    """
    known = dict(given or {})
    return {name: known.get(name) or _infer(name, rows[name]) for name in rows.names}


def _infer(name: str, values: list[Any]) -> str:
    if any(isinstance(value, bytes) for value in values):
        return "image"
    present = [value for value in values if value is not None and not _is_missing(value)]
    if not present:
        return "ignore"
    counts = Counter(present)
    distinct = set(counts)
    if all(isinstance(value, bool) for value in distinct):
        return "category"
    if _share(counts, to_number) >= MOSTLY:
        return _number_kind(name, present, distinct)
    if _share(counts, to_time) >= MOSTLY:
        return "time"
    return _word_kind(name, present, {str(value) for value in distinct})


def _is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in MISSING
    return isinstance(value, float) and math.isnan(value)


def _share(counts: Mapping[Any, int], read: Callable[[Any], Any]) -> float:
    """The share of cells, each different value read once, that can be read so."""
    fits = 0
    for value, count in counts.items():
        try:
            read(value)
            fits += count
        except CellFault:
            pass
    return fits / sum(counts.values())


def _number_kind(name: str, present: list[Any], distinct: set[Any]) -> str:
    if any(looks_like_code(value) for value in distinct):
        return "category" if _is_few(distinct, present) else "id"
    if _POSTAL_NAME.fullmatch(name.strip()) and len(distinct) <= 0.5 * len(present):
        return "category"
    unique = len(distinct) == len(present) and len(present) >= 20
    if unique and _ID_NAME.fullmatch(name.strip()) and all(_is_whole(value) for value in distinct):
        return "id"
    return "number"


def _is_whole(value: Any) -> bool:
    try:
        number = to_number(value)
    except CellFault:
        return False
    return number is not None and number.is_integer()


def _word_kind(name: str, present: list[Any], distinct: set[str]) -> str:
    longest = max(map(len, distinct))
    if _is_few(distinct, present) and longest <= 100:
        return "category"
    if len(distinct) >= 0.95 * len(present) and all(_KEY_TEXT.fullmatch(value.strip()) for value in distinct):
        return "id"
    if _ID_NAME.fullmatch(name.strip()) and longest <= 64:
        return "id"
    return "text"


def _is_few(distinct: set[Any] | set[str], present: list[Any]) -> bool:
    # In a small table nearly every value is new, so names there must come back to be a category.
    if len(present) < 2 * FEW:
        return len(distinct) <= max(2, 0.6 * len(present))
    return len(distinct) <= max(FEW, 0.02 * len(present))


def convert(rows: Rows, kinds: Mapping[str, str]) -> tuple[Rows, dict[int, str]]:
    """The columns of `kinds` with typed cells, and by position the reason why a row is broken; "ignore" is left out.

    A broken cell is None, and its row keeps its place.

    >>> convert(Rows({"age": ["30", "old"]}), {"age": "number"})
    (Rows(2 rows of age), {1: "column 'age': 'old' is no number"})
    """
    faults: dict[int, str] = {}
    columns: dict[str, list[Any]] = {}
    for name, kind in kinds.items():
        if kind != "ignore" and name in rows:
            columns[name] = _convert(name, rows[name], CONVERT[kind], faults)
    return Rows(columns), faults


def _convert(name: str, values: list[Any], read: Callable[[Any], Any], faults: dict[int, str]) -> list[Any]:
    # The type is part of the key: 1, 1.0 and True are one key of a dict but not one label.
    seen: dict[tuple[type, Any], Any] = {}
    out: list[Any] = []
    for i, value in enumerate(values):
        key = (type(value), value)
        if key not in seen:
            try:
                seen[key] = read(value)
            except CellFault as error:
                faults.setdefault(i, f"column {name!r}: {error}")
                out.append(None)
                continue
        out.append(seen[key])
    return out
