"""Intervals for one number.

Wilson and Clopper-Pearson serve shares of rows; the percentile and BCa intervals serve anything that can be resampled.
"""

from __future__ import annotations

from functools import lru_cache
from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lingqu.statistics.beta import binomial_at_least

_NORMAL = NormalDist()


class Interval(NamedTuple):
    """Where a number lies, with its confidence.

    >>> Interval(0.2, 0.4).high
    0.4
    """

    low: float
    high: float


def wilson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a share: right on average, short, never outside 0..1.

    (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n).
    Source: Wilson 1927; Brown, Cai and DasGupta 2001, Statistical Science 16(2).

    >>> low, high = wilson(45, 50)
    >>> round(low, 3), round(high, 3)
    (0.786, 0.957)
    """
    z = _NORMAL.inv_cdf(0.5 + confidence / 2)
    share = successes / trials
    middle = share + z * z / (2 * trials)
    half = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    # At 0 and at n the formula gives exactly 0 and 1; rounding must not leave a speck.
    low = 0.0 if successes == 0 else max(0.0, (middle - half) / scale)
    high = 1.0 if successes == trials else min(1.0, (middle + half) / scale)
    return Interval(low, high)


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """The exact interval of a share: it holds the truth at least this often, whatever the share and n.

    The shares at which seeing so many, or so few, successes has probability (1 - confidence) / 2.
    Source: Clopper and Pearson 1934, Biometrika 26(4).

    >>> low, high = clopper_pearson(50, 50)
    >>> round(low, 3), high
    (0.929, 1.0)
    """
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else _share_where(successes, trials, tail)
    high = 1.0 if successes == trials else _share_where(successes + 1, trials, 1 - tail)
    return Interval(low, high)


@lru_cache(maxsize=1024)
def _share_where(successes: int, trials: int, probability: float) -> float:
    """The share at which P(X >= successes) is this; it rises with the share, so bisection finds it.

    Kept, for who watches a champion asks of the same held-out rows at every look.
    """
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if binomial_at_least(successes, trials, middle) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def percentile(replicates: NDArray[np.float64], confidence: float = 0.95) -> Interval:
    """The middle of the bootstrap replicates; replicates that are undefined (nan) are left out.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13.

    >>> percentile(np.arange(101.0), 0.5)
    Interval(low=25.0, high=75.0)
    """
    tail = (1 - confidence) / 2
    low, high = np.nanquantile(replicates, [tail, 1 - tail])
    return Interval(float(low), float(high))


def bca(
    value: float, replicates: NDArray[np.float64], jackknife: NDArray[np.float64], confidence: float = 0.95
) -> Interval:
    """The bias-corrected and accelerated bootstrap interval: second-order right where the estimate is skewed.

    alpha' = Phi(z0 + (z0 + z) / (1 - a (z0 + z))), with z0 from the share of replicates below the value
    and a = sum(d³) / (6 sum(d²)^1.5), d the jackknife's mean minus its values (one row left out each).
    Source: Efron 1987, JASA 82(397).

    >>> rng = np.random.default_rng(0)
    >>> x = rng.exponential(size=40)
    >>> means = rng.choice(x, (2000, 40)).mean(axis=1)
    >>> left_out = (x.sum() - x) / 39
    >>> low, high = bca(float(x.mean()), means, left_out)
    >>> round(low, 2), round(float(x.mean()), 2), round(high, 2)
    (0.87, 1.16, 1.62)
    """
    kept = replicates[~np.isnan(replicates)]
    # Ties count half; the ends are kept off 0 and 1, where the normal quantile is infinite.
    share = (np.sum(kept < value) + np.sum(kept == value) / 2) / len(kept)
    z0 = _NORMAL.inv_cdf(float(np.clip(share, 1 / (len(kept) + 1), len(kept) / (len(kept) + 1))))
    d = jackknife.mean() - jackknife
    spread = float(np.sum(d**2)) ** 1.5
    a = float(np.sum(d**3)) / (6 * spread) if spread > 0 else 0.0

    def place(probability: float) -> float:
        z = z0 + _NORMAL.inv_cdf(probability)
        return _NORMAL.cdf(z0 + z / (1 - a * z))

    tail = (1 - confidence) / 2
    low, high = np.quantile(kept, [place(tail), place(1 - tail)])
    return Interval(float(low), float(high))
