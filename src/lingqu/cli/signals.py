"""How the command line ends when it is asked to: soon, at a point from which it can go on, with the status that shells expect.

SIGINT (Ctrl-C) and SIGTERM are exceptions in the main thread, so that whatever is open is closed and the training loop
writes a checkpoint (train/stopping.py). The main thread hears of a signal only between two instructions of Python, and a
library may compute for minutes without one: so a thread of its own watches, and ends the process when a second signal
comes, or when the first has not been obeyed within three seconds. Nothing is lost by that: what a run keeps is written
so that it is there whole or not at all.
"""

from __future__ import annotations

import datetime  # noqa: F401  # the core of pydantic panics when Ctrl-C ends its own import of this
import os
import select
import signal
import sys
import threading
from types import FrameType

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
GRACE = 3.0
_HEARD: list[int] = []


class Terminated(KeyboardInterrupt):
    """SIGTERM: the machine, a supervisor or a container asks the process to end."""


def obey_signals() -> None:
    """From now on SIGTERM raises Terminated, and a second signal or three seconds of no answer end the process."""
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGINT) in (signal.SIG_DFL, signal.default_int_handler):
        signal.signal(signal.SIGINT, _interrupt)
    threading.Thread(target=_watch, args=(ours,), name="signals", daemon=True).start()


def end_undisturbed() -> None:
    """From now on signals are ignored: what is left to do is to close what is open, and the status is known.

    Another Ctrl-C would end in a traceback of the interpreter's own and in another status. That it ends is still watched
    over once it was asked to.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def heard() -> int:
    """The exit status of the signal that was obeyed; 0 when there was none."""
    return 128 + _HEARD[0] if _HEARD else 0


def _interrupt(number: int, _frame: FrameType | None) -> None:
    _HEARD.append(number)
    raise KeyboardInterrupt


def _terminate(number: int, _frame: FrameType | None) -> None:
    _HEARD.append(number)
    raise Terminated


def _watch(pipe: int) -> None:
    first = _next(pipe)
    if select.select([pipe], [], [], GRACE)[0]:
        _next(pipe)
    sys.stderr.flush()
    os._exit(128 + first)


def _next(pipe: int) -> int:
    """The next SIGINT or SIGTERM; others wake the pipe too where they have a handler."""
    while True:
        number = os.read(pipe, 1)[0]
        if number in (signal.SIGINT, signal.SIGTERM):
            return number
