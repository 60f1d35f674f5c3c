"""What e-processes have in common: sums of logarithms, so that neither a long win nor a long loss overflows.

An e-process is a gambler's fortune in a game that is fair, or unfair to them, as long as the null hypothesis holds: it
starts at 1, and whoever looks at it after every row sees it reach 1/alpha with probability alpha at most.
Source: Ville 1939; Ramdas, Grünwald, Vovk and Shafer 2023, "Game-Theoretic Statistics and Safe Anytime-Valid Inference",
Statistical Science 38(4).
"""

from __future__ import annotations

from math import exp, inf, log

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def log_mean_exp(logs: Floats) -> Floats:
    """log(mean(exp(x))) along the last axis: the fortune of one who split the stake evenly over several games.

    >>> float(np.exp(log_mean_exp(np.log([1.0, 3.0])))).__round__(9)
    2.0
    """
    top = logs.max(axis=-1, keepdims=True)
    # A game in which everything was lost has no part in the mean; where that is every game, nothing is left.
    kept = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.log(np.mean(np.exp(logs - kept), axis=-1)) + kept[..., 0]


def crosses(log_evalue: float, alpha: float) -> bool:
    """Whether an e-value is large enough to decide at level alpha: E >= 1 / alpha.

    >>> crosses(3.0, 0.05), crosses(2.9, 0.05)
    (True, False)
    """
    return log_evalue >= -log(alpha)


def anytime_p(log_highest: float) -> float:
    """The p-value that stays valid however often one looks: one over the highest fortune so far, at most 1.

    >>> round(anytime_p(3.0), 4), anytime_p(-1.0)
    (0.0498, 1.0)
    """
    return 1.0 if log_highest <= 0 else 0.0 if log_highest == inf else exp(-log_highest)
