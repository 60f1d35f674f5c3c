"""The journal: every answer that was given, written behind the service's back.

`record` puts an answer into a bounded queue, as a finished row when that is quickly made (`formatter`), and returns; a
thread of its own masks and encrypts the others and writes, many in one transaction. When the disk is full or the
database gone, answers go on: the thread tries again for a while, then lets go of what it holds and counts it in `lost`.
A process that is killed takes with it what it had not written, a quarter of a second of answers at most while the
database is well.

>>> from lingqu.contract.answers import LabelScores
>>> from lingqu.serve.principal import ANYONE
>>> from lingqu.spec.running import JournalSettings
>>> from lingqu.store import Store
>>> store = Store.open(getfixture("tmp_path") / ".lingqu")
>>> with Journal(store, JournalSettings()) as journal:
...     journal.record(Entry(new_id(), "r1", time.time(), "router", 3, "champion", ANYONE, None,
...                          {"text": "call 138 0013 8000"}, LabelScores.of({"sales": 0.9, "support": 0.1}), 4.2))
>>> kept, = recorded(store, "router")
>>> kept.input, kept.answer["prediction"], journal.lost
({'text': 'call [PHONE]'}, 'sales', 0)
"""

from __future__ import annotations

import logging
import math
import threading
import time
from contextlib import suppress
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import Connection, insert
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from lingqu.errors import LingquError, StoreError
from lingqu.privacy.encrypt import MasterKeys
from lingqu.serve.entry import Entry, moment_of, new_id
from lingqu.serve.formatter import COLUMNS, Cells, Formatter, answer_cells, keyed
from lingqu.serve.recorded import Recorded, purge, recorded
from lingqu.serve.sealed import Sealed, iso, plain_text, spell, unspell
from lingqu.store import Store
from lingqu.store.tables import PREDICTIONS

if TYPE_CHECKING:
    from lingqu.spec.running import JournalSettings

__all__ = [
    "Entry",
    "Journal",
    "Recorded",
    "Sealed",
    "answer_cells",
    "iso",
    "moment_of",
    "new_id",
    "plain_text",
    "pseudonym",
    "purge",
    "recorded",
    "spell",
    "unspell",
]

MOST_ENTRIES = 20_000
MOST_BYTES = 32 << 20
"""What may wait in the queue; more is lost, so that a slow disk never costs the service its memory."""

BATCH = 1000
TOGETHER = (100, 10, 1)
"""Rows of one statement; of few sizes, so that each is prepared once for a connection."""

AT_ONCE, LET_GO_SECONDS = 32, 0.0002
"""After so many rows the writer sleeps for a moment, in which the event loop goes on."""

EVERY_SECONDS = 0.2
RETRY_SECONDS = 10.0
CYCLE_SECONDS = 3600.0
_USERS = "users"
_LOG = logging.getLogger("lingqu.serve")


class Journal:
    """The queue, and the thread that empties it; between `start` and `close`."""

    def __init__(
        self,
        store: Store,
        settings: JournalSettings,
        *,
        keys: MasterKeys | None = None,
        retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self.store = store
        self.settings = settings
        self.seal = Sealed(keys or MasterKeys.given())
        self.lost = 0
        self.written = 0
        self._retry_seconds = retry_seconds
        self._lock = threading.Lock()
        self._formatter = Formatter(settings, self.seal, lambda: store.secret(_USERS))
        self._queue: list[Cells | Entry] = []
        self._sizes: list[int] = []
        self._bytes = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._kept: Connection | None = None
        self._file: int | None = None
        self._patience = retry_seconds
        self._purged = -math.inf

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Begin to write what is recorded."""
        self._thread = threading.Thread(target=self._run, name="lingqu-journal", daemon=True)
        self._thread.start()

    def record(self, entry: Entry) -> None:
        """Keep an answer; never waits, and counts in `lost` what finds the queue full."""
        try:
            made, size = self._formatter.at_once(entry)
        except Exception:  # an answer of another package's task may hold anything; who asked shall have it all the same
            _LOG.exception("journal: an answer of %s cannot be recorded", entry.name)
            self.lost += 1
            return
        with self._lock:
            if len(self._queue) >= MOST_ENTRIES or self._bytes + size > MOST_BYTES:
                self.lost += 1
                return
            self._queue.append(made)
            self._sizes.append(size)
            self._bytes += size

    def close(self, patience: float = 5.0) -> None:
        """Write what waits, for this many seconds at most; what is left then is lost."""
        self._patience = min(self._retry_seconds, patience)
        self._stop.set()
        if self._thread is not None:
            self._thread.join(patience + 1)
            self._thread = None
        with self._lock:
            self.lost += len(self._queue)
            self._queue.clear()
            self._sizes.clear()
            self._bytes = 0

    def _run(self) -> None:
        try:
            self._connection()
            self._work()
        finally:
            self._disconnect()

    def _connection(self) -> Connection | None:
        """A connection that stays open, to the file that is there now; None where each batch has one of its own.

        To open one takes longer than to write a batch, and SQLite empties its write-ahead log into the file whenever the
        last one is closed.
        """
        path = self.store.database.path
        if path is None:
            return None
        try:
            file = path.stat().st_ino
        except OSError:
            file = None
        if self._kept is not None and file == self._file:
            return self._kept
        self._disconnect()
        try:
            self._kept = self.store.database.keep_writing()
            self._file = path.stat().st_ino
        except (LingquError, SQLAlchemyError, OSError):
            return None
        return self._kept

    def _disconnect(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            with suppress(SQLAlchemyError):
                kept.close()

    def _work(self) -> None:
        while not self._stop.wait(EVERY_SECONDS):
            self._empty()
            if time.monotonic() - self._purged > CYCLE_SECONDS:
                self._purge()
        self._empty()

    def _empty(self) -> None:
        while batch := self._take():
            began = time.monotonic()
            while (problem := self._write(batch)) is not None:
                if time.monotonic() - began > self._patience:
                    self._lose(len(batch), problem)
                    break
                time.sleep(min(0.1, self._patience / 4))

    def _take(self) -> list[Cells | Entry]:
        with self._lock:
            batch, sizes = self._queue[:BATCH], self._sizes[:BATCH]
            del self._queue[:BATCH], self._sizes[:BATCH]
            self._bytes -= sum(sizes)
        return batch

    def _write(self, batch: list[Cells | Entry]) -> StoreError | None:
        try:
            # What is made once is not made again when the database refuses it.
            self._make(batch)
            self._insert(batch)
        except StoreError as error:
            return error
        self.written += len(batch)
        return None

    def _make(self, batch: list[Any]) -> None:
        """Make rows of the entries among these, a few at a time: who holds the interpreter lets the event loop wait."""
        made = 0
        for place, one in enumerate(batch):
            if isinstance(one, Entry):
                batch[place] = self._formatter.row(one)
                made += 1
                if made % AT_ONCE == 0 and not self._stop.is_set():
                    time.sleep(LET_GO_SECONDS)

    def _insert(self, rows: list[Any]) -> None:
        try:
            with self.store.database.writing(self._connection()) as connection:
                self._put(connection, rows)
        except StoreError:
            self._disconnect()
            raise
        except IntegrityError:
            # Somebody has recorded an id twice: the others shall not suffer.
            if len(rows) == 1:
                self.lost += 1
                self.written -= 1
                return
            for row in rows:
                self._insert([row])

    def _put(self, connection: Connection, rows: list[Cells]) -> None:
        """One statement for many rows: SQLite computes a statement without the interpreter's lock, which each statement
        has to wait for again.
        """
        if not self.store.database.is_sqlite:
            connection.execute(insert(PREDICTIONS), [dict(zip(COLUMNS, row, strict=True)) for row in rows])
            return
        into, values = _statement()
        start = 0
        for together in TOGETHER:
            while len(rows) - start >= together:
                cells = chain.from_iterable(rows[start : start + together])
                connection.exec_driver_sql(into + ", ".join([values] * together), tuple(cells))
                start += together

    def _lose(self, count: int, problem: StoreError) -> None:
        before, self.lost = self.lost, self.lost + count
        if before.bit_length() != self.lost.bit_length():
            _LOG.warning("journal: %d answers were not recorded: %s", self.lost, problem)

    def _purge(self) -> None:
        self._purged = time.monotonic()
        try:
            # What comes meanwhile is written between the parts, so that the queue does not fill up.
            purge(self.store, self.settings.keep_seconds, between=self._empty)
        except StoreError as error:
            _LOG.warning("journal: old answers were not removed: %s", error)


@lru_cache(maxsize=1)
def _statement() -> tuple[str, str]:
    """The beginning of an INSERT for SQLite, and the places of one row.

    >>> into, values = _statement()
    >>> into[:24], values.count("?") == len(COLUMNS)
    ('INSERT INTO predictions ', True)
    """
    compiled = str(insert(PREDICTIONS).compile(dialect=sqlite.dialect()))
    into, values, places = compiled.partition(" VALUES ")
    return into + values, places


def pseudonym(store: Store, user: str) -> str:
    """What the journal keeps instead of the name of a user: the same for the same user of one store.

    The store's secret keeps the name from being found by trying all names.
    """
    return keyed(store.secret(_USERS, passing=True), user)
