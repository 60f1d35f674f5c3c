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
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from typing import Any

from lingqu.contract import Rows
from lingqu.data.distinct import Distinct
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
    seen = Inference(known)
    seen.add(rows)
    return seen.kinds(rows.names, known)


class Inference:
    """What kinds columns are, found while their rows pass by; of `known` columns nothing needs to be found.

    >>> seen = Inference()
    >>> for age in ("30", "41"):
    ...     seen.add(Rows({"age": [age]}))
    >>> seen.kinds(["age", "never seen"])
    {'age': 'number', 'never seen': 'ignore'}
    """

    def __init__(self, known: Collection[str] = ()) -> None:
        self._known = known
        self._columns: dict[str, _Column] = {}

    def add(self, rows: Rows) -> None:
        """Look at some more rows; they may lack columns of earlier ones and have others."""
        for name in rows.names:
            if name not in self._known:
                self._columns.setdefault(name, _Column(name)).add(rows[name])

    def kinds(self, names: Iterable[str], given: Mapping[str, str] | None = None) -> dict[str, str]:
        """The kind of each of these columns; those of `given` are as it says."""
        known = given or {}
        return {name: known.get(name) or self._columns.get(name, _Column(name)).kind() for name in names}


class _Column:
    """What is known of the values of one column so far, of which none is kept."""

    def __init__(self, name: str) -> None:
        self._name = name.strip()
        self._pictures = False
        self._truths = True
        self._numbers = self._times = self._longest = 0
        self._codes, self._whole, self._keys = False, True, True
        # Values that are no text may be spelled as texts are: 1 and "1" are two values and one name.
        self._texts, self._others, self._names = Distinct(), Distinct(), Distinct()

    def add(self, values: Iterable[Any]) -> None:
        """Some more cells, each different one looked at once."""
        counts = Counter(values)
        self._pictures = self._pictures or any(isinstance(value, bytes) for value in counts)
        if self._pictures:
            return
        present = {value: count for value, count in counts.items() if value is not None and not _is_missing(value)}
        texts = {value: count for value, count in present.items() if isinstance(value, str)}
        others = {value: count for value, count in present.items() if not isinstance(value, str)}
        self._texts.add(texts)
        if others:
            self._others.add(others)
            self._names.add(Counter(str(value) for value in others))
        self._truths = self._truths and all(isinstance(value, bool) for value in present)
        for value, count in present.items():
            self._look(value, count)

    def _look(self, value: Any, count: int) -> None:
        spelled = str(value)
        self._longest = max(self._longest, len(spelled))
        self._keys = self._keys and _KEY_TEXT.fullmatch(spelled.strip()) is not None
        if isinstance(value, str) and value.strip()[:1].isalpha():
            # Neither a number nor a time nor a code begins with a letter.
            self._whole = False
            return
        self._codes = self._codes or looks_like_code(value)
        try:
            number = to_number(value)
            self._numbers += count
        except CellFault:
            number = None
        self._whole = self._whole and number is not None and number.is_integer()
        with suppress(CellFault):
            to_time(value)
            self._times += count

    def kind(self) -> str:
        """What kind the values so far say the column is."""
        present = self._texts.total + self._others.total
        if self._pictures:
            return "image"
        if not present:
            return "ignore"
        if self._truths:
            return "category"
        if self._numbers / present >= MOSTLY:
            return self._number_kind(present)
        return "time" if self._times / present >= MOSTLY else self._word_kind(present)

    def _number_kind(self, present: int) -> str:
        distinct = self._texts.count + self._others.count
        if self._codes:
            return "category" if _is_few(distinct, present) else "id"
        if _POSTAL_NAME.fullmatch(self._name) and distinct <= 0.5 * present:
            return "category"
        if distinct == present >= 20 and self._whole and _ID_NAME.fullmatch(self._name):
            return "id"
        return "number"

    def _word_kind(self, present: int) -> str:
        distinct = self._texts.joined_by(self._names) if self._names.total else self._texts.count
        if _is_few(distinct, present) and self._longest <= 100:
            return "category"
        if distinct >= 0.95 * present and self._keys:
            return "id"
        return "id" if _ID_NAME.fullmatch(self._name) and self._longest <= 64 else "text"


def _is_missing(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in MISSING
    return isinstance(value, float) and math.isnan(value)


def _is_few(distinct: int, present: int) -> bool:
    # In a small table nearly every value is new, so names there must come back to be a category.
    if present < 2 * FEW:
        return distinct <= max(2, 0.6 * present)
    return distinct <= max(FEW, 0.02 * present)


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
