"""Parts of the rows that are looked at one by one: each value of a column, each quarter of a number or of text length.

>>> from lingqu.contract import Rows
>>> from lingqu.tasks import find_task
>>> rows = Rows({"text": ["a b", "a b c d"], "language": ["en", None], "label": ["x", "y"]})
>>> slice_columns(find_task("text-classification"), rows)["language"]
['en', 'missing']
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from lingqu.contract import Rows, Task
from lingqu.evaluate.judged import Judged
from lingqu.evaluate.measures import Groups, measure
from lingqu.statistics import holm, mean_below

LEAST_ROWS = 30
MOST_VALUES = 50
REPEATS = 500
PROOF_OF_HARM = 0.05
Slices = Mapping[str, Sequence[str | None]]
"""For each column, the name of each row's slice; None where a row is in none."""


def slice_columns(task: Task, rows: Rows) -> dict[str, list[str | None]]:
    """Every way to part these rows: by columns that are values or numbers, by length of text, and by true label."""
    kinds = {column.name: column.kind for column in (*task.columns, task.target)}
    found: dict[str, list[str | None]] = {}
    for name in rows.names:
        kind, values = kinds.get(name, ""), rows[name]
        if kind == "text":
            found[f"{name} length"] = quarters([len(value or "") for value in values], " characters")
        elif kind == "label":
            found[name] = [str(value) for value in values]
        elif name != task.target.name and kind not in ("image", "id", "time"):
            parts = _by_value(values)
            if parts is not None:
                found[name] = parts
    return found


def _by_value(values: Sequence[Any]) -> list[str | None] | None:
    """Slices of a column by its values, or by quarters of its numbers; None where it is too diverse, or all the same."""
    known = [value for value in values if value is not None]
    if not known or any(isinstance(value, (bytes, list, dict)) for value in known):
        return None
    distinct = len({str(value) for value in known})
    numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in known)
    if numeric and distinct > 10:
        return quarters(values)
    if distinct > MOST_VALUES or distinct + (len(known) < len(values)) < 2:
        return None
    return ["missing" if value is None else _short(value) for value in values]


def _short(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:59] + "…"


def quarters(values: Sequence[float | None], unit: str = "") -> list[str | None]:
    """The quarter of the distribution that each number lies in, named by its bounds.

    >>> quarters([1, 2, 3, 4, None], " km")
    ['up to 1 km', '1 to 2 km', '2 to 3 km', 'above 3 km', 'missing']
    """
    known = np.array([float(value) for value in values if value is not None])
    if len(known) == 0:
        return ["missing"] * len(values)
    cuts = np.unique(np.quantile(known, [0.25, 0.5, 0.75], method="inverted_cdf"))
    cuts = cuts[cuts < known.max()]
    if len(cuts) == 0:
        return ["missing" if value is None else f"{known[0]:.4g}{unit}" for value in values]
    names = [f"up to {cuts[0]:.4g}{unit}"]
    names += [f"{low:.4g} to {high:.4g}{unit}" for low, high in pairwise(cuts)]
    names += [f"above {cuts[-1]:.4g}{unit}"]
    return ["missing" if v is None else names[int(np.searchsorted(cuts, float(v)))] for v in values]


def measure_slices(
    judged: Judged, slices: Slices, metric: str, *, seed: int = 0, groups: Groups = None
) -> list[dict[str, Any]]:
    """Every slice of at least 30 rows; `worse` marks those that are provably below the whole (Holm-adjusted).

    Labels are judged by accuracy: F1 and ranking metrics of a part depend on its mix of labels, not only on the model.
    """
    metric = "accuracy" if judged.kind == "labels" else metric
    cost = judged.cost
    found: list[dict[str, Any]] = []
    doubts: list[float] = []
    for column, names in slices.items():
        counted = Counter(name for name in names if name is not None)
        for name in sorted(counted, key=lambda name: _order(name, counted[name])):
            if counted[name] < LEAST_ROWS:
                continue
            places = np.array([i for i, one in enumerate(names) if one == name])
            inside = _within(groups, places)
            one = measure(judged.take(places), [metric], repeats=REPEATS, seed=seed, groups=inside)[metric]
            doubts.append(mean_below(-cost[places], -float(cost.mean()), inside).p)
            found.append({"column": column, "slice": name, "rows": counted[name], "metric": metric, **one})
    return [{**one, "p": p, "worse": p < PROOF_OF_HARM} for one, p in zip(found, holm(doubts), strict=True)]


def _order(name: str, rows: int) -> tuple[int, float]:
    """Quarters from low to high, numbers by value, other names from common to rare, what is missing at the end."""
    if name == "missing":
        return 3, 0.0
    if name.startswith(("up to ", "above ")):
        return (0, 0.0) if name.startswith("up") else (2, 0.0)
    try:
        return 1, float(name.split(" ", maxsplit=1)[0])
    except ValueError:
        return 2, -float(rows)


def _within(groups: Groups, places: np.ndarray[Any, Any]) -> Groups:
    """The groups of some rows, numbered from zero again."""
    return None if groups is None else np.unique(groups[places], return_inverse=True)[1].astype(np.int64)
