"""By how much one model leads another on the same rows, with the paired test that fits the metric.

Accuracy of single rows is tested exactly (McNemar). Every other metric, and rows that come in groups, must convince the
paired bootstrap and, where rows are few or only labels count, the swap test as well; p is the larger of the two.
A lead above zero means that the second model is better, also where a smaller metric is better.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log2, sqrt
from typing import Any

import numpy as np

from lingqu.evaluate.judged import Judged
from lingqu.evaluate.measures import Groups
from lingqu.metrics import Metric
from lingqu.metrics.metric import Array
from lingqu.statistics import Score, mcnemar, paired_bootstrap, rows_needed, swap_test

RESAMPLES = 5000
MANY_ROWS = 2000
"""Above so many rows or groups the bootstrap of a ranking or a number keeps its error rate alone."""
MOST_CELLS = 2_000_000
FEW_DIFFERENCES = 100
"""So many rows or groups must differ before that is true of labels."""
NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A lead with its 95 % interval, its one-sided p-value, and its standard error.

    `bound` is the one-sided 95 % lower bound of the lead; `discordance` is the share of rows that one model alone gets
    right.

    >>> Comparison("exact McNemar test", 0.02, -0.01, 0.05, bound=0.0, p=0.06, error=0.013).test
    'exact McNemar test'
    """

    test: str
    lead: float
    low: float
    high: float
    bound: float
    p: float
    error: float
    discordance: float | None = None


def compare(
    metric: Metric, old: Judged, new: Judged, *, groups: Groups = None, seed: int = 0, resamples: int = RESAMPLES
) -> Comparison:
    """The lead of the new answers over the old ones in a metric.

    >>> from lingqu.metrics import find_metric
    >>> truth = np.zeros(100, dtype=int)
    >>> some, most = (Judged("labels", ("a", "b"), truth, np.eye(2)[np.arange(100) % k]) for k in (1, 1))
    >>> compare(find_metric("accuracy"), some, most).p
    1.0
    """
    if metric.name == "accuracy" and groups is None:
        return _exactly(old, new, seed, resamples)
    return _resampled(metric, old, new, groups=groups, seed=seed, resamples=resamples)


def rows_to_show(found: Comparison, effect: float, alpha: float, rows: int) -> int:
    """How many rows show a lead of this size four times in five, from what so many rows have shown of its spread.

    However clear the lead, a fair coin wins k rows in a row with probability 1/2^k, so that many rows must differ.

    >>> rows_to_show(Comparison("exact McNemar test", 0.02, -0.01, 0.05, 0.0, p=0.12, error=0.012), 0.02, 0.05, 135)
    301
    """
    differing = log2(1 / alpha) / max(found.discordance or 1.0, 1 / rows)
    return max(ceil(differing), rows_needed(effect, found.error * sqrt(rows), alpha=alpha))


def group_index(groups: Groups | Sequence[Any]) -> Groups:
    """Groups as numbers from zero; None when every row is a group of its own.

    >>> group_index(["anna", "bo", "anna"]).tolist(), group_index([7, 8, 9])
    ([0, 1, 0], None)
    """
    if groups is None:
        return None
    index = np.unique(np.asarray(groups), return_inverse=True)[1].astype(np.int64)
    return None if int(index.max(initial=-1)) + 1 == len(index) else index


def _exactly(old: Judged, new: Judged, seed: int, resamples: int) -> Comparison:
    test = mcnemar(old.right, new.right)
    shares = np.array([test.wins, test.losses, test.rows - test.wins - test.losses]) / test.rows
    drawn = np.random.default_rng(seed).multinomial(test.rows, shares, resamples)
    leads = (drawn[:, 0] - drawn[:, 1]) / test.rows
    low, bound, high = (float(value) for value in np.quantile(leads, [0.025, 0.05, 0.975]))
    return Comparison(
        "exact McNemar test", test.difference, low, high, bound, test.p, test.error, float(test.discordance)
    )


def _resampled(metric: Metric, old: Judged, new: Judged, *, groups: Groups, seed: int, resamples: int) -> Comparison:
    discordance = float(np.mean(old.right != new.right)) if new.kind == "labels" else None
    few = _few(metric, old, new, groups)
    name = "paired bootstrap" if groups is None else f"paired bootstrap over {int(groups.max()) + 1:,} groups"
    options: dict[str, Any] = {"repeats": resamples, "seed": seed, "groups": groups}
    together = _together(old, new, groups) if metric.labels_only else None
    if together is not None:
        old, new, alike = together
        options, few = {"repeats": resamples, "seed": seed, **alike}, True
    first, second = (_upwards(metric, one.truth, one.prediction) for one in (old, new))
    paired = paired_bootstrap(first, second, len(new), **options)
    # Where the metric is undefined for the rows there is nothing to prove, whatever some resamples say.
    if len(paired.replicates) == 0 or not np.isfinite(paired.difference):
        return Comparison(name, NAN, NAN, NAN, NAN, 1.0, NAN, discordance)
    p = paired.p_above()
    if few:
        truths, answers = (np.concatenate(pair) for pair in ((old.truth, new.truth), (old.prediction, new.prediction)))
        name, p = f"{name} and swap test", max(p, swap_test(_upwards(metric, truths, answers), len(new), **options))
    low, high = paired.interval(0.95)
    return Comparison(name, paired.difference, low, high, paired.interval(0.9).low, p, paired.error, discordance)


def _few(metric: Metric, old: Judged, new: Judged, groups: Groups) -> bool:
    """Whether there is so little to resample that the bootstrap needs the swap test beside it."""
    units = np.arange(len(new)) if groups is None else groups
    differing = units[old.guess != new.guess] if metric.labels_only else units
    return len(np.unique(units)) <= MANY_ROWS or len(np.unique(differing)) <= FEW_DIFFERENCES


def _upwards(metric: Metric, truth: Array, prediction: Array) -> Score:
    """The metric turned so that more is better."""
    scorer, sign = metric.scorer(truth, prediction), 1.0 if metric.higher_is_better else -1.0
    return lambda counts: sign * scorer(counts)


def _together(old: Judged, new: Judged, groups: Groups) -> tuple[Judged, Judged, dict[str, Any]] | None:
    """One row for each combination of truth and both labels, and how often it occurs, alone or in each kind of group.

    Rows with the same combination are interchangeable, and so are groups that hold the same ones; drawing them together
    gives the same distribution in a hundredth of the time. None where hardly any group is like another.
    """
    keys = np.stack([new.truth, old.guess, new.guess])
    _, places, cell, times = np.unique(keys, axis=1, return_index=True, return_inverse=True, return_counts=True)
    rows = old.take(places), new.take(places)
    if groups is None:
        return *rows, {"times": times.astype(np.int64)}
    held: dict[int, list[int]] = {}
    for group, one in zip(groups.tolist(), cell.ravel().tolist(), strict=True):
        held.setdefault(group, []).append(one)
    kinds = Counter(tuple(sorted(cells)) for cells in held.values())
    if len(kinds) * len(places) > MOST_CELLS:
        return None
    mix = np.stack([np.bincount(kind, minlength=len(places)) for kind in kinds]).astype(float)
    return *rows, {"times": np.array(list(kinds.values()), dtype=np.int64), "mix": mix}
