"""Maximum mean discrepancy: whether two samples of vectors come from one distribution, by a permutation test.

MMD² = mean k(x, x') + mean k(y, y') - 2 mean k(x, y) over different rows, k a Gaussian kernel as wide as the median
distance. The kernel is computed once; exchanging rows between the samples only changes which of its cells are added, so
500 permutations are one product of matrices. p = (1 + permutations at least as far apart) / (1 + permutations) is exact.
Source: Gretton et al. 2012, JMLR 13; Rabanser et al. 2019, "Failing Loudly", arXiv 1810.11953.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST_ROWS = 500
REPEATS = 500


class Discrepancy(NamedTuple):
    """The unbiased MMD² and its p-value, which cannot be below 1 / (1 + permutations)."""

    squared: float
    p: float


def mmd(first: Floats, second: Floats, *, repeats: int = REPEATS, most: int = MOST_ROWS, seed: int = 0) -> Discrepancy:
    """Tests whether two samples of vectors, float (rows, width), come from one distribution.

    At most `most` rows of each are used, drawn at random; with fewer than two of either, p is 1. The columns should be on
    one scale.

    >>> rng = np.random.default_rng(0)
    >>> mmd(rng.normal(0, 1, (100, 4)), rng.normal(0.8, 1, (100, 4))).p < 0.01
    True
    """
    rng = np.random.default_rng(seed)
    a, b = (_some(sample, most, rng) for sample in (first, second))
    n, m = len(a), len(b)
    if min(n, m) < 2:
        return Discrepancy(0.0, 1.0)
    kernel = _kernel(np.concatenate([a, b]))
    whole = np.arange(n + m) < n
    orders = np.argsort(rng.random((repeats, n + m)), axis=1)
    members = np.concatenate([whole[None], whole[orders]]).astype(float)
    values = _squared(kernel, members, n, m)
    # Sums in another order may differ in the last digit; equal distances must count as equal.
    as_far = int(np.sum(values[1:] >= values[0] - 1e-12))
    return Discrepancy(float(values[0]), (1 + as_far) / (1 + repeats))


def _squared(kernel: Floats, members: Floats, n: int, m: int) -> Floats:
    """The unbiased MMD² for each way of dividing the rows, given as 0 or 1 (ways, rows); the diagonal must be 0."""
    inside = members @ kernel
    xx = np.sum(inside * members, axis=1)
    xy = inside.sum(axis=1) - xx
    yy = kernel.sum() - xx - 2 * xy
    return xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m)


def _kernel(rows: Floats) -> Floats:
    """The Gaussian kernel of all pairs, with an empty diagonal."""
    lengths = np.sum(rows * rows, axis=1)
    apart = np.maximum(lengths[:, None] + lengths - 2 * rows @ rows.T, 0.0)
    typical = float(np.median(apart[np.triu_indices(len(rows), 1)]))
    kernel = np.exp(-apart / (typical if typical > 0 else 1.0))
    np.fill_diagonal(kernel, 0.0)
    return kernel


def _some(sample: Floats, most: int, rng: np.random.Generator) -> Floats:
    rows = np.asarray(sample, dtype=float)
    return rows if len(rows) <= most else rows[rng.choice(len(rows), most, replace=False)]
