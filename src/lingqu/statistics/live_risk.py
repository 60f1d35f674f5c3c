"""Live risk: whether a served model errs more often than it may, looked at after every label.

For losses x in [0, 1] and "the mean loss is at most r0", E = mean over p in a grid above r0 of prod (1 + b_p (x - r0))
with b_p = (p - r0) / (r0 (1 - r0)). For errors that are 0 or 1 each factor is the likelihood ratio of p against r0. It
is an e-process: while the model keeps its risk, all looks together reach 1/alpha with probability alpha at most.

A model that was good for long has lost such a game so thoroughly that it could break unseen. So a new game begins every
50 labels: the j-th is given 1 / (j (j + 1)) of the stake, which waits until then, and their sum is an e-process too.

Labels must come from rows that were chosen without looking at whether they are right, in the order in which they come.
Source: Podkopaev and Ramdas 2022, arXiv 2110.06177; Waudby-Smith and Ramdas 2024, JRSS-B 86(1) (bets on bounded means);
Shin, Ramdas and Rinaldo 2022, arXiv 2203.03532 (games that begin later).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lingqu.statistics.evalues import anytime_p, crosses, log_mean_exp

WARN, ACT = 0.05, 0.01
EVERY = 50
"""After so many labels another game begins."""
_ABOVE = np.geomspace(0.02, 0.9, 20)
"""How far above the limit the grid lies, as shares of the way to 1."""


@dataclass(frozen=True, slots=True)
class LiveRisk:
    """What the labels so far say about a limit on the mean loss.

    >>> found = live_risk([1, 1, 1, 0, 1, 1], limit=0.12)
    >>> found.level, found.first_act
    ('act', 6)
    """

    limit: float
    labels: int
    losses: float
    log_evalue: float
    log_highest: float
    first_warn: int | None
    """After how many labels the evidence first reached 1/0.05."""
    first_act: int | None
    """After how many labels it first reached 1/0.01."""

    @property
    def evalue(self) -> float:
        """The evidence now, against "the mean loss is at most the limit"."""
        return exp(self.log_evalue) if self.log_evalue < 700 else inf

    @property
    def p(self) -> float:
        """A p-value that stays valid however often one looks."""
        return anytime_p(self.log_highest)

    @property
    def level(self) -> str:
        """quiet, warn (alpha 0.05) or act (alpha 0.01); once reached it stands."""
        return "act" if crosses(self.log_highest, ACT) else "warn" if crosses(self.log_highest, WARN) else "quiet"


def live_risk(losses: ArrayLike, limit: float) -> LiveRisk:
    """Tests, after each label, whether the mean loss is above a limit.

    `losses` float (labels,) in [0, 1], in the order in which they came: 1 for an error, 0 for a right answer. `limit` is
    strictly between 0 and 1; ValueError otherwise, and for losses outside [0, 1].
    """
    values = np.asarray(losses, dtype=float)
    running = risk_evalues(values, limit)
    now, highest = (float(running[-1]), max(0.0, float(running.max()))) if len(running) else (0.0, 0.0)
    return LiveRisk(
        limit,
        len(values),
        float(values.sum()),
        now,
        highest,
        *(_first(running >= -np.log(alpha)) for alpha in (WARN, ACT)),
    )


def risk_evalues(losses: NDArray[np.float64], limit: float) -> NDArray[np.float64]:
    """The logarithm of the e-value after each label, float (..., labels) for losses (..., labels).

    >>> np.exp(risk_evalues(np.array([0.0, 1.0]), 0.5)).round(2).tolist()
    [0.88, 0.94]
    """
    if not 0 < limit < 1:
        raise ValueError(f"a limit between 0 and 1 expected, found {limit!r}")
    if losses.size and not (losses.min() >= 0 and losses.max() <= 1):
        raise ValueError(f"losses in 0..1 expected, found {losses.min():g} to {losses.max():g}")
    above = limit + (1 - limit) * _ABOVE
    bets = (above - limit) / (limit * (1 - limit))
    fortune = np.cumsum(np.log1p((losses - limit)[..., None] * bets), axis=-2)
    starts = np.arange(0, losses.shape[-1], EVERY)
    # A game that begins after s labels has won exp(fortune[t] - fortune[s]), times its share of the stake.
    before = np.concatenate([np.zeros_like(fortune[..., :1, :]), fortune[..., starts[1:] - 1, :]], axis=-2)
    stakes = -np.log((np.arange(len(starts)) + 1.0) * (np.arange(len(starts)) + 2.0))[:, None]
    begun_with = np.logaddexp.accumulate(stakes - before[..., : len(starts), :], axis=-2)
    game = np.arange(losses.shape[-1]) // EVERY
    total = log_mean_exp(fortune + begun_with[..., game, :])
    # What later games are given waits: 1 / (games begun + 1) of the stake.
    return np.logaddexp(total, -np.log(game + 2.0))


def _first(reached: NDArray[np.bool_]) -> int | None:
    return int(reached.argmax()) + 1 if reached.any() else None
