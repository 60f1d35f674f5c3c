"""Exclusive locks between processes, which the kernel releases when their holder ends, however it ends.

>>> with hold(getfixture("tmp_path") / "run.lock"):
...     pass
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from lingqu.errors import ConflictError, Problem
from lingqu.store.atomic import make_folder, not_written

_held: dict[int, tuple[Path, int]] = {}
"""Descriptors of the locks that this process holds: their file and the thread that took them."""


@contextmanager
def hold(path: Path, *, on_wait: Callable[[str], None] | None = None, wait: bool = True) -> Iterator[None]:
    """Hold the lock of this file while the block runs.

    When another process holds it, `on_wait` is told in one sentence, once, and the call waits; with `wait` false it is
    ConflictError instead. Taking a lock again in the thread that holds it is RuntimeError, for it would wait for ever.

    >>> path = getfixture("tmp_path") / "run.lock"
    >>> with hold(path), hold(path):
    ...     pass
    Traceback (most recent call last):
    RuntimeError: this thread already holds run.lock
    """
    if (path, threading.get_ident()) in _held.values():
        raise RuntimeError(f"this thread already holds {path.name}")
    make_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise not_written(error, path) from error
    process = os.getpid()
    try:
        _take(descriptor, path, on_wait, wait)
        _held[descriptor] = (path, threading.get_ident())
        # Only for people: who holds it is decided by the kernel, never by what stands in the file. A full disk may refuse it.
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC".encode(), 0)
        yield
    finally:
        _held.pop(descriptor, None)
        # The file stays: removing it would let a third process lock a new one while a second waits for the old one.
        if os.getpid() == process:
            os.close(descriptor)


def _take(descriptor: int, path: Path, on_wait: Callable[[str], None] | None, wait: bool) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    except BlockingIOError:
        holder = os.pread(descriptor, 200, 0).decode("utf-8", "replace") or "another process"
    if not wait:
        problem = Problem(f"{path.stem} to be free", f"it held by {holder}", "Wait until that has ended.")
        raise ConflictError(problem)
    if on_wait is not None:
        on_wait(f"Waiting for {path.stem}, held by {holder}.")
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def _forget_in_child() -> None:
    # A forked child shares the lock through its copy of the descriptor: it would keep it after its parent was killed.
    for descriptor in list(_held):
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget_in_child)
