"""A challenger that answers real requests unseen, in moments when nobody waits.

It has a thread of its own, of the lowest priority, and holds one request at a time: while that one is computed, or while
anything waits for the champion, further ones are dropped. What it answers goes to the journal, never to a client.
"""

from __future__ import annotations

import asyncio
import os
import queue
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b
from typing import TYPE_CHECKING

from lingqu.contract import Rows
from lingqu.serve.batch import MOST_ROWS, compute
from lingqu.serve.reply import Reply

if TYPE_CHECKING:
    from lingqu.serve.loaded import Loaded

SHADOW = "shadow"
BESIDE = 17
"""So many digits of its id an answer that is given unseen has from the one beside it: when, and which one then."""


def shadow_id(prediction_id: str, number: int | None) -> str:
    """The id under which the journal keeps what a challenger answered unseen to the same row.

    It sorts beside the id of the answer that was given, and who knows that one finds it.

    >>> first = "019382a1b2c300001" + "abcdef012345678"
    >>> other = shadow_id(first, 2)
    >>> len(other), other[:17] == first[:17], other == shadow_id(first, 2), other == shadow_id(first, 3)
    (32, True, True, False)
    """
    return prediction_id[:BESIDE] + blake2b(f"{prediction_id}:{number}".encode(), digest_size=8).hexdigest()[:15]


Record = Callable[[Reply], None]
Job = tuple["Loaded", Rows, Record]


class Shadow:
    """The thread of one engine's challenger; `share` of the requests that are offered are taken, if there is time."""

    def __init__(self, share: float, watch: Callable[[Loaded, BaseException | None], None], seed: int = 0) -> None:
        self.share = share
        self._watch = watch
        self._draw = random.Random(seed)
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._busy = False
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Begin, inside the event loop; the thread is started with the first request."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """End the thread."""
        self._jobs.put(None)

    def drawn(self) -> bool:
        """Whether this request is one of the share."""
        return self.share > 0 and self._draw.random() < self.share

    def offer(self, challenger: Loaded, rows: Rows, record: Record) -> bool:
        """Take these rows if the thread is free; `record` is then called in the event loop with what was answered."""
        if self._busy or self._loop is None or len(rows) > MOST_ROWS:
            return False
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)
            self._thread.start()
        self._busy = True
        self._jobs.put((challenger, rows, record))
        return True

    def _work(self) -> None:
        with suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        while (job := self._jobs.get()) is not None:
            challenger, rows, record = job
            began = time.monotonic()
            outcomes, error = compute([rows], challenger.bundle, witness=challenger.witness)
            outcome = outcomes[0]
            reply = None
            if not isinstance(outcome, BaseException):
                reply = Reply(outcome, challenger.served, SHADOW, 0.0, time.monotonic() - began)
            if self._loop is not None:
                with suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._done, challenger, reply, record, error)
            del job, challenger, rows, record, outcomes, outcome, reply, error

    def _done(self, challenger: Loaded, reply: Reply | None, record: Record, error: BaseException | None) -> None:
        self._busy = False
        self._watch(challenger, error)
        if reply is not None:
            record(reply)
