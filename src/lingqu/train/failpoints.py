"""Named points where a test can make training fail, exactly there and in a real process.

`LQ_FAILPOINT="train.step@17:kill"` ends the process with SIGKILL when the point train.step is reached for the 17th
time; `nan` instead of `kill` tells the caller to spoil its numbers, `sleep` sleeps for a minute, and `memory` finds none
left. Several are separated by commas. Without the
variable a point costs one look at an empty dictionary.

>>> points = Failpoints("loss@2:nan")
>>> points.hit("loss"), points.hit("loss"), points.hit("loss")
(False, True, False)
"""

from __future__ import annotations

import os
import signal
import time

ACTIONS = ("kill", "nan", "sleep", "memory")


class Failpoints:
    """The points of one run and how often each was reached.

    >>> Failpoints("").hit("train.step")
    False
    """

    def __init__(self, told: str | None = None) -> None:
        told = os.environ.get("LQ_FAILPOINT", "") if told is None else told
        self._wanted: dict[tuple[str, int], str] = {}
        self._reached: dict[str, int] = {}
        for part in filter(None, told.split(",")):
            place, _, action = part.partition(":")
            name, _, count = place.partition("@")
            if action not in ACTIONS:
                raise ValueError(f"LQ_FAILPOINT: an action of {ACTIONS} expected, found '{action}'")
            self._wanted[name, int(count or 1)] = action

    def hit(self, name: str) -> bool:
        """Marks that this point was reached; True when the caller shall spoil its numbers now."""
        if not self._wanted:
            return False
        self._reached[name] = self._reached.get(name, 0) + 1
        action = self._wanted.get((name, self._reached[name]))
        if action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if action == "sleep":
            time.sleep(60)
        if action == "memory":
            raise MemoryError
        return action == "nan"
