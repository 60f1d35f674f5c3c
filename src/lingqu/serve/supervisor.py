"""The parent of the workers: it holds the port, starts them, replaces those that end, and stops them when asked.

The listening socket is made here and handed to each worker, so no connection is refused while one is replaced: it waits
in the socket's queue. The first worker loads its libraries while it is still being checked what it shall serve. A worker that ended early is replaced after a pause that doubles each time, so nothing loops. The parent
imports nothing but the standard library: it is small, and there is little in it that could fail.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from lingqu.errors import LingquError, Problem, RequestError, WorkError
from lingqu.serve.plan import Plan, threads_given
from lingqu.serve.port import take_no_more
from lingqu.serve.shared import Shared, remove_abandoned, shared_folder

STEADY = 10.0
"""A worker that lived so many seconds was well; the next one starts without a pause."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
LEAST_SILENCE, MOST_SILENCE, LOADING = 10.0, 30.0, 600.0
"""A worker that says nothing for so many seconds hangs, and is ended: between these, as the deadline of requests is; while
it loads it may take longer."""
LOOK, LONGEST_LOOK = 0.25, 1.0
"""How often the workers are looked at, and what one look counts at most: where this process itself had to wait, because the
machine stood still or had no time for it, its workers had to as well."""
LAST_CALL = 0.25
"""So many seconds before the workers close the port nobody can begin to connect to it any more."""
FOLDER = "PROMETHEUS_MULTIPROC_DIR"
ARENAS = "2"
"""Heaps of the C library in a worker. It makes one for every thread, up to eight a core, and each keeps for ever what the
longest text of its thread once took: 380 MB after texts of a million characters, 174 MB with two."""

Tell = Callable[[str], None]


@dataclass(eq=False)
class Child:
    """One worker process; `status` is the pipe it reports on, `silent` for how many seconds it has not.

    `line` is how it hears what to serve; it stays open: when this process dies, however it dies, the worker reads its end
    and stops.
    """

    process: subprocess.Popen[bytes]
    line: socket.socket
    status: int
    started: float
    silent: float = 0.0
    ready: bool = False
    leaving: bool = False
    unread: bytes = b""
    error: LingquError | None = None

    @classmethod
    def begin(cls, shared: Shared, workers: int) -> Child:
        """Start a worker, which loads its libraries and waits to be told what to serve."""
        reports, status = os.pipe()
        ours, theirs = socket.socketpair()
        # Another thread of OpenBLAS, which NumPy brings and no answer needs, would spin for a tenth of a second at the start.
        environment = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": ARENAS, **os.environ}
        environment |= {FOLDER: str(shared.path / "metrics"), "OMP_NUM_THREADS": threads_given(workers)}
        # Ctrl-C reaches every process of a terminal; a worker, however young, is ended by this one alone.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "lingqu.serve.worker", str(status)],
                stdin=theirs.fileno(),
                # It may live a little longer than this process does, and the folder with it.
                pass_fds=(status, shared.lock),
                env=environment,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
            os.close(status)
        os.set_blocking(reports, False)
        return cls(process, ours, reports, time.monotonic())

    def give(self, plan: Plan, listener: socket.socket) -> None:
        """Tell it what to serve, and on which socket."""
        with suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(self.line, [plan.line().encode() + b"\n"], [listener.fileno()])

    def end(self) -> None:
        """Let go of it; one that still waits for its plan ends by itself."""
        self.line.close()
        os.close(self.status)


@contextmanager
def nursery(workers: int) -> Iterator[tuple[Shared, list[Child]]]:
    """A folder that the workers of one service share, and its first worker, which loads its libraries meanwhile.

    Whoever takes the worker out of the list looks after it; one that nobody has taken is ended.
    """
    with shared_folder() as shared:
        (shared.path / "metrics").mkdir()
        (shared.path / "trials").mkdir()
        waiting = [Child.begin(shared, workers)]
        try:
            remove_abandoned()
            yield shared, waiting
        finally:
            for child in waiting:
                child.end()
                child.process.kill()
                child.process.wait()


@dataclass
class Supervisor:
    """The workers of one port."""

    plan: Plan
    listener: socket.socket
    shared: Shared
    waiting: list[Child]
    on_ready: Callable[[list[str]], None]
    tell: Tell
    children: list[Child] = field(default_factory=list)
    failures: int = 0
    next_start: float = 0.0
    was_ready: bool = False
    stopping: bool = False

    def run(self) -> int:
        """Serve until SIGTERM or SIGINT; 0 when every worker ended well. LingquError when no worker could begin."""
        with _signals() as wake:
            self.plan = replace(self.plan, shared=str(self.shared.path / "trials"))
            try:
                self._watch(wake)
            finally:
                status = self._stop()
        return status

    @property
    def silence(self) -> float:
        """Seconds after which a silent worker hangs: by then each of its requests is past its deadline."""
        deadline = float(self.plan.settings.get("deadline_seconds", MOST_SILENCE))
        return min(MOST_SILENCE, max(LEAST_SILENCE, deadline + 5.0))

    # Starting

    def _start(self) -> None:
        child = self.waiting.pop() if self.waiting else Child.begin(self.shared, self.plan.workers)
        child.give(self.plan, self.listener)
        self.children.append(child)

    def _watch(self, wake: int) -> None:
        while not self.stopping:
            missing = self.plan.workers - sum(not child.leaving for child in self.children)
            now = time.monotonic()
            if missing > 0 and now >= self.next_start:
                for _ in range(missing):
                    self._start()
            self._listen(wake, LOOK)
            self._reap()

    def _listen(self, wake: int, seconds: float) -> None:
        """What children and signals say, within so many seconds."""
        began = time.monotonic()
        found, _, _ = select.select([wake, *(child.status for child in self.children)], [], [], seconds)
        looked = min(time.monotonic() - began, LONGEST_LOOK)
        for child in self.children:
            child.silent += looked
            if child.status in found:
                self._hear(child)
            elif child.silent > (most := self.silence if child.ready else LOADING):
                self.tell(f"Worker {child.process.pid} has said nothing for {most:.0f} s and is ended.")
                child.process.kill()
                child.silent = 0.0
        if wake in found:
            self.stopping |= any(number in (signal.SIGTERM, signal.SIGINT) for number in os.read(wake, 64))

    def _hear(self, child: Child) -> None:
        with suppress(BlockingIOError):
            child.unread += os.read(child.status, 65_536)
        child.silent = 0.0
        *lines, child.unread = child.unread.split(b"\n")
        for line in lines:
            self._obey(child, json.loads(line) if line else {})

    def _obey(self, child: Child, said: Mapping[str, Any]) -> None:
        if "ready" in said:
            child.ready = True
            if not self.was_ready:
                self.was_ready = True
                self.on_ready(said["ready"])
        if "error" in said:
            problems = [Problem(**problem) for problem in said["error"]["problems"]]
            kind = RequestError if said["error"]["status"] == 2 else WorkError
            child.error = kind(problems)
        if "stuck" in said:
            self.tell(f"Worker {child.process.pid} is replaced: {said['stuck']}")
            child.leaving = True

    # Ending

    def _reap(self) -> None:
        """Children that have ended; LingquError when none ever was ready and one has told why."""
        for child in [child for child in self.children if child.process.poll() is not None]:
            self._hear(child)
            self._forget(child)
            lived = time.monotonic() - child.started
            if child.error is not None and not self.was_ready:
                raise child.error
            if self.stopping or child.leaving:
                continue
            self.failures = 0 if lived > STEADY else self.failures + 1
            pause = 0.0 if self.failures <= 1 else min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (self.failures - 2))
            self.next_start = time.monotonic() + pause
            why = f": {child.error}" if child.error else ""
            self.tell(f"Worker {child.process.pid} ended ({_status(child.process.returncode)}){why}; a new one starts.")
            if not self.was_ready and self.failures > 3:
                found = f"{_status(child.process.returncode)} four times"
                raise WorkError(Problem("a worker that begins to serve", found, "Look at what it wrote above."))

    def _forget(self, child: Child) -> None:
        self.children.remove(child)
        child.end()
        # What a dead process had in progress or in line is nobody's now; its counters stay.
        for path in (self.shared.path / "metrics").glob(f"gauge_live*_{child.process.pid}.db"):
            path.unlink()

    def _stop(self) -> int:
        """Ask every worker to end and wait; those that do not in time are ended."""
        for child in self.children:
            child.process.terminate()
        began = time.monotonic()
        self._close(began + float(self.plan.settings.get("drain_seconds", 0.0)) - LAST_CALL)
        worst, until = 0, began + self.plan.patience
        for child in [*self.children]:
            try:
                child.process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.tell(f"Worker {child.process.pid} does not stop and is ended.")
                child.process.kill()
                child.process.wait()
            # One that was still loading has no way of its own to end yet.
            early = not child.ready and child.process.returncode == -signal.SIGTERM
            worst = max(worst, 0 if early else abs(child.process.returncode))
            self._forget(child)
        return min(worst, 1)

    def _close(self, moment: float) -> None:
        """Let nobody connect any more, shortly before the workers take the last of those who have."""
        for child in self.children:
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.0, moment - time.monotonic()))
        take_no_more(self.listener)
        self.listener.close()


@contextmanager
def _signals() -> Iterator[int]:
    """A pipe that gets the number of each signal; the handlers and the pipe of before come back afterwards."""
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    pipe = signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
    try:
        yield ours
    finally:
        signal.set_wakeup_fd(pipe)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(ours)
        os.close(theirs)


def _status(code: int) -> str:
    """How a process ended, in words.

    >>> _status(-9), _status(1)
    ('SIGKILL', 'status 1')
    """
    return signal.Signals(-code).name if code < 0 else f"status {code}"
