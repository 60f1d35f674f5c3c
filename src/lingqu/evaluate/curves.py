"""ROC and precision-recall curves with 95 % bands, one label against the rest.

A band holds, at each point of the grid, the middle 95 % of the curves of resamples; where every resample agrees the
exact interval of a share takes its place, for a spread of zero would claim a certainty that is not there.
Sources: Fawcett 2006, "An introduction to ROC analysis" (vertical averaging); Davis and Goadrich 2006, "The relationship
between Precision-Recall and ROC curves" (precision is never interpolated on a line).

>>> judged = Judged("labels", ("a", "b"), np.array([0, 0, 1, 1]), np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.2, 0.8]]))
>>> found = curves(judged, repeats=50)
>>> found["labels"][0]["label"], found["labels"][0]["roc"]["value"][-1], found["labels"][0]["recall"]["value"][0]
('b', 1.0, 1.0)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lingqu.evaluate.judged import Judged
from lingqu.evaluate.measures import Groups
from lingqu.metrics.metric import Array
from lingqu.statistics import clopper_pearson
from lingqu.statistics.resample import counts

REPEATS = 200
MOST_LABELS = 30
"""Of more labels than this the most frequent have curves."""
# Most models are told apart at small rates of false alarms, so the grid is finer there.
GRID: NDArray[np.float64] = np.unique(np.round([*np.linspace(0, 1, 41), 0.0025, 0.005, 0.01, 0.015, 0.02, 0.035], 4))

Floats = NDArray[np.float64]


def curves(judged: Judged, *, repeats: int = REPEATS, seed: int = 0, groups: Groups = None) -> dict[str, Any]:
    """The grid, and per label two curves over it: `roc` (share found by share of false alarms) and `recall` (precision by share found).

    Each curve is value, low and high, lists as long as `grid`. Of two labels the second is the one that is sought; of
    more, `mean` is the mean over the labels, whose band has no exact interval to fall back on.
    """
    chosen = _chosen(judged)
    found: list[dict[str, Any]] = []
    means: list[tuple[Floats, Floats]] = []
    drawn = [*counts(len(judged), repeats, seed=seed, groups=groups)]
    for label in chosen:
        one = _Sorted(judged.truth == label, judged.prediction[:, label])
        own = np.concatenate([one.curves(part) for part in drawn], axis=1)  # (2, repeats, grid)
        whole = one.curves(np.ones((1, len(judged))))[:, 0]
        found.append(
            {
                "label": judged.labels[label],
                "rows": one.positive,
                "roc": _told(whole[0], own[0], one.exact(whole[0], one.positive) if groups is None else None),
                "recall": _told(whole[1], own[1], one.exact(whole[1], one.found_at(GRID)) if groups is None else None),
            }
        )
        means.append((whole, own))
    told: dict[str, Any] = {"grid": GRID.tolist(), "labels": found, "left_out": _occurring(judged) - len(chosen)}
    if len(means) > 1:
        whole, own = (np.mean([pair[i] for pair in means], axis=0) for i in (0, 1))
        told["mean"] = {"roc": _told(whole[0], own[0], None), "recall": _told(whole[1], own[1], None)}
    return told


def _occurring(judged: Judged) -> int:
    """How many labels could have a curve: some rows are of it and some are not."""
    times = np.bincount(judged.truth, minlength=len(judged.labels))
    some = int(((times > 0) & (times < len(judged))).sum())
    return min(some, 1) if len(judged.labels) == 2 else some


def _chosen(judged: Judged) -> list[int]:
    times = np.bincount(judged.truth, minlength=len(judged.labels))
    wanted = [1] if len(judged.labels) == 2 else np.argsort(-times, kind="stable").tolist()
    return sorted([label for label in wanted if 0 < times[label] < len(judged)][:MOST_LABELS])


class _Sorted:
    """The rows of one label against the rest, from the highest score down; rows of one score pass together."""

    def __init__(self, own: Array, scores: Array) -> None:
        self._order = np.argsort(-scores, kind="stable")
        self._ends = np.append(np.flatnonzero(np.diff(scores[self._order])), len(scores) - 1)
        self._own = own[self._order].astype(float)
        self.positive = int(own.sum())

    def curves(self, drawn: Floats) -> Floats:
        """Both curves on the grid for each line of counts, (2, lines, grid); nan where a resample lacks a side."""
        part = np.take(drawn, self._order, axis=1)
        true = np.cumsum(part * self._own, axis=1)[:, self._ends]
        false = np.cumsum(part * (1 - self._own), axis=1)[:, self._ends]
        lines = np.full((2, len(drawn), len(GRID)), np.nan)
        for i, (t, f) in enumerate(zip(true, false, strict=True)):
            if t[-1] > 0 and f[-1] > 0:
                lines[0, i] = _at_false_alarms(t / t[-1], f / f[-1])
                lines[1, i] = _at_recall(t, f)
        return lines

    def exact(self, values: Floats, out_of: Any) -> tuple[Floats, Floats]:
        """The exact interval of each share of so many rows."""
        trials = np.broadcast_to(out_of, values.shape)
        pairs = {
            (v, n): clopper_pearson(round(v * n), int(n)) for v, n in zip(values.tolist(), trials.tolist(), strict=True)
        }
        ends = np.array([pairs[v, n] for v, n in zip(values.tolist(), trials.tolist(), strict=True)])
        return ends[:, 0], ends[:, 1]

    def found_at(self, recall: Floats) -> Floats:
        """How many rows are called the label when this share of it is found."""
        true, every = np.cumsum(self._own)[self._ends], self._ends + 1
        place = np.searchsorted(true, np.maximum(recall, 1e-9) * self.positive - 1e-9)
        return every[np.minimum(place, len(every) - 1)].astype(float)


def _at_false_alarms(found: Floats, alarms: Floats) -> Floats:
    """The share found at each share of false alarms; between two thresholds a coin may choose, so the line is straight."""
    return np.interp(GRID, np.concatenate([[0.0], alarms]), np.concatenate([[0.0], found])) * (GRID > 0) + (
        found[alarms == 0].max(initial=0.0) * (GRID == 0)
    )


def _at_recall(true: Floats, false: Floats) -> Floats:
    """The precision at the first threshold that finds this share."""
    place = np.searchsorted(true, np.maximum(GRID, 1e-9) * true[-1] - 1e-9)
    place = np.minimum(place, len(true) - 1)
    return true[place] / np.maximum(true[place] + false[place], 1e-12)


def _told(value: Floats, resampled: Floats, exact: tuple[Floats, Floats] | None) -> dict[str, list[float]]:
    low, high = np.nanquantile(resampled, [0.025, 0.975], axis=0)
    if exact is not None:
        flat = high - low < 1e-9
        low, high = np.where(flat, exact[0], low), np.where(flat, exact[1], high)
    low, high = np.minimum(low, value), np.maximum(high, value)
    return {name: np.round(line, 4).tolist() for name, line in (("value", value), ("low", low), ("high", high))}
