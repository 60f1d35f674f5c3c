"""Limits of keys: requests in a time (a pace) and rows in a day or month (a quota), over all workers of a machine.

A pace is kept by the times of the requests that went through: the next one waits until the time of a pace has gone by
since the one that came `count` before it, so that in no such time more than `count` go through. A slot has room for
TIMES of them; a pace of more is kept in groups, each with the time of its last request, so that its count is kept at
every moment and at most the rest of a group, a 31st of the count, has to wait longer than it must.

Workers share the slots through a file (`store.slots`). Machines that share a PostgreSQL database see each other's rows
when usage is written, once a second, and each of them grants the pace by itself.

>>> from lingqu.spec.tariff import Pace
>>> limits = Limits(getfixture("tmp_path") / "limits")
>>> [limits.spend("k1", "anna", 1, pace=Pace.parse("2 per minute"), quota=None, now=1000.0 + i) for i in range(2)]
[None, None]
>>> limits.spend("k1", "anna", 1, pace=Pace.parse("2 per minute"), quota=None, now=1002.0)
Traceback (most recent call last):
lingqu.errors.QuotaError: Expected at most 2 per minute with the key 'anna', found more. Come again in 58 s.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from lingqu.errors import Problem, QuotaError
from lingqu.spec.tariff import Allowance, Pace
from lingqu.store.slots import Slots

TIMES = 32

_BEGAN, _ROWS, _REQUESTS, _TIMES = range(4)
"""What a slot holds: when the period of the quota began, its rows so far; how many requests went through, and the first
of the times of the last groups of them."""


class Limits:
    """What keys have asked for, shared by every process that opens the same file."""

    def __init__(self, path: Path) -> None:
        self._slots = Slots(path, f"3q{TIMES}d")

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
                _go(slot, name, pace, now)

    def check(self, key: str, name: str, rows: int, *, quota: Allowance | None, now: float) -> None:
        """QuotaError where a key has fewer rows than these left of its quota; nothing is taken."""
        if quota is not None and (taken := self.rows(key, quota=quota, now=now)) + rows > quota.rows:
            raise _over_quota(name, quota, taken, rows, now)

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

    def remove(self, keys: Iterable[str]) -> None:
        """Make room: forget what keys have asked for that are refused from now on."""
        self._slots.remove(keys)

    def close(self) -> None:
        """Let go of the file."""
        self._slots.close()


def _taken(slot: list[float | int], quota: Allowance, now: float) -> tuple[int, int]:
    """The beginning of the present period and the rows in it; none when the slot tells of another one."""
    began = quota.begins(now)
    return began, int(slot[_ROWS]) if slot[_BEGAN] == began else 0


def _go(slot: list[float | int], name: str, pace: Pace, now: float) -> None:
    """Let one request through and keep its time; QuotaError when it is too early."""
    size = -(-pace.count // (TIMES - 1))
    group, place = divmod(int(slot[_REQUESTS]), size)
    # Where the request is that came `count` before; its group is full, for none of them has more than `count`.
    before = _TIMES + (group - -(-(pace.count - place) // size)) % TIMES
    wait = slot[before] + pace.seconds - now
    # A clock that was set back must not shut a key out: a time that is further off than the pace's own is not believed.
    if 0 < wait <= 2 * pace.seconds:
        again = math.ceil(wait)
        problem = Problem(f"at most {pace.text} with the key '{name}'", "more", f"Come again in {again} s.")
        raise QuotaError(problem, retry_after=again)
    own = _TIMES + group % TIMES
    # Another worker may have looked at the clock a moment later and been quicker.
    slot[own] = slot[own] if place and now < slot[own] <= now + pace.seconds else now
    slot[_REQUESTS] += 1


def _over_quota(name: str, quota: Allowance, taken: int, rows: int, now: float) -> QuotaError:
    left = max(0, quota.rows - taken)
    wait = math.ceil(quota.ends(now) - now)
    advice = f"The next {quota.period} begins in {wait:,} s (UTC)."
    found = f"{rows:,} rows with {left:,} left"
    return QuotaError(Problem(f"at most {quota.text} with the key '{name}'", found, advice), retry_after=wait)
