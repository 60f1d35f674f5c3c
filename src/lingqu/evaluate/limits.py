"""The limits of a spec (`f1: ">= 0.85"`, `latency_p95: "<= 20 ms"`), held against what was measured.

>>> from lingqu.spec.amounts import MILLISECONDS
>>> held = held_limits([Limit.parse("latency_p95", "<= 20 ms", MILLISECONDS)], {"latency_p95": 31.0})[0]
>>> held.passed, held.sentence
(False, 'latency_p95 is 31 ms and should be <= 20 ms.')
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lingqu.evaluate.judged import Judged
from lingqu.evaluate.slices import Slices
from lingqu.metrics import METRICS
from lingqu.spec.amounts import Limit

LEAST_ROWS = 50
"""Slices of fewer rows decide nothing."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a challenger must pass, with its numbers in a sentence.

    `missing_share` is above zero where rows are too few to judge it: so many times as many as there are would do.

    >>> Check("size", True, "size is 12 MB and should be <= 50 MB.").to_json()["passed"]
    True
    """

    name: str
    passed: bool
    sentence: str
    missing_share: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """For the record."""
        return {name: value for name, value in asdict(self).items() if name != "missing_share" or value}


def held_limits(limits: Sequence[Limit], measured: Mapping[str, float | None]) -> list[Check]:
    """A check for each limit on the whole test set; what was not measured does not pass."""
    return [_held(limit.name, limit, measured.get(limit.name)) for limit in limits]


def held_slice_limits(limits: Mapping[str, Sequence[Limit]], judged: Judged, slices: Slices) -> list[Check]:
    """A check for each limit on each slice; a column that is not there, or a slice of under 50 rows, does not pass."""
    checks: list[Check] = []
    for column, wanted in limits.items():
        parts = _parts(slices[column]) if column in slices else []
        if column not in slices:
            checks.append(Check(f"slices.{column}", False, f"there is no column '{column}' to slice by."))
        for name, inside in parts:
            if len(inside) < LEAST_ROWS:
                checks += [_too_few(limit, column, name, len(inside)) for limit in wanted]
                continue
            part = judged.take(inside)
            for limit in wanted:
                label = f"{limit.name} where {column} is {name} ({len(inside):,} rows)"
                checks.append(_held(label, limit, value_of(limit.name, part), f"{limit.name} in {column} = {name}"))
    return checks


def rows_of(names: Sequence[Any]) -> list[tuple[str, Any]]:
    """The slices of a column that have at least 50 rows, by name, each with the places of its rows."""
    return [(name, inside) for name, inside in _parts(names) if len(inside) >= LEAST_ROWS]


def _parts(names: Sequence[Any]) -> list[tuple[str, Any]]:
    """All slices of a column, whatever their size; rows without a value are in none."""
    listed = np.array(["" if name is None else str(name) for name in names])
    return [(str(name), np.flatnonzero(listed == name)) for name in np.unique(listed) if name]


def _too_few(limit: Limit, column: str, name: str, rows: int) -> Check:
    """A limit that nobody can judge is not kept: it would pass or fail by chance."""
    told = f"{limit.name} where {column} is {name} cannot be judged: not enough rows, {rows:,} of {LEAST_ROWS}."
    return Check(f"{limit.name} in {column} = {name}", False, told, LEAST_ROWS / rows - 1)


def value_of(name: str, judged: Judged) -> float | None:
    """A metric of these rows; None where it does not apply."""
    if name not in METRICS or METRICS[name].kind != judged.kind:
        return None
    return METRICS[name].function(judged.truth, judged.prediction)


def _held(label: str, limit: Limit, value: float | None, name: str = "") -> Check:
    if value is None or not np.isfinite(value):
        return Check(name or label, False, f"{label} could not be measured and should be {limit.text}.")
    shown = {"size": f"{value / 1e6:.4g} MB", "latency_p95": f"{value:.4g} ms"}.get(limit.name, f"{value:.4g}")
    return Check(name or label, bool(limit.holds(value)), f"{label} is {shown} and should be {limit.text}.")
