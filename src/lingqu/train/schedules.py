"""How long the stride is at each moment, as a share of the learning rate; functions of progress alone, so stateless.

>>> stride("one-cycle", 0.2), stride("one-cycle", 0.6), stride("constant", 0.9)
(1.0, 0.5, 1.0)
"""

from __future__ import annotations

import math

from lingqu.errors import Problem, UnknownNameError, near

WARM = {"one-cycle": 0.2, "cosine": 0.05, "constant": 0.0}


def stride(schedule: str, progress: float) -> float:
    """The share of the learning rate at this progress, 0 to 1.

    "one-cycle" rises for a fifth and falls in a line to nothing (Smith and Topin 2018, arXiv 1708.07120); "cosine"
    rises for a twentieth and falls like half a cosine (Loshchilov and Hutter 2017); "constant" stays.

    >>> round(stride("cosine", 0.525), 3)
    0.5
    """
    if schedule not in WARM:
        raise UnknownNameError(Problem("a schedule that lingqu knows", f"'{schedule}'", near(schedule, WARM)))
    warm = WARM[schedule]
    if progress < warm:
        return max(0.04, progress / warm)
    left = (1 - progress) / (1 - warm)
    if schedule == "one-cycle":
        return left
    return 1.0 if schedule == "constant" else (1 - math.cos(math.pi * left)) / 2
