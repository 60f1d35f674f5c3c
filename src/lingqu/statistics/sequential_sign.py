"""The sequential sign test: which of two models is right more often, looked at after every label.

Only rows on which exactly one model is right count. If the challenger is no better, each of them is a win with a
probability of at most 1/2, and E = mean over p in a grid of prod (2p)^win (2(1-p))^loss is an e-process: over all looks
together it reaches 1/alpha with probability alpha at most, so one may stop whenever one likes.
Source: Wald 1945 (the likelihood ratio), Ville 1939 (the bound), Robbins 1970 (the mixture).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, inf

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lingqu.statistics.evalues import anytime_p, crosses, log_mean_exp

GRID = np.linspace(0.52, 0.95, 44)
"""Shares of wins that the mixture bets on: from a lead that needs thousands of labels to one that needs a dozen."""

_WIN, _LOSS = np.log(2 * GRID), np.log(2 * (1 - GRID))


@dataclass(frozen=True, slots=True)
class SignTest:
    """How the comparison stands; small enough to be kept between two labels.

    >>> test = SignTest()
    >>> for won in [True] * 10:
    ...     test = test.after(won)
    >>> test.wins, round(test.evalue, 1), test.decides(0.05)
    (10, 127.3, True)
    """

    wins: int = 0
    losses: int = 0
    log_highest: float = 0.0
    """The logarithm of the largest e-value so far."""

    def after(self, won: bool) -> SignTest:
        """The test with one more row on which exactly one model is right: the challenger, if `won`."""
        wins, losses = self.wins + bool(won), self.losses + (not won)
        return replace(self, wins=wins, losses=losses, log_highest=max(self.log_highest, _log_evalue(wins, losses)))

    @property
    def rows(self) -> int:
        """On how many rows exactly one of the two was right."""
        return self.wins + self.losses

    @property
    def evalue(self) -> float:
        """The evidence now, against "the challenger is no better"."""
        log_now = _log_evalue(self.wins, self.losses)
        return exp(log_now) if log_now < 700 else inf

    @property
    def p(self) -> float:
        """A p-value that stays valid however often one looks."""
        return anytime_p(self.log_highest)

    def decides(self, alpha: float) -> bool:
        """Whether the evidence ever reached 1/alpha."""
        return crosses(self.log_highest, alpha)

    def sentence(self) -> str:
        """How the comparison stands, in words.

        >>> SignTest(30, 20, 0.9).sentence()
        'Of 50 rows on which exactly one model is right, the challenger won 30: p = 0.41, valid at any look.'
        """
        p = f"p = {self.p:.2g}" if self.p >= 1e-4 else "p < 0.0001"
        return (
            f"Of {self.rows:,} rows on which exactly one model is right, the challenger won {self.wins:,}: {p}, valid at any "
            "look."
        )


def sign_evalues(won: ArrayLike) -> NDArray[np.float64]:
    """The logarithm of the e-value after each discordant row, float (..., rows) for bool (..., rows).

    >>> np.exp(sign_evalues([True, True, False])).round(3).tolist()
    [1.47, 2.225, 0.99]
    """
    wins = np.asarray(won, dtype=bool)
    cumulative = np.cumsum(wins, axis=-1)[..., None]
    losses = np.arange(1, wins.shape[-1] + 1)[:, None] - cumulative
    return log_mean_exp(cumulative * _WIN + losses * _LOSS)


def _log_evalue(wins: int, losses: int) -> float:
    return float(log_mean_exp(wins * _WIN + losses * _LOSS))
