"""The error budget of a gate set: each look at it spends a part, and all parts together never exceed the whole.

Round k may spend alpha / (k (k + 1)); over all rounds that adds up to alpha. As in ease.ml/ci (arXiv 1903.00278), a
test set has a shelf life: after some rounds a fresh one is due.

>>> [round(alpha_of(k), 4) for k in (1, 2, 3)]
[0.025, 0.0083, 0.0042]
>>> AlphaRound.of(7).exhausted
True
"""

from __future__ import annotations

from typing import NamedTuple

LEAST_ALPHA = 0.001
MOST_ROUNDS = 30


class AlphaRound(NamedTuple):
    """The next look at a gate set: its number, what it may spend, and whether a fresh gate set is due instead."""

    round: int
    alpha: float
    exhausted: bool

    @classmethod
    def of(cls, number: int, alpha: float = 0.05) -> AlphaRound:
        """Round `number` of a budget of `alpha`.

        >>> AlphaRound.of(1)
        AlphaRound(round=1, alpha=0.025, exhausted=False)
        """
        part = alpha_of(number, alpha)
        return cls(number, part, part < LEAST_ALPHA or number > MOST_ROUNDS)


def alpha_of(number: int, alpha: float = 0.05) -> float:
    """What round `number`, counted from 1, may spend of a budget of `alpha`.

    >>> 0.0499 < sum(alpha_of(k) for k in range(1, 1000)) < 0.05
    True
    """
    return alpha / (number * (number + 1))
