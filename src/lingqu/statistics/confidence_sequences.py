"""Intervals that hold the truth at all times at once, however often one looks.

A share: the set of m for which B(s + 1, f + 1) / (m^s (1 - m)^f) < 1/alpha, s successes and f failures: the uniform
mixture of all likelihood ratios against m (Robbins 1970). A mean of values in [0, 1]: the predictable plug-in empirical
Bernstein sequence, sum(l x)/sum(l) ± (log(2/alpha) + sum(v psi(l))) / sum(l), psi(l) = (-log(1 - l) - l) / 4,
v_i = 4 (x_i - mean_{i-1})² (Waudby-Smith and Ramdas 2024, JRSS-B 86(1), theorem 2).
"""

from __future__ import annotations

from collections.abc import Callable
from math import lgamma, log

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lingqu.statistics.intervals import Interval


def share_sequence(successes: int, trials: int, confidence: float = 0.95) -> Interval:
    """The interval of a share after so many trials; those of all numbers of trials hold the truth together.

    >>> low, high = share_sequence(45, 50)
    >>> round(low, 3), round(high, 3)
    (0.712, 0.984)
    """
    failures = trials - successes
    evidence = lgamma(successes + 1) + lgamma(failures + 1) - lgamma(trials + 2)
    bound = -log(1 - confidence)

    def kept(m: float) -> bool:
        # 0 log 0 is 0: no success says nothing against a share of 0.
        against = (successes * log(m) if successes else 0.0) + (failures * log(1 - m) if failures else 0.0)
        return evidence - against < bound

    middle = min(max(successes / trials, 1e-12), 1 - 1e-12) if trials else 0.5
    low = 0.0 if not successes else _edge(kept, 0.0, middle)
    high = 1.0 if not failures else _edge(kept, 1.0, middle)
    return Interval(low, high)


def _edge(kept: Callable[[float], bool], outside: float, inside: float) -> float:
    """Where, between a share that is not kept and one that is, the keeping begins."""
    for _ in range(60):
        middle = (outside + inside) / 2
        if kept(middle):
            inside = middle
        else:
            outside = middle
    return outside


def mean_sequence(values: ArrayLike, confidence: float = 0.95) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The interval of a mean after each value: two of float (..., values), low and high, which never widen.

    `values` float (..., values) in [0, 1], in the order in which they came; ValueError for any other.

    >>> low, high = mean_sequence(np.full(200, 0.25))
    >>> bool(low[-1] < 0.25 < high[-1]), round(float(high[-1] - low[-1]), 2)
    (True, 0.07)
    """
    x = np.asarray(values, dtype=float)
    if x.size and not (x.min() >= 0 and x.max() <= 1):
        raise ValueError(f"values in 0..1 expected, found {x.min():g} to {x.max():g}")
    t = np.arange(1, x.shape[-1] + 1)
    mean = (0.5 + np.cumsum(x, axis=-1)) / (t + 1)
    variance = (0.25 + np.cumsum((x - mean) ** 2, axis=-1)) / (t + 1)
    # A bet, and the mean that its variance is taken around, may know only what came before.
    before = np.concatenate([np.full((*x.shape[:-1], 1), 0.25), variance[..., :-1]], axis=-1)
    past = np.concatenate([np.full((*x.shape[:-1], 1), 0.5), mean[..., :-1]], axis=-1)
    bound = np.log(2 / (1 - confidence))
    bet = np.minimum(np.sqrt(2 * bound / (before * t * np.log1p(t))), 0.5)
    cost = (x - past) ** 2 * (-np.log1p(-bet) - bet)
    total = np.cumsum(bet, axis=-1)
    centre, half = np.cumsum(bet * x, axis=-1) / total, (bound + np.cumsum(cost, axis=-1)) / total
    low = np.maximum.accumulate(np.clip(centre - half, 0.0, 1.0), axis=-1)
    return low, np.minimum.accumulate(np.clip(centre + half, 0.0, 1.0), axis=-1)
