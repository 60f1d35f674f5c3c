"""The population stability index, as an effect size with a threshold that knows how many rows there are.

PSI = sum (q - p) log(q / p) over bins, p and q the shares of the reference and of now. Where nothing moved, PSI / (1/n +
1/m) is about chi-square with bins - 1 degrees of freedom, so what is more than chance is PSI above (1/n + 1/m) times its
quantile. The usual 0.1 and 0.25 alarm on chance when rows are few, and see nothing when they are many.
Source: Yurdakul 2018, Western Michigan University dissertation 3208; arXiv 2307.11878.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lingqu.statistics.gamma import chi_square_quantile

BINS = 10
_LEAST = 10
"""So many rows of either sample a bin expects at least."""


class Stability(NamedTuple):
    """The index, the threshold that chance alone passes with probability alpha, and how many bins were left."""

    value: float
    threshold: float
    bins: int


def stability_index(
    reference: ArrayLike, now: ArrayLike, *, bins: int = BINS, alpha: float = 0.01, least: int = _LEAST
) -> Stability:
    """The PSI of two samples of numbers, in bins that hold equal shares of the reference.

    Bins are as many as `bins` and as the samples can fill with `least` rows each; a share is taken from half a row up, so
    that an empty bin is no infinity. With one bin left, the index is 0.

    >>> rng = np.random.default_rng(0)
    >>> found = stability_index(rng.normal(0, 1, 2000), rng.normal(0.5, 1, 300))
    >>> round(found.value, 2), round(found.threshold, 2)
    (0.25, 0.08)
    """
    a, b = np.asarray(reference, dtype=float), np.asarray(now, dtype=float)
    n, m = len(a), len(b)
    asked = min(bins, min(n, m) // max(1, least))
    edges = np.unique(np.quantile(a, np.linspace(0, 1, asked + 1)[1:-1])) if asked > 1 else np.empty(0)
    count = len(edges) + 1
    if count < 2:
        return Stability(0.0, 0.0, 1)
    before, after = (
        np.maximum(np.bincount(np.searchsorted(edges, x, "left"), minlength=count), 0.5) / len(x) for x in (a, b)
    )
    index = float(np.sum((after - before) * np.log(after / before)))
    return Stability(index, (1 / n + 1 / m) * chi_square_quantile(1 - alpha, count - 1), count)
