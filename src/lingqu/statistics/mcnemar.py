"""McNemar's exact test: which of two models is right more often on the same rows.

Only rows where exactly one of the two is right say anything. If the models are equally good, each such row is
a fair coin, so p = P(X >= wins) for X ~ Binomial(wins + losses, 1/2).
Source: McNemar 1947; Dietterich 1998, doi 10.1162/089976698300017197 (the acceptable test for models trained once).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike

from lingqu.statistics.beta import binomial_at_least


@dataclass(frozen=True, slots=True)
class McNemar:
    """What the rows on which two models differ say.

    >>> McNemar(wins=15, losses=5, rows=100, p=0.02).difference
    0.1
    """

    wins: int
    losses: int
    rows: int
    p: float

    @property
    def difference(self) -> float:
        """Accuracy of the second model minus that of the first."""
        return (self.wins - self.losses) / self.rows

    @property
    def discordance(self) -> float:
        """The share of rows on which exactly one model is right."""
        return (self.wins + self.losses) / self.rows

    @property
    def error(self) -> float:
        """The standard error of the difference."""
        return sqrt(max(0.0, self.discordance - self.difference**2) / self.rows)


def mcnemar(first_right: ArrayLike, second_right: ArrayLike) -> McNemar:
    """Tests, one-sided and exactly, whether the second model is right more often than the first.

    >>> result = mcnemar([True] * 80 + [False] * 20, [True] * 80 + [True] * 9 + [False] * 11)
    >>> result.wins, result.losses, round(result.p, 5)
    (9, 0, 0.00195)
    """
    first, second = np.asarray(first_right, dtype=bool), np.asarray(second_right, dtype=bool)
    wins, losses = int(np.sum(second & ~first)), int(np.sum(first & ~second))
    return McNemar(wins, losses, len(first), binomial_at_least(wins, wins + losses, 0.5))
