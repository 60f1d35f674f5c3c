"""Requests that wait for a model, put together to batches as soon as somebody is free, and computed.

Nothing waits for company: an idle thread takes what is there at once, and batches form while it is busy. What is cheap
is computed in the event loop itself (`inline`), for it costs less than to wake a thread. The event loop owns requests
and their futures; threads take from the line under its lock.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Iterable

from lingqu.contract import Refusal, Rows
from lingqu.errors import OverloadError, Problem
from lingqu.serve.batch import Model, Outcome, Piece, Request, Watcher, compute, form, pieces_of, shares, unwatched
from lingqu.serve.cost import Estimate, padded
from lingqu.serve.inline import Inline

RELIEF = 0.25
"""When a batch takes so many seconds, another thread goes on with those that wait."""
MOST_THREADS = 4


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
        self._inline = Inline(self._settle, self._hand_over)

    def start(self) -> None:
        """Begin to compute."""
        self._loop = asyncio.get_running_loop()
        self._inline.start(self._loop)
        self._add_worker()

    def close(self) -> None:
        """Let the threads end when their batches are done."""
        self._inline.close()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def depth(self) -> int:
        """How many requests wait."""
        return self._waiting + self._inline.waiting

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing is computed."""
        return not self._line and not self._inline.waiting and all(worker.since is None for worker in self._workers)

    def turn_away(self, models: Iterable[Model]) -> None:
        """OverloadError when too many requests wait, whatever one more should ask of these models.

        So its body need not be read: to refuse a request must cost little of what the others are computed with.
        """
        if self._waiting >= self.limit and not any(self._inline.suits_one(model) for model in models):
            with self._changed:
                expected = self._expected()
            raise _overloaded(self._waiting, self.limit, expected)

    def submit(self, model: Model, rows: Rows, patience: float) -> Request:
        """Put rows in line; OverloadError when too many requests wait, or longer than `patience` seconds."""
        future = asyncio.get_running_loop().create_future()
        request = Request(model, rows, future, time.monotonic())
        if not len(rows):
            future.set_result([])
            return request
        request.missing = len(rows)
        pieces = pieces_of(request)
        if len(pieces) > 1:
            request.answers = [Refusal("")] * len(rows)
        if self._inline.suits(pieces):
            if self._inline.waiting >= self.limit:
                raise _overloaded(self._inline.waiting, self.limit, 0.0)
            self._inline.put(pieces[0])
            return request
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
        if self._inline.leave(request):
            return
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

    def _hand_over(self, pieces: list[Piece]) -> None:
        """Put in line what took the event loop longer than it should."""
        for piece in pieces:
            piece.suspect = True
        with self._changed:
            self._line.extendleft(reversed(pieces))
            self._waiting += len(pieces)
            self._changed.notify()

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
            model, worked = batch[0].request.model, time.thread_time()
            outcomes, error = compute([piece.rows for piece in batch], model.bundle, witness=model.witness)
            self._done(worker, batch, outcomes, error, time.thread_time() - worked)
            # What a batch held must not live until the next one comes.
            del batch, model, outcomes, error

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
            batch = form(self._line)
            worker.since = time.monotonic()
            for piece in batch:
                if piece.request.begun == 0.0:
                    piece.request.begun = worker.since
                    self._waiting -= 1
            return batch

    def _done(
        self,
        worker: _Worker,
        batch: list[Piece],
        outcomes: list[Outcome],
        error: BaseException | None,
        worked: float,
    ) -> None:
        seconds = time.monotonic() - (worker.since or 0.0)
        cost = padded([(len(piece.places), piece.longest) for piece in batch])
        if error is None:
            batch[0].request.model.estimate.saw(cost, seconds)
            batch[0].request.model.effort.saw(cost, worked)
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
        for piece, outcome, share in zip(batch, outcomes, shares(batch, outcomes), strict=True):
            request = piece.request
            request.seconds += seconds
            request.own_seconds += seconds * share
            if request.future.done():
                continue
            if isinstance(outcome, BaseException):
                request.future.set_exception(outcome)
                self.leave(request)
                continue
            if piece.is_whole:
                request.answers = outcome
            else:
                for place, answer in zip(piece.places, outcome, strict=True):
                    request.answers[place] = answer
            request.missing -= len(piece.places)
            if not request.missing:
                request.future.set_result(request.answers)
        rows = sum(len(piece.places) for piece in batch)
        self._watch(batch[0].request.model, rows, cost, seconds, error)


def _overloaded(waiting: int, limit: int, expected: float) -> OverloadError:
    found = f"{waiting} that wait" if waiting >= limit else f"{expected:.1f} s of them"
    wait = max(expected, 0.1)
    advice = f"Come again in {math.ceil(wait)} s, or let more processes answer."
    return OverloadError(Problem(f"less than {limit} requests before this one", found, advice), retry_after=wait)
