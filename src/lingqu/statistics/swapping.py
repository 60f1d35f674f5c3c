"""The swap test (approximate randomisation): exact for two equal models, whatever the metric and however few the rows.

If the models are alike, swapping their answers to any row, or to any group of rows, changes nothing but by chance; p is
the share of random swappings that lead at least as far as what was seen. The paired bootstrap needs some dozens of rows
on which the models differ before it keeps its error rate; this test does not.
Source: Noreen 1989, Computer-Intensive Methods for Testing Hypotheses; Yeh 2000, COLING, for F1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lingqu.statistics.resample import Score

_CELLS = 250_000


def swap_test(
    score: Score,
    rows: int,
    *,
    repeats: int = 5000,
    seed: int = 0,
    groups: NDArray[np.int64] | None = None,
    times: NDArray[np.int64] | None = None,
    mix: NDArray[np.float64] | None = None,
) -> float:
    """The one-sided p-value against "the second model is no better than the first".

    `score` takes counts of 2 x rows: first each row as the first model answered it, then as the second did. `times` and
    `mix` say how often equal rows, or groups of one kind, stand together, as in `counts`.

    >>> right = np.array([0.0] * 5 + [1.0] * 20 + [1.0] * 25)  # Of 25 rows the second model wins five and loses none.
    >>> p = swap_test(lambda counts: counts @ right / 25, 25)
    >>> abs(p - 1 / 32) < 0.01
    True
    """
    rng = np.random.default_rng(seed)
    kinds = np.ones(rows, dtype=np.int64) if times is None else times
    standing = kinds.astype(float) if mix is None else kinds @ mix

    def leads(swapped: NDArray[np.float64]) -> NDArray[np.float64]:
        kept = standing - swapped
        return score(np.concatenate([swapped, kept], axis=1)) - score(np.concatenate([kept, swapped], axis=1))

    def draw(some: int) -> NDArray[np.float64]:
        if groups is not None:
            return rng.integers(0, 2, (some, int(groups.max()) + 1)).astype(float)[:, groups]
        swapped = rng.binomial(kinds, 0.5, (some, len(kinds))).astype(float)
        return swapped if mix is None else swapped @ mix

    seen = leads(np.zeros((1, rows)))[0]
    as_far, step = 0, max(1, _CELLS // (2 * max(1, rows, len(kinds))))
    for start in range(0, repeats, step):
        # Sums in another order may differ in the last digit; equal leads must count as equal.
        drawn = leads(draw(min(step, repeats - start)))
        as_far += int(np.sum(~(drawn < seen - 1e-12 * max(1.0, abs(seen)))))
    return (1 + as_far) / (1 + repeats)
