"""Limits of keys: requests in a time (a pace) and rows in a day or month (a quota), over all workers of a machine.

The pace is the generic cell rate algorithm (ITU-T I.371): one number for each key, the moment at which everything it
has asked for so far would have been due; so nothing needs to be counted down or swept. Workers share the numbers
through a file (`store.slots`). Machines that share a PostgreSQL database see each other's rows when usage is written,
once a second, and each of them grants the pace by itself.

>>> from lingqu.spec.tariff import Pace
>>> limits = Limits(getfixture("tmp_path") / "limits")
>>> [limits.spend("k1", "anna", 1, pace=Pace.parse("2 per minute"), quota=None, now=1000.0) for _ in range(2)]
[None, None]
>>> limits.spend("k1", "anna", 1, pace=Pace.parse("2 per minute"), quota=None, now=1000.0)
Traceback (most recent call last):
lingqu.errors.QuotaError: Expected at most 2 per minute with the key 'anna', found more. Come again in 30 s.
"""

from __future__ import annotations

import math
from pathlib import Path

from lingqu.errors import Problem, QuotaError
from lingqu.spec.tariff import Allowance, Pace
from lingqu.store.slots import Slots

_DUE, _BEGAN, _ROWS = range(3)
"""What a slot holds: when all that was asked for is due, when the period of the quota began, and its rows so far."""


class Limits:
    """What keys have asked for, shared by every process that opens the same file."""

    def __init__(self, path: Path) -> None:
        self._slots = Slots(path)

    def spend(self, key: str, name: str, rows: int, *, pace: Pace | None, quota: Allowance | None, now: float) -> None:
        """Take one request of these rows from what a key may ask; QuotaError when it may not, and nothing is taken."""
        if pace is None and quota is None:
            return
        with self._slots.change(key) as slot:
            if quota is not None:
                slot[_BEGAN], slot[_ROWS] = _taken(slot, quota, now)
                if slot[_ROWS] + rows > quota.rows:
                    raise _over_quota(name, quota, int(slot[_ROWS]), rows, now)
                slot[_ROWS] += rows
            if pace is not None:
                slot[_DUE] = _due(float(slot[_DUE]), name, pace, now)

    def give_back(self, key: str, rows: int, *, quota: Allowance | None, now: float) -> None:
        """Undo the rows of a request that was not answered; its place in the pace stays taken."""
        if quota is None:
            return
        with self._slots.change(key) as slot:
            slot[_BEGAN], taken = _taken(slot, quota, now)
            slot[_ROWS] = max(0, taken - rows)

    def at_least(self, key: str, rows: int, *, quota: Allowance, now: float) -> None:
        """Take in what is known from elsewhere: that this many rows were answered in the present period."""
        with self._slots.change(key) as slot:
            slot[_BEGAN], taken = _taken(slot, quota, now)
            slot[_ROWS] = max(taken, rows)

    def rows(self, key: str, *, quota: Allowance, now: float) -> int:
        """How many rows of its quota a key has taken in the present period."""
        with self._slots.change(key) as slot:
            return _taken(slot, quota, now)[1]

    def close(self) -> None:
        """Let go of the file."""
        self._slots.close()


def _taken(slot: list[float | int], quota: Allowance, now: float) -> tuple[int, int]:
    """The beginning of the present period and the rows in it; none when the slot tells of another one."""
    began = quota.begins(now)
    return began, int(slot[_ROWS]) if slot[_BEGAN] == began else 0


def _due(due: float, name: str, pace: Pace, now: float) -> float:
    # A clock that was set back must not shut a key out: what is due later than any burst allows is not believed.
    start = now if due <= now or due > now + pace.seconds * 1.001 else due
    after = start + pace.seconds / pace.count
    # Rounding of seconds since 1970 is below a microsecond.
    wait = after - pace.seconds - now
    if wait > 1e-6:
        again = math.ceil(wait)
        problem = Problem(f"at most {pace.text} with the key '{name}'", "more", f"Come again in {again} s.")
        raise QuotaError(problem, retry_after=again)
    return after


def _over_quota(name: str, quota: Allowance, taken: int, rows: int, now: float) -> QuotaError:
    left = max(0, quota.rows - taken)
    wait = math.ceil(quota.ends(now) - now)
    advice = f"The next {quota.period} begins in {wait:,} s (UTC)."
    found = f"{rows:,} rows with {left:,} left"
    return QuotaError(Problem(f"at most {quota.text} with the key '{name}'", found, advice), retry_after=wait)
