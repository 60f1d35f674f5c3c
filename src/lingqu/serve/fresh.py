"""Random bytes of the system, fetched many at a time.

Each call of os.urandom lets go of Python's interpreter lock, and a busy thread may take it for milliseconds.

>>> len(fresh(10)), fresh(10) != fresh(10)
(10, True)
"""

from __future__ import annotations

import os
import threading

MANY = 4096


class _Pool(threading.local):
    """What one thread has fetched and not yet given; no byte is given twice."""

    def __init__(self) -> None:
        self.bytes = b""
        self.at = 0


_POOL = _Pool()


def _forget_in_child() -> None:
    # What a parent has fetched and not yet given, its child would give too.
    _POOL.bytes, _POOL.at = b"", 0


os.register_at_fork(after_in_child=_forget_in_child)


def fresh(count: int) -> bytes:
    """So many random bytes, at most 4,096, as unpredictable as os.urandom's."""
    if _POOL.at + count > len(_POOL.bytes):
        _POOL.bytes, _POOL.at = os.urandom(MANY), 0
    _POOL.at += count
    return _POOL.bytes[_POOL.at - count : _POOL.at]
