"""A t-test of a mean whose rows may come in groups.

With u_g the sum of (value - limit) over the rows of group g, t = sum(u) / sqrt(G/(G-1) sum((u - mean(u))²)), compared
with Student's t on G - 1 degrees of freedom; with groups of one row it is the ordinary one-sample t-test.
Source: Student 1908; Liang and Zeger 1986 and Cameron and Miller 2015 for groups.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lingqu.statistics.beta import student_below


class MeanTest(NamedTuple):
    """The mean and the one-sided p-value against "it is at least the limit"."""

    mean: float
    p: float


def mean_below(values: NDArray[np.float64], limit: float, groups: NDArray[np.int64] | None = None) -> MeanTest:
    """Tests whether the true mean is below a limit.

    >>> test = mean_below(np.array([-1.0, -0.8, -1.2, -0.9]), 0.0)
    >>> round(test.mean, 3), test.p < 0.01
    (-0.975, True)
    """
    shifted = values - limit
    if groups is not None:
        _, index = np.unique(groups, return_inverse=True)
        shifted = np.bincount(index, weights=shifted)
    size, total = len(shifted), float(shifted.sum())
    variance = float(np.sum((shifted - total / max(1, size)) ** 2)) * size / (size - 1) if size > 1 else 0.0
    mean = float(values.mean())
    if variance <= 0:
        # Without any spread nothing can be tested, so nothing is claimed.
        return MeanTest(mean, 1.0)
    return MeanTest(mean, student_below(total / sqrt(variance), size - 1))
