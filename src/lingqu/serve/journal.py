"""The journal: every answer that was given, written behind the service's back.

`record` puts an entry into a bounded queue and returns; a thread of its own masks, encrypts and writes, many entries in
one transaction. When the disk is full or the database gone, answers go on: the thread tries again for a while, then lets
go of what it holds and counts it in `lost`. A process that is killed takes with it what it had not written, a
quarter of a second of answers at most while the database is well.

>>> from lingqu.contract.answers import LabelScores
>>> from lingqu.serve.keys import ANYONE
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

import base64
import hmac
import itertools
import json
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from lingqu.contract.answers import Answer
from lingqu.errors import LingquError, Problem, StoreError
from lingqu.privacy.encrypt import KEY_VARIABLE, MasterKeys
from lingqu.privacy.mask import mask_row
from lingqu.serve.fresh import fresh
from lingqu.serve.keys import Principal
from lingqu.spec.settings import JournalSettings
from lingqu.store import Store
from lingqu.store.tables import FEEDBACK, PREDICTIONS

MOST_ENTRIES = 20_000
MOST_BYTES = 32 << 20
"""What may wait in the queue; more is lost, so that a slow disk never costs the service its memory."""

LARGEST_BYTES = 256 << 10
"""Pictures and other bytes that are larger are not kept, only their size."""

BATCH = 500
EVERY_SECONDS = 0.2
RETRY_SECONDS = 10.0
CYCLE_SECONDS = 3600.0
_MOST_SCORES = 5
_USERS = "users"
_COUNT = itertools.count()
_LOG = logging.getLogger("lingqu.serve")


@dataclass(frozen=True, slots=True)
class Entry:
    """One answer, as the service knows it; `at` is in seconds since 1970, `number` None for a bundle folder."""

    prediction_id: str
    request_id: str
    at: float
    name: str
    number: int | None
    role: str
    principal: Principal
    user: str | None
    input: Mapping[str, Any] | None
    answer: Answer
    latency_ms: float


@dataclass(frozen=True, slots=True)
class Recorded:
    """One answer, as the journal has kept it; `input` None where the policy or the sample kept none."""

    id: str
    request_id: str
    at: str
    name: str
    number: int | None
    role: str
    principal: str
    tenant: str
    user: str | None
    input: dict[str, Any] | None
    policy: str
    answer: dict[str, Any]
    confidence: float | None
    latency_ms: float


def new_id() -> str:
    """The id of a prediction: 32 hexadecimal digits, of which the first 12 are the milliseconds since 1970 and the next 5
    count, so that ids sort by time, and the rows of a request in their order; 60 bits are random, so that nobody guesses
    one.

    >>> ids = [new_id() for _ in range(1000)]
    >>> len(set(ids)), {len(one) for one in ids}
    (1000, {32})
    """
    return f"{time.time_ns() // 1_000_000:012x}{next(_COUNT) & 0xFFFFF:05x}{fresh(8).hex()[1:]}"


def moment_of(prediction_id: str) -> float | None:
    """When an id was made, in seconds since 1970; None when it is none of ours.

    >>> abs(time.time() - moment_of(new_id())) < 1, moment_of("17")
    (True, None)
    """
    if len(prediction_id) != 32 or not all(sign in "0123456789abcdef" for sign in prediction_id):
        return None
    return int(prediction_id[:12], 16) / 1000


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
        self._queue: deque[tuple[Entry, dict[str, Any] | None, int]] = deque()
        self._bytes = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._secret: bytes | None = None
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
        kept, size = (
            (None, 0) if entry.input is None or not self._keeps(entry.prediction_id) else self._copy(entry.input)
        )
        with self._lock:
            if len(self._queue) >= MOST_ENTRIES or self._bytes + size > MOST_BYTES:
                self.lost += 1
                return
            self._queue.append((entry, kept, size))
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
            self._bytes = 0

    def _keeps(self, prediction_id: str) -> bool:
        if self.settings.inputs == "none" or self.settings.sample == 0:
            return False
        return self.settings.sample >= 1 or int(prediction_id[-8:], 16) < self.settings.sample * 2**32

    def _copy(self, row: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
        """The row without bytes that are too large, or, where they would be masked, without any; and its size."""
        most = LARGEST_BYTES if self.settings.inputs == "plain" else -1
        kept = {
            name: {"$omitted": len(value)} if isinstance(value, bytes | bytearray) and len(value) > most else value
            for name, value in row.items()
        }
        return kept, 200 + sum(len(value) for value in kept.values() if isinstance(value, str | bytes | bytearray))

    def _run(self) -> None:
        with self._open_database():
            self._work()

    @contextmanager
    def _open_database(self) -> Iterator[None]:
        """An idle connection: SQLite empties its write-ahead log into the file whenever the last one is closed, and that
        takes longer than to write a batch.
        """
        if not self.store.database.is_sqlite:
            yield
            return
        try:
            connection = self.store.database.engine.connect()
        except (LingquError, SQLAlchemyError):
            yield
            return
        try:
            yield
        finally:
            connection.close()

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

    def _take(self) -> list[tuple[Entry, dict[str, Any] | None, int]]:
        with self._lock:
            batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            self._bytes -= sum(size for _, _, size in batch)
        return batch

    def _write(self, batch: list[tuple[Entry, dict[str, Any] | None, int]]) -> StoreError | None:
        try:
            rows = [self._row(entry, kept) for entry, kept, _ in batch]
            self._insert(rows)
        except StoreError as error:
            return error
        self.written += len(rows)
        return None

    def _insert(self, rows: list[dict[str, Any]]) -> None:
        try:
            with self.store.database.writing() as connection:
                connection.execute(insert(PREDICTIONS), rows)
        except IntegrityError:
            # Somebody has recorded an id twice: the others shall not suffer.
            if len(rows) == 1:
                self.lost += 1
                self.written -= 1
                return
            for row in rows:
                self._insert([row])

    def _row(self, entry: Entry, kept: dict[str, Any] | None) -> dict[str, Any]:
        answer, confidence = answer_cells(entry.answer, self.settings.inputs)
        return {
            "id": entry.prediction_id,
            "request_id": plain_text(entry.request_id)[:128],
            "at": iso(entry.at),
            "name": entry.name,
            "number": entry.number,
            "role": entry.role,
            "principal": entry.principal.id,
            "tenant": entry.principal.tenant,
            "user": None if entry.user is None else self._pseudonym(entry.user),
            "input": self.seal.input(entry.prediction_id, kept, masked=self.settings.inputs == "masked"),
            "policy": "none" if kept is None else self.settings.inputs,
            "answer": spell(answer),
            "confidence": confidence,
            "latency_ms": round(entry.latency_ms, 3),
        }

    def _pseudonym(self, user: str) -> str:
        if self._secret is None:
            self._secret = self.store.secret(_USERS)
        return _keyed(self._secret, user)

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


def pseudonym(store: Store, user: str) -> str:
    """What the journal keeps instead of the name of a user: the same for the same user of one store.

    The store's secret keeps the name from being found by trying all names.
    """
    return _keyed(store.secret(_USERS), user)


def _keyed(secret: bytes, user: str) -> str:
    return hmac.digest(secret, user.encode("utf-8", "replace"), "sha256").hex()[:32]


class Sealed:
    """Inputs as the database holds them: JSON, or JSON encrypted when there is a key."""

    def __init__(self, keys: MasterKeys | None) -> None:
        self.keys = keys

    def input(self, identity: str, row: Mapping[str, Any] | None, *, masked: bool) -> str | None:
        """The input of a prediction as text to be kept."""
        if row is None:
            return None
        return self.close(spell(mask_row(row) if masked else row), f"input:{identity}")

    def row(self, identity: str, kept: str | None) -> dict[str, Any] | None:
        """The input that this text keeps."""
        return None if kept is None else unspell(self.open(kept, f"input:{identity}"))

    def close(self, plain: str, place: str) -> str:
        """A text as it is kept at a place."""
        if self.keys is None:
            return plain
        return "enc:" + base64.b64encode(self.keys.seal(plain.encode("utf-8", "replace"), place.encode())).decode()

    def open(self, kept: str, place: str) -> str:
        """The text that is kept at a place; StoreError without the key that it was closed with."""
        if not kept.startswith("enc:"):
            return kept
        if self.keys is None:
            advice = f"Set {KEY_VARIABLE}."
            raise StoreError(Problem("the key that inputs were encrypted with", "none", advice))
        return self.keys.open(base64.b64decode(kept[4:]), place.encode()).decode()


def recorded(
    store: Store,
    name: str | None = None,
    *,
    since: str = "",
    until: str = "9999",
    newest: int | None = None,
    keys: MasterKeys | None = None,
) -> list[Recorded]:
    """The answers of a model (or of all) from `since` to before `until` (ISO 8601, UTC), from the first; or the newest.

    Inputs are decrypted with the keys given, or those of the environment.
    """
    seal = Sealed(keys or MasterKeys.given())
    query = select(PREDICTIONS).where(PREDICTIONS.c.at >= since, PREDICTIONS.c.at < until)
    query = query if name is None else query.where(PREDICTIONS.c.name == name)
    newest_first = query.order_by(PREDICTIONS.c.at.desc(), PREDICTIONS.c.id.desc()).limit(newest)
    with store.database.reading() as connection:
        rows = connection.execute(newest_first).mappings().all()
    return [
        Recorded(**{**row, "input": seal.row(row["id"], row["input"]), "answer": unspell(row["answer"])})
        for row in reversed(rows)
    ]


def purge(
    store: Store, keep_seconds: float, *, now: float | None = None, between: Callable[[], None] = lambda: None
) -> int:
    """Delete the answers that are older, and the inputs of feedback that was never accepted; gives how many answers.

    They leave in small parts, with a call of `between` after each. In SQLite the bytes are overwritten, and the write-ahead
    log is emptied too.
    """
    before = iso((time.time() if now is None else now) - keep_seconds)
    count = 0
    for some in _purge_some(store, before):
        count += some
        between()
    if count and store.database.is_sqlite:
        with store.database.engine.connect() as connection:
            connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return count


def _purge_some(store: Store, before: str) -> Iterator[int]:
    """In small transactions, so that nobody waits for long."""
    while True:
        with store.database.writing() as connection:
            if store.database.is_sqlite:
                connection.execute(text("PRAGMA secure_delete = ON"))
            old = select(PREDICTIONS.c.id).where(PREDICTIONS.c.at < before).limit(2000)
            ids = connection.execute(old).scalars().all()
            connection.execute(delete(PREDICTIONS).where(PREDICTIONS.c.id.in_(ids)))
            if not ids:
                unaccepted = (FEEDBACK.c.at < before, FEEDBACK.c.status != "accepted", FEEDBACK.c.input.is_not(None))
                connection.execute(update(FEEDBACK).where(*unaccepted).values(input=None))
                return
        yield len(ids)


def answer_cells(answer: Answer, policy: str) -> tuple[dict[str, Any], float | None]:
    """An answer as it is kept: its cells, the five largest scores, and its confidence.

    >>> from lingqu.contract.answers import NumberValue, Refusal
    >>> answer_cells(NumberValue(3.0, 2.5, 3.5), "masked")
    ({'kind': 'number-value', 'prediction': 3.0, 'low': 2.5, 'high': 3.5}, None)
    >>> answer_cells(Refusal("Expected a number in 'age', found 'old'."), "masked")
    ({'kind': 'refusal'}, None)
    """
    cells = answer.cells()
    # A refusal repeats what it refused.
    if "error" in cells and policy != "plain":
        cells.pop("error")
    scores: Mapping[str, float] = getattr(answer, "scores", {})
    if scores:
        largest = sorted(scores, key=lambda label: -scores[label])[:_MOST_SCORES]
        cells["scores"] = {label: round(float(scores[label]), 6) for label in largest}
    confidence = cells.get("confidence")
    sure = float(confidence) if isinstance(confidence, int | float) and math.isfinite(confidence) else None
    return {"kind": answer.kind, **cells}, sure


def iso(moment: float) -> str:
    """A moment as the tables keep it.

    >>> iso(0)
    '1970-01-01T00:00:00.000000Z'
    """
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def plain_text(given: str) -> str:
    r"""A text that every database takes: no NUL, no half of a character.

    >>> plain_text("a\0b\ud800")
    'ab?'
    """
    return given.replace("\0", "").encode("utf-8", "replace").decode()


def spell(value: Any) -> str:
    """A value as JSON text that every database takes, and that `unspell` reads as the same value.

    >>> unspell(spell({"a": b"x", "b": float("inf"), "c": ["渠"]}))
    {'a': b'x', 'b': inf, 'c': ['渠']}
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError):
        # Bytes, or a number that JSON does not know.
        text = json.dumps(_spelled(value), ensure_ascii=False, separators=(",", ":"))
    # Half of a character is nothing that UTF-8 can hold, but JSON's own escapes can.
    return text if _is_whole(text) else json.dumps(_spelled(value), separators=(",", ":"))


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def unspell(text: str) -> Any:
    """The value that this text says."""
    return _unspelled(json.loads(text))


def _spelled(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$number": str(value)}
    if isinstance(value, Mapping):
        return {str(name): _spelled(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(inner) for inner in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _unspelled(value: Any) -> Any:
    if isinstance(value, dict):
        if len(value) == 1:
            (mark, inner), *_ = value.items()
            if mark == "$bytes":
                return base64.b64decode(inner)
            if mark == "$number":
                return float(inner)
        return {name: _unspelled(inner) for name, inner in value.items()}
    return [_unspelled(inner) for inner in value] if isinstance(value, list) else value
