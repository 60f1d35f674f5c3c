"""How long something takes on a machine that others use too."""

from __future__ import annotations

import time
from collections.abc import Callable


def fewest_seconds(
    act: Callable[[], object], *, enough: float = 0.0, tries: int = 5, clock: Callable[[], float] = time.process_time
) -> float:
    """The fewest seconds that one of some tries takes; the first that takes no more than `enough` is the last.

    One measurement says little: a collection of garbage or another thread may fall into it, whatever the clock.
    """
    best = float("inf")
    for _ in range(tries):
        began = clock()
        act()
        best = min(best, clock() - began)
        if best <= enough:
            break
    return best
