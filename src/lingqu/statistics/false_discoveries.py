"""Benjamini and Hochberg's correction: of what is called found, at most a share q is not there, on average.

The i-th smallest of m p-values becomes min over j >= i of min(1, m p_(j) / j). Where nothing is to be found at all, the
chance of finding anything is at most q. It holds for independent tests and for those that lean the same way.
Source: Benjamini and Hochberg 1995, JRSS-B 57(1); Benjamini and Yekutieli 2001, Annals of Statistics 29(4).
"""

from __future__ import annotations

from collections.abc import Sequence


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for their number, in their own order.

    >>> [round(p, 4) for p in benjamini_hochberg([0.01, 0.04, 0.03, 0.005])]
    [0.02, 0.04, 0.04, 0.02]
    """
    count = len(p_values)
    adjusted = [0.0] * count
    lowest = 1.0
    order = sorted(range(count), key=lambda i: p_values[i])
    for place in range(count - 1, -1, -1):
        lowest = min(lowest, p_values[order[place]] * count / (place + 1))
        adjusted[order[place]] = lowest
    return adjusted
