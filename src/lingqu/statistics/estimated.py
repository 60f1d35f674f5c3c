"""Accuracy without labels: what confidences say of rows whose truth has not come yet.

A calibrated model that is 80 % sure is right four times in five, so the mean confidence of new answers estimates their
accuracy. Here confidence is first translated by labelled rows of the reference: in bins of equal size, the share that was
right. The interval adds the chance in the new rows to that in the reference. (NannyML calls this CBPE.)

It is an estimate under assumptions, and never replaces labels: what changed may be which rows come (then it follows), and
must not be what is right for a row (then it sees nothing); the reference must hold rows like the new ones.
Source: Guillory et al. 2021, arXiv 2107.03315; NannyML, "Confidence-based performance estimation".
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from lingqu.statistics.calibration import BINS, by_confidence
from lingqu.statistics.intervals import Interval

_NORMAL = NormalDist()
ASSUMES = (
    "assumes that what is right for a row has not changed and that confidences mean what they meant on held-out rows"
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """An accuracy that nobody has seen yet, and where it lies if the assumptions hold.

    >>> Estimate(0.873, Interval(0.84, 0.905), 400).sentence()
    'Estimated accuracy 0.873 (0.840 to 0.905) of 400 rows without labels: assumes that what is right for a row has not changed and that confidences mean what they meant on held-out rows.'
    """

    value: float
    interval: Interval
    rows: int

    def sentence(self) -> str:
        """The estimate with its interval and its assumptions."""
        low, high = self.interval
        return f"Estimated accuracy {self.value:.3f} ({low:.3f} to {high:.3f}) of {self.rows:,} rows without labels: {ASSUMES}."


def estimated_accuracy(
    confidence: ArrayLike, known: ArrayLike, right: ArrayLike, *, bins: int = BINS, level: float = 0.95
) -> Estimate:
    """The accuracy of answers with these confidences, float (rows,), judged by labelled rows of a reference.

    `known` float (reference rows,) are the confidences there, `right` bool (reference rows,) whether the answers were.
    ValueError when either has no rows.

    >>> rng = np.random.default_rng(0)
    >>> known, now = rng.uniform(0.5, 1, 2000), rng.uniform(0.5, 0.7, 300)
    >>> found = estimated_accuracy(now, known, rng.random(2000) < known)
    >>> round(found.value, 1)
    0.6
    """
    new, old = np.asarray(confidence, dtype=float), np.asarray(known, dtype=float)
    good = np.asarray(right, dtype=bool)
    if not len(new) or not len(old):
        raise ValueError(f"rows on both sides expected, found {len(new)} and {len(old)}")
    parts = by_confidence(old, bins=bins)
    edges = np.array([(old[a].max() + old[b].min()) / 2 for a, b in pairwise(parts)])
    share = np.bincount(np.searchsorted(edges, new, "left"), minlength=len(parts)) / len(new)
    # One row is added to each bin that was half right, so that a bin without an error is not certain.
    sizes = np.array([len(rows) + 1.0 for rows in parts])
    accuracy = np.array([good[rows].sum() + 0.5 for rows in parts]) / sizes
    value = float(share @ accuracy)
    chance = float(share @ (accuracy * (1 - accuracy))) / len(new)
    doubt = float(share**2 @ (accuracy * (1 - accuracy) / sizes))
    half = _NORMAL.inv_cdf(0.5 + level / 2) * sqrt(chance + doubt)
    return Estimate(value, Interval(max(0.0, value - half), min(1.0, value + half)), len(new))
