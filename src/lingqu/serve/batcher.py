"""Requests that wait for a model, put together to batches as soon as a thread is free, and computed there.

Nothing waits for company: an idle thread takes what is there at once, and batches form while it is busy. A batch holds
rows of one model and of like cost, at most so many as should be computed in `SLICE` seconds, so that a long request
delays a short one little. The event loop owns requests and their futures; threads take from the line under its lock.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from lingqu.bundle.read import gave_numbers, never_finite
from lingqu.contract import Answer, Refusal, Rows
from lingqu.data.accept import accept
from lingqu.errors import DataError, OverloadError, Problem
from lingqu.serve.cost import Estimate, bucket, costs, padded

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle

MOST_ROWS = 64
SLICE = 0.03
"""Seconds that a batch of several rows should take at most."""
MOST_SECONDS = 1.0
"""Seconds that a part of one request should take at most."""
RELIEF = 0.25
"""When a batch takes so many seconds, another thread goes on with those that wait."""
MOST_THREADS = 4


class Model(Protocol):
    """What a batch is computed with: a loaded version."""

    @property
    def bundle(self) -> Bundle: ...

    @property
    def estimate(self) -> Estimate: ...


@dataclass(eq=False, slots=True)
class Request:
    """Rows that wait for one model's answers; `future` gets them, one a row.

    `at`, `begun` and `seconds` are monotonic: when it came, when its first batch began, how long its batches took.
    """

    model: Model
    rows: Rows
    future: asyncio.Future[list[Answer]]
    at: float
    answers: list[Answer] = field(default_factory=list)
    missing: int = 0
    begun: float = 0.0
    seconds: float = 0.0


@dataclass(eq=False, slots=True)
class Piece:
    """Rows of one request that are computed together: their places, and the cost of the longest."""

    request: Request
    places: Sequence[int]
    longest: float

    @property
    def rows(self) -> Rows:
        """The rows themselves."""
        whole = self.request.rows
        return whole if len(self.places) == len(whole) else whole.take(self.places)


Outcome = list[Answer] | BaseException
Watcher = Callable[[Model, int, float, float, BaseException | None], None]
"""Hears, in the event loop, of each batch: its model, rows, cost and seconds, and what went wrong if anything did."""


def unwatched(_model: Model, _rows: int, _cost: float, _seconds: float, _error: BaseException | None) -> None:
    """Hears and forgets."""


class _Worker:
    """A thread that computes, and since when its batch runs."""

    def __init__(self) -> None:
        self.since: float | None = None
        self.abandoned = False


class Batcher:
    """The line of one engine and the threads that work it off; `limit` is how many requests may wait.

    Start it inside the event loop that asks.
    """

    def __init__(self, limit: int, watch: Watcher = unwatched) -> None:
        self.limit = limit
        self._watch = watch
        self._changed = threading.Condition()
        self._line: deque[Piece] = deque()
        self._waiting = 0
        self._workers: list[_Worker] = []
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin to compute."""
        self._loop = asyncio.get_running_loop()
        self._add_worker()

    def close(self) -> None:
        """Let the threads end when their batches are done."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def depth(self) -> int:
        """How many requests wait."""
        return self._waiting

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is computed."""
        return not self._line and all(worker.since is None for worker in self._workers)

    def submit(self, model: Model, rows: Rows, patience: float) -> Request:
        """Put rows in line; OverloadError when too many requests wait, or longer than `patience` seconds."""
        future = asyncio.get_running_loop().create_future()
        request = Request(model, rows, future, time.monotonic())
        if not len(rows):
            future.set_result([])
            return request
        request.missing = len(rows)
        request.answers = [Refusal("")] * len(rows)
        pieces = _pieces(request)
        with self._changed:
            expected = self._expected()
            if self._waiting >= self.limit or expected > patience:
                raise _overloaded(self._waiting, self.limit, expected)
            self._line.extend(pieces)
            self._waiting += 1
            self._changed.notify()
        return request

    def leave(self, request: Request) -> None:
        """Nobody waits for this request any more: what is not yet computed will not be."""
        with self._changed:
            kept = deque(piece for piece in self._line if piece.request is not request)
            if len(kept) < len(self._line):
                self._waiting -= request.begun == 0.0
                self._line = kept

    def tick(self, stuck_after: float) -> bool:
        """Give the line of a slow batch to another thread; True when a thread has been stuck for `stuck_after` seconds."""
        now = time.monotonic()
        with self._changed:
            slow = [worker for worker in self._workers if worker.since is not None and now - worker.since > RELIEF]
            stuck = [worker for worker in slow if now - (worker.since or now) > stuck_after]
            for worker in stuck:
                worker.abandoned = True
                self._workers.remove(worker)
            helpless = not self._workers or (bool(self._line) and len(slow) - len(stuck) == len(self._workers))
        if helpless and len(self._workers) < MOST_THREADS:
            self._add_worker()
        return bool(stuck)

    def _add_worker(self) -> None:
        worker = _Worker()
        with self._changed:
            self._workers.append(worker)
        threading.Thread(target=self._work, args=(worker,), name="compute", daemon=True).start()

    def _expected(self) -> float:
        """The seconds that what waits should take together; called with the lock held."""
        cost: dict[Estimate, float] = {}
        for piece in self._line:
            estimate = piece.request.model.estimate
            cost[estimate] = cost.get(estimate, 0.0) + len(piece.places) * piece.longest
        return sum(estimate.seconds(total) for estimate, total in cost.items())

    # In the threads

    def _work(self, worker: _Worker) -> None:
        while batch := self._take(worker):
            outcomes, error = compute([piece.rows for piece in batch], batch[0].request.model.bundle)
            self._done(worker, batch, outcomes, error)
            # What a batch held must not live until the next one comes.
            del batch, outcomes, error

    def _take(self, worker: _Worker) -> list[Piece]:
        """The next batch; nothing when this thread should end."""
        with self._changed:
            while not self._line or worker.abandoned:
                spare = any(other.since is None for other in self._workers if other is not worker)
                if self._closed or worker.abandoned or spare:
                    if worker in self._workers:
                        self._workers.remove(worker)
                    return []
                self._changed.wait()
            batch = self._form()
            worker.since = time.monotonic()
            for piece in batch:
                if piece.request.begun == 0.0:
                    piece.request.begun = worker.since
                    self._waiting -= 1
            return batch

    def _form(self) -> list[Piece]:
        """The oldest piece and those like it, as far as they fit; called with the lock held."""
        first = self._line.popleft()
        batch, rows, longest = [first], len(first.places), first.longest
        model, like = first.request.model, bucket(first.longest)
        left: list[Piece] = []
        while self._line and rows < MOST_ROWS:
            piece = self._line.popleft()
            more, most = rows + len(piece.places), max(longest, piece.longest)
            fits = piece.request.model is model and bucket(piece.longest) == like and more <= MOST_ROWS
            if fits and model.estimate.seconds(more * most) <= SLICE:
                batch.append(piece)
                rows, longest = more, most
            else:
                left.append(piece)
        self._line.extendleft(reversed(left))
        return batch

    def _done(self, worker: _Worker, batch: list[Piece], outcomes: list[Outcome], error: BaseException | None) -> None:
        seconds = time.monotonic() - (worker.since or 0.0)
        cost = padded([(len(piece.places), piece.longest) for piece in batch])
        if error is None:
            batch[0].request.model.estimate.saw(cost, seconds)
        with self._changed:
            worker.since = None
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._settle, batch, outcomes, cost, seconds, error)
        except RuntimeError:
            # The loop was closed meanwhile: nobody waits.
            return

    # In the event loop

    def _settle(
        self, batch: list[Piece], outcomes: list[Outcome], cost: float, seconds: float, error: BaseException | None
    ) -> None:
        """Give each request its answers; it is done when its last piece is."""
        for piece, outcome in zip(batch, outcomes, strict=True):
            request = piece.request
            request.seconds += seconds
            if request.future.done():
                continue
            if isinstance(outcome, BaseException):
                request.future.set_exception(outcome)
                self.leave(request)
                continue
            for place, answer in zip(piece.places, outcome, strict=True):
                request.answers[place] = answer
            request.missing -= len(piece.places)
            if not request.missing:
                request.future.set_result(request.answers)
        rows = sum(len(piece.places) for piece in batch)
        self._watch(batch[0].request.model, rows, cost, seconds, error)


def _pieces(request: Request) -> list[Piece]:
    """The request in parts of at most a batch, rows of like cost together."""
    found = costs(request.rows)
    most = _most_rows(request.model.estimate, max(found))
    if len(found) <= most:
        return [Piece(request, range(len(found)), max(found))]
    order = sorted(range(len(found)), key=found.__getitem__)
    parts = [order[start : start + most] for start in range(0, len(order), most)]
    return [Piece(request, part, found[part[-1]]) for part in parts]


def _most_rows(estimate: Estimate, longest: float) -> int:
    """How many rows of this cost may be computed together, so that one request keeps a thread for a second at most."""
    seconds = estimate.seconds(MOST_ROWS * longest)
    return MOST_ROWS if seconds <= MOST_SECONDS else max(1, int(MOST_ROWS * MOST_SECONDS / seconds))


def compute(parts: Sequence[Rows], bundle: Bundle) -> tuple[list[Outcome], BaseException | None]:
    """The answers to each part, computed together, or why there are none; and what went wrong in the model, if anything.

    A part that breaks the contract as a whole, or makes the model fail, does not harm those beside it.
    """
    outcomes: list[Outcome] = []
    good: list[tuple[int, list[int], Rows]] = []
    for number, rows in enumerate(parts):
        try:
            accepted, errors = accept(rows, bundle.manifest["columns"])
        except DataError as error:
            outcomes.append(error)
            continue
        places = [place for place, error in enumerate(errors) if error is None]
        outcomes.append([Refusal(error or "") for error in errors])
        if places:
            good.append((number, places, accepted if len(places) == len(errors) else accepted.take(places)))
    worst: BaseException | None = None
    for (number, places, _), decided in zip(good, decide([rows for _, _, rows in good], bundle), strict=True):
        if isinstance(decided, BaseException):
            outcomes[number] = worst = decided
            continue
        answers = outcomes[number]
        assert isinstance(answers, list)
        for place, answer in zip(places, decided, strict=True):
            answers[place] = answer
        if gave_numbers(decided) is False:
            # Each row is refused and none gets an error of the service; but the model has failed.
            worst = worst or never_finite()
    return outcomes, worst


def decide(parts: Sequence[Rows], bundle: Bundle) -> list[Outcome]:
    """The bundle's answers to accepted rows, all parts at once; one by one where together they fail."""
    if not parts:
        return []
    together = parts[0]
    for rows in parts[1:]:
        together = together.followed_by(rows)
    try:
        answers = bundle.decide(together)
    except Exception as error:  # a model may fail in any way, and who asked must hear of it
        return [error] if len(parts) == 1 else [decide([rows], bundle)[0] for rows in parts]
    taken = iter(answers)
    return [[next(taken) for _ in range(len(rows))] for rows in parts]


def _overloaded(waiting: int, limit: int, expected: float) -> OverloadError:
    found = f"{waiting} that wait" if waiting >= limit else f"{expected:.1f} s of them"
    wait = max(expected, 0.1)
    advice = f"Come again in {max(1, round(wait))} s, or let more processes answer."
    return OverloadError(Problem(f"less than {limit} requests before this one", found, advice), retry_after=wait)
