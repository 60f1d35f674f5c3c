"""How a fixed error budget is spent over rounds that nobody has counted beforehand.

Round k may be wrong with probability alpha / (k (k + 1)); over all rounds for ever these sum to alpha.
"""

from __future__ import annotations

LEAST_ALPHA = 0.001
MOST_ROUNDS = 30


def alpha_at(round: int, alpha: float = 0.05) -> float:
    """The error that round 1, 2, 3 … may spend.

    >>> [round(alpha_at(k), 5) for k in (1, 2, 3)]
    [0.025, 0.00833, 0.00417]
    """
    return alpha / (round * (round + 1))


def exhausted(round: int, alpha: float = 0.05) -> bool:
    """Whether a set of gate rows has been asked so often that fresh rows are due.

    >>> exhausted(6), exhausted(7)
    (False, True)
    """
    return round > MOST_ROUNDS or alpha_at(round, alpha) < LEAST_ALPHA
