"""Usage: what each key was answered, by model and hour, so that a team can charge for it.

Each process counts from its own start and writes its counts, never differences, once a second under a name that no
other count has. So a count is never doubled, whatever is repeated or killed; and a process that is killed (kill -9)
or loses its power takes with it what it counted since its last write, at most a second, to the benefit of who pays.
No clock is trusted: an hour that seemed over and comes again is counted anew, under a new name.

>>> from lingqu.store import Store
>>> store = Store.open(getfixture("tmp_path") / ".lingqu")
>>> usage = Usage(store)
>>> usage.add("k1", "router", requests=1, rows=20, compute_seconds=0.25, price=Price.parse("0.01 CNY per row"))
>>> usage.flush()
>>> line, = report(store)
>>> line.rows, line.cost, line.currency
(20, Decimal('0.2'), 'CNY')
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from sqlalchemy import and_, delete, func, insert, select, update
from sqlalchemy.engine import Connection, Row

from lingqu.spec.tariff import NANO, Price
from lingqu.store import Store
from lingqu.store.tables import KEYS, USAGE

Place = tuple[str, str, str, str]
"""Key, model, hour, currency."""

_SUM = "sum"
_COUNTS = ("requests", "rows", "compute_us", "cost_nano")
_KEPT_APART_SECONDS = 48 * 3600
"""Rows of single processes are summed when they are older; by then no process has anything to write there."""


@dataclass(slots=True)
class _Count:
    """What was counted at a place since this began, and the name under which the database has it."""

    source: str = field(default_factory=lambda: os.urandom(16).hex())
    counts: list[int] = field(default_factory=lambda: [0] * (len(_COUNTS) + 1))
    """The four counts, and the nanoseconds that are not yet a microsecond."""
    written: list[int] | None = None

    def begin_anew(self, summed: Sequence[int]) -> None:
        """Go on under a new name, without what is in the sum already."""
        self.source, self.written = os.urandom(16).hex(), None
        for index, count in enumerate(summed):
            self.counts[index] -= count


class Usage:
    """The counts of this process, and their way into the database."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._lock = threading.Lock()
        self._counts: dict[Place, _Count] = {}
        self._changed: set[Place] = set()

    def add(
        self,
        key: str,
        name: str,
        *,
        requests: int,
        rows: int,
        compute_seconds: float,
        price: Price | None = None,
        now: float | None = None,
    ) -> None:
        """Count what was answered, at the price of now; takes a microsecond and touches no disk."""
        place = (key, name, hour_of(time.time() if now is None else now), price.currency if price else "")
        with self._lock:
            held = self._counts.get(place)
            if held is None:
                held = self._counts[place] = _Count()
            counts = held.counts
            # A share of a batch may be less than a microsecond: what is left of it is kept for the next one.
            micro, counts[4] = divmod(counts[4] + round(compute_seconds * 1e9), 1000)
            counts[0] += requests
            counts[1] += rows
            counts[2] += micro
            counts[3] += price.cost(requests=requests, rows=rows, compute_us=micro) if price else 0
            self._changed.add(place)

    def flush(self) -> None:
        """Write the counts that have changed, in one transaction; StoreError when that fails, and they stay here."""
        with self._lock:
            changed, self._changed = self._changed, set()
        if not changed:
            return
        try:
            with self.store.database.writing() as connection:
                written = {place: self._write(connection, place) for place in changed}
        except BaseException:
            with self._lock:
                self._changed |= changed
            raise
        for place, counts in written.items():
            self._counts[place].written = counts
        self._forget_past_hours()

    def _write(self, connection: Connection, place: Place) -> list[int]:
        held = self._counts[place]
        with self._lock:
            counts = held.counts[: len(_COUNTS)]
        if held.written is None:
            _put(connection, held.source, place, counts)
        elif not _replace(connection, held.source, place, counts):
            # A process whose clock is ahead has tidied: what was written is in the sum.
            with self._lock:
                held.begin_anew(held.written)
            return self._write(connection, place)
        return counts

    def _forget_past_hours(self) -> None:
        # An answer that began before the full hour is counted in the hour of its end, so the last hour is over.
        hour = hour_of(time.time() - 3600)
        with self._lock:
            for place in [place for place in self._counts if place[2] < hour and place not in self._changed]:
                del self._counts[place]


def hour_of(moment: float) -> str:
    """The hour of a moment, in UTC.

    >>> hour_of(0)
    '1970-01-01T00'
    """
    return _hour(int(moment // 3600))


@lru_cache(maxsize=64)
def _hour(number: int) -> str:
    return f"{datetime.fromtimestamp(number * 3600, UTC):%Y-%m-%dT%H}"


def rows_since(connection: Connection, began: float) -> dict[str, int]:
    """How many rows each key was answered in all since the hour of this moment."""
    query = select(USAGE.c.key, func.sum(USAGE.c.rows)).where(USAGE.c.hour >= hour_of(began)).group_by(USAGE.c.key)
    return {key: int(rows) for key, rows in connection.execute(query)}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill: what a key was answered in a time, and what that costs."""

    key: str
    key_name: str
    model: str
    day: str
    requests: int
    rows: int
    compute_seconds: float
    cost: Decimal
    currency: str


def report(
    store: Store,
    *,
    keys: Iterable[str] | None = None,
    since: str = "",
    until: str = "9999",
    by: Iterable[str] = (),
) -> list[Line]:
    """What keys were answered from `since` to before `until` (days or hours in UTC, as ISO 8601), summed for each key.

    `keys` are the ids of those that are asked for (default: all).
    `by` (model, day) splits the sums further; a key that has paid in two currencies has a line for each.
    """
    split = set(by)
    parts = [USAGE.c.key, USAGE.c.currency]
    parts += [USAGE.c.name] if "model" in split else []
    day = func.substr(USAGE.c.hour, 1, 10).label("day")
    parts += [day] if "day" in split else []
    sums = [func.sum(USAGE.c[name]).label(name) for name in _COUNTS]
    query = select(*parts, *sums, func.max(KEYS.c.name).label("key_name"))
    query = query.select_from(USAGE.outerjoin(KEYS, KEYS.c.id == USAGE.c.key))
    query = query.where(and_(USAGE.c.hour >= since, USAGE.c.hour < until))
    query = query if keys is None else query.where(USAGE.c.key.in_(list(keys)))
    with store.database.reading() as connection:
        return [_line(row) for row in connection.execute(query.group_by(*parts).order_by(*parts))]


def tidy(store: Store, *, now: float | None = None) -> None:
    """Sum what single processes have counted in hours that are over for two days; the sums stay the same."""
    before = hour_of((time.time() if now is None else now) - _KEPT_APART_SECONDS)
    old = and_(USAGE.c.hour < before, USAGE.c.source != _SUM)
    with store.database.writing() as connection:
        parts = (USAGE.c.key, USAGE.c.name, USAGE.c.hour, USAGE.c.currency)
        sums = [func.sum(USAGE.c[name]) for name in _COUNTS]
        for row in connection.execute(select(*parts, *sums).where(old).group_by(*parts)).all():
            key, name, hour, currency, *more = tuple(row)
            place: Place = (key, name, hour, currency)
            here = _at(_SUM, place)
            there = connection.execute(select(*(USAGE.c[name] for name in _COUNTS)).where(here)).one_or_none()
            counts = [int(count) + (int(there[index]) if there else 0) for index, count in enumerate(more)]
            _put(connection, _SUM, place, counts)
        connection.execute(delete(USAGE).where(old))


def _at(source: str, place: Place):  # noqa: ANN202  # SQLAlchemy's own kind of condition
    key, name, hour, currency = place
    return and_(
        USAGE.c.source == source,
        USAGE.c.key == key,
        USAGE.c.name == name,
        USAGE.c.hour == hour,
        USAGE.c.currency == currency,
    )


def _put(connection: Connection, source: str, place: Place, counts: Sequence[int]) -> None:
    """Write the counts of a place, in the place of those that were there; the caller is the only writer."""
    if not _replace(connection, source, place, counts):
        named = dict(zip(("key", "name", "hour", "currency"), place, strict=True))
        connection.execute(insert(USAGE).values(source=source, **named, **dict(zip(_COUNTS, counts, strict=True))))


def _replace(connection: Connection, source: str, place: Place, counts: Sequence[int]) -> bool:
    """Whether there was a row to take these counts."""
    values = dict(zip(_COUNTS, counts, strict=True))
    return connection.execute(update(USAGE).where(_at(source, place)).values(**values)).rowcount > 0


def _line(row: Row) -> Line:
    found = row._mapping
    return Line(
        key=found["key"],
        key_name=found["key_name"] or "",
        model=found.get("name", ""),
        day=found.get("day", ""),
        requests=int(found["requests"]),
        rows=int(found["rows"]),
        compute_seconds=int(found["compute_us"]) / 1e6,
        cost=(Decimal(int(found["cost_nano"])) / NANO).normalize() + Decimal(0),
        currency=found["currency"],
    )
