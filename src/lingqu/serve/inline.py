"""Cheap batches, computed in the event loop: to wake a thread and be woken by it costs more than they do.

What comes in one turn of the loop is one batch. A model that takes longer than it ever did is stopped after
`AT_MOST` seconds, its rows go to a thread, and the loop turns on: a row that makes a model hang costs the others that
time alone. A brake stops a network, and no code: so the tasks of other packages are always computed in a thread.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from lingqu.bundle.read import Brake
from lingqu.serve.batch import MOST_ROWS, Model, Outcome, Piece, Request, compute, form
from lingqu.serve.cost import padded
from lingqu.tasks import is_ours

if TYPE_CHECKING:
    import asyncio

CHEAP = 0.001
"""A piece is computed here when it should cost at most so many seconds of the processor."""
BATCH_SECONDS = 0.004
"""What a whole batch should take at most: so long nothing else happens."""
AT_MOST, IN_ANY_CASE = 0.05, 0.5
"""Seconds of the processor, and of the clock, after which a run is stopped."""
FULL = MOST_ROWS // 2
"""So many pieces are computed at once, before the turn is over."""
LOOK_EVERY = 0.02
REST_AFTER = 1.0

Settle = Callable[[list[Piece], list[Outcome], float, float, BaseException | None], None]


class Inline:
    """What of one engine's requests is computed here; `settle` gives out answers, `hand_over` takes what took too long."""

    def __init__(self, settle: Settle, hand_over: Callable[[list[Piece]], None]) -> None:
        self._settle = settle
        self._hand_over = hand_over
        self._line: deque[Piece] = deque()
        self._planned = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._warden = Warden()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to compute in this loop."""
        self._loop = loop

    def close(self) -> None:
        """End the thread that watches."""
        self._warden.close()

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return len(self._line)

    def suits(self, pieces: Sequence[Piece]) -> bool:
        """Whether a request of these pieces is cheap, as far as its model has shown."""
        if self._loop is None or len(pieces) != 1:
            return False
        piece = pieces[0]
        return self.suits_one(piece.request.model, len(piece.places) * piece.longest)

    def suits_one(self, model: Model, cost: float = 1.0) -> bool:
        """Whether so much is cheap for this model; of what no row costs less than, whether any request is."""
        # A cascade is cheap until it is not; and no brake stops a team's own code that does not come back.
        if model.bundle.cascade is not None or not is_ours(model.bundle.task):
            return False
        return 0.0 < model.effort.seconds(cost) <= CHEAP

    def put(self, piece: Piece) -> None:
        """Compute a piece in this turn of the loop."""
        self._line.append(piece)
        if len(self._line) >= FULL:
            self._turn()
        elif not self._planned and self._loop is not None:
            self._planned = True
            self._loop.call_soon(self._turn)

    def leave(self, request: Request) -> bool:
        """Take a request out of the line; whether it was in it."""
        for piece in self._line:
            if piece.request is request:
                self._line.remove(piece)
                return True
        return False

    def _turn(self) -> None:
        """Compute one batch; what is left waits for the next turn, so that others have theirs."""
        self._planned = False
        if not self._line:
            return
        batch = form(self._line, BATCH_SECONDS, of_processor=True)
        if self._line and self._loop is not None:
            self._planned = True
            self._loop.call_soon(self._turn)
        self._compute(batch)

    def _compute(self, batch: list[Piece]) -> None:
        model, began, worked = batch[0].request.model, time.monotonic(), time.thread_time()
        with self._warden.watching(began, worked) as brake:
            outcomes, error = compute([piece.rows for piece in batch], model.bundle, brake, model.witness)
        seconds = time.monotonic() - began
        cost = padded([(len(piece.places), piece.longest) for piece in batch])
        if brake.pulled:
            # It is known now to be slow, and goes to a thread until it has been quick for a while.
            model.effort.saw(cost, seconds)
            self._hand_over(batch)
            return
        for piece in batch:
            piece.request.begun = began
        if error is None:
            model.estimate.saw(cost, seconds)
            model.effort.saw(cost, time.thread_time() - worked)
        self._settle(batch, outcomes, cost, seconds, error)


class Warden:
    """A thread that pulls the brake of what runs too long; it sleeps while nothing has run for a second.

    >>> warden = Warden()
    >>> with warden.watching(time.monotonic(), time.thread_time()) as brake:
    ...     time.sleep(IN_ANY_CASE + 4 * LOOK_EVERY)
    >>> brake.pulled
    True
    >>> warden.close()
    """

    def __init__(self) -> None:
        self._brake = Brake()
        self._since = 0.0
        self._last = 0.0
        self._worked = 0.0
        self._awake = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None

    def watching(self, now: float, worked: float) -> Warden:
        """Watch what the block does, which begins now, when its thread has worked so long."""
        self._worked = worked
        self._last = now
        self._since = now
        if self._brake.pulled:
            # The one before was slow; it may have been pulled at the very moment when it was done.
            self._brake = Brake()
        if not self._awake.is_set():
            self._awake.set()
            if self._thread is None:
                clock = _clock_of(threading.get_ident())
                self._thread = threading.Thread(target=self._watch, args=(clock,), name="warden", daemon=True)
                self._thread.start()
        return self

    def __enter__(self) -> Brake:
        return self._brake

    def __exit__(self, *_: object) -> None:
        self._since = 0.0

    def close(self) -> None:
        """End the thread."""
        self._closed = True
        self._awake.set()

    def _watch(self, clock: Callable[[], float]) -> None:
        while not self._closed:
            time.sleep(LOOK_EVERY)
            now, since, brake = time.monotonic(), self._since, self._brake
            if since and now - since > AT_MOST:
                # A thread that waits for a busy processor has done nothing wrong.
                too_long = clock() - self._worked > AT_MOST or now - since > IN_ANY_CASE
                if too_long and since == self._since:
                    brake.pull()
            elif now - self._last > REST_AFTER:
                self._awake.clear()
                # Something may have begun between the look and the rest.
                if time.monotonic() - self._last > REST_AFTER:
                    self._awake.wait()


def _clock_of(thread: int) -> Callable[[], float]:
    """How long a thread has worked, asked from another one; where the system cannot tell, the time that has passed."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return lambda: float("inf")
    clock = time.pthread_getcpuclockid(thread)
    return lambda: time.clock_gettime(clock)
