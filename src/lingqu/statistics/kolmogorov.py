"""The two-sample Kolmogorov-Smirnov test: whether numbers come from one distribution, whatever its shape.

D is the largest distance of the two empirical distribution functions. Its p-value is the share of all orders of the two
samples that lie as far apart: exact by counting lattice paths for small samples, and 2 sum (-1)^(k-1) exp(-2 k² n m/(n+m) D²)
for large ones. With ties it errs less often than it says.
Source: Smirnov 1939; Hodges 1958, Arkiv för Matematik 3(43) (the count of paths).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

_EXACT = 250_000
"""Up to so many pairs the orders are counted; above, the limit is right to three digits."""


class Smirnov(NamedTuple):
    """The largest distance of two distribution functions, and the p-value against "there is one distribution"."""

    distance: float
    p: float


def smirnov(first: ArrayLike, second: ArrayLike) -> Smirnov:
    """Tests whether two samples of finite numbers come from one distribution; without rows in either, p is 1.

    >>> rng = np.random.default_rng(0)
    >>> found = smirnov(rng.normal(0, 1, 300), rng.normal(0.5, 1, 300))
    >>> round(found.distance, 2), found.p < 1e-6
    (0.25, True)
    """
    a, b = np.sort(np.asarray(first, dtype=float)), np.sort(np.asarray(second, dtype=float))
    n, m = len(a), len(b)
    if not n or not m:
        return Smirnov(0.0, 1.0)
    values = np.concatenate([a, b])
    # The distance times n m is a whole number, so that equal distances are equal.
    gap = np.searchsorted(a, values, "right") * m - np.searchsorted(b, values, "right") * n
    apart = int(np.abs(gap).max())
    distance = apart / (n * m)
    p = _limit(distance, n, m)
    if n * m <= _EXACT:
        exact = 1 - _inside(apart, n, m)
        # Below this the difference from 1 is rounding, and the limit is as good.
        p = exact if exact > 1e-11 else min(p, 1e-11)
    return Smirnov(distance, min(1.0, max(0.0, p)))


def _inside(apart: int, n: int, m: int) -> float:
    """The share of lattice paths from (0, 0) to (n, m) on which |i m - j n| stays below `apart`."""
    n, m = min(n, m), max(n, m)
    paths = np.zeros(m + 1)
    paths[: min(m, (apart - 1) // n) + 1] = 1.0
    for i in range(1, n + 1):
        low, high = max(0, -((apart - 1 - i * m) // n)), min(m, (i * m + apart - 1) // n)
        row: NDArray[np.float64] = np.zeros(m + 1)
        # Divided by the number of all paths factor by factor, so that nothing overflows.
        row[low : high + 1] = np.cumsum(paths[low : high + 1]) * (i / (m + i))
        paths = row
    return float(paths[m])


def _limit(distance: float, n: int, m: int) -> float:
    squared = distance * distance * (n * m / (n + m))
    if squared < 0.04:
        return 1.0
    k = np.arange(1, 101)
    return float(2 * np.sum((-1.0) ** (k - 1) * np.exp(-2 * k * k * squared)))
