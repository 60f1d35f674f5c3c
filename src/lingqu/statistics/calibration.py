"""The calibration error: how far confidence and the share that is right lie apart, with an interval that keeps its word.

Rows are put into bins of equal size by confidence; the error is sum over bins of n_b / n |right_b - confidence_b|. As
such it is too large, for chance alone moves every bin; so each bin's share gets an exact interval at level
1 - (1 - confidence) / bins, and the error is at least what no share in them can explain away, and at most what the worst
ones would make. All bins hold together at the stated confidence.
Source: Naeini, Cooper and Hauskrecht 2015, AAAI (the error); Clopper and Pearson 1934 with Bonferroni's bound.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lingqu.statistics.intervals import Interval, clopper_pearson

BINS = 10
_LEAST = 20


class Calibration(NamedTuple):
    """The binned calibration error, and between what the truth lies."""

    error: float
    interval: Interval
    bins: int


def calibration_error(confidence: ArrayLike, right: ArrayLike, *, bins: int = BINS, level: float = 0.95) -> Calibration:
    """The calibration error of confidences, float (rows,) in [0, 1], for answers that were right or not, bool (rows,).

    There are fewer bins where each would hold fewer than 20 rows; ValueError without rows.

    >>> rng = np.random.default_rng(0)
    >>> sure = rng.uniform(0.5, 1, 4000)
    >>> honest = calibration_error(sure, rng.random(4000) < sure)
    >>> boasting = calibration_error(sure, rng.random(4000) < sure - 0.2)
    >>> honest.interval.low, round(boasting.interval.low, 2)
    (0.0, 0.13)
    """
    sure, good = np.asarray(confidence, dtype=float), np.asarray(right, dtype=bool)
    if not len(sure):
        raise ValueError("at least one row expected, found none")
    parts = by_confidence(sure, bins=bins)
    error = low = high = 0.0
    for rows in parts:
        mean, successes, share = float(sure[rows].mean()), int(good[rows].sum()), len(rows) / len(sure)
        bounds = clopper_pearson(successes, len(rows), 1 - (1 - level) / len(parts))
        error += share * abs(successes / len(rows) - mean)
        low += share * max(0.0, bounds.low - mean, mean - bounds.high)
        high += share * max(abs(bounds.low - mean), abs(bounds.high - mean))
    return Calibration(error, Interval(low, high), len(parts))


def by_confidence(confidence: NDArray[np.float64], *, bins: int = BINS) -> list[NDArray[np.intp]]:
    """The rows in order of confidence, cut into bins of equal size and of 20 rows at least.

    >>> [len(rows) for rows in by_confidence(np.linspace(0, 1, 65))]
    [22, 22, 21]
    """
    count = max(1, min(bins, len(confidence) // _LEAST))
    return np.array_split(np.argsort(confidence, kind="stable"), count)
