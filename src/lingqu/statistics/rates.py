"""Whether something rare has become more frequent: unseen categories, missing values, refusals.

If the rate is the same in both samples, then of all events that were seen, each fell into the second one with
probability n2 / (n1 + n2): p = P(X >= events there), X ~ Binomial(all events, n2 / (n1 + n2)). It is exact for Poisson
counts and errs less often than it says for shares, whatever the rate, also when the first sample saw none.
Source: Przyborowski and Wilenski 1940, Biometrika 31(3).
"""

from __future__ import annotations

from typing import NamedTuple

from lingqu.statistics.beta import binomial_at_least


class Rates(NamedTuple):
    """The rate before, the rate now, and the one-sided p-value against "it is no higher now"."""

    before: float
    now: float
    p: float


def rate_rise(before: int, rows_before: int, now: int, rows_now: int) -> Rates:
    """Tests whether events are more frequent now than before; without rows in either sample, p is 1.

    >>> found = rate_rise(0, 2000, 6, 300)
    >>> found.now, found.p < 1e-4
    (0.02, True)
    """
    if not rows_before or not rows_now:
        return Rates(before / max(1, rows_before), now / max(1, rows_now), 1.0)
    p = binomial_at_least(now, before + now, rows_now / (rows_before + rows_now))
    return Rates(before / rows_before, now / rows_now, p)


def above_rate(events: int, rows: int, rate: float) -> float:
    """The exact one-sided p-value of so many events in so many rows against "the rate is at most this".

    >>> round(above_rate(3, 100, 0.01), 4)
    0.0794
    """
    return binomial_at_least(events, rows, rate)
