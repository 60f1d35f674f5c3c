"""Stopping between two steps: whoever presses Ctrl-C, or a machine that asks its processes to end, loses no step.

Inside `held_back` the first SIGINT or SIGTERM is only noted, so that the loop can finish its step and write a checkpoint;
it is delivered when the block ends. A second one is delivered at once. Signals reach a program's main thread alone, so
elsewhere nothing is held back.

>>> with held_back() as asked:
...     asked()
False
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

HELD = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def held_back() -> Iterator[Callable[[], bool]]:
    """What is yielded says whether the process was asked to end; leaving the block obeys."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before: dict[int, Any] = {}
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if noted:
            _put_back(before)
            _deliver(number, before[number], frame)
        noted.append(number)

    for number in HELD:
        before[number] = signal.signal(number, note)
    try:
        yield lambda: bool(noted)
    finally:
        _put_back(before)
    if noted:
        _deliver(noted[0], before[noted[0]], None)


def _deliver(number: int, handler: Any, frame: FrameType | None) -> None:
    """What would have happened; a handler is called, since a signal raised anew would count as a second one."""
    if callable(handler):
        handler(number, frame)
    else:
        signal.raise_signal(number)


def _put_back(handlers: dict[int, Any]) -> None:
    for number, handler in handlers.items():
        # None is a handler that was not set from Python; it cannot be set again, and the default comes nearest.
        signal.signal(number, signal.SIG_DFL if handler is None else handler)
