"""The files in which prometheus_client keeps a process's numbers, with their room on the disk taken before they are mapped.

The library makes its files of holes. On a full disk the first touch of a hole ends the process by SIGBUS, and so it ends
each one that takes its place. Here a file is written whole under another name, as large as it will be, and mapped then;
when it has to grow, a larger one takes its place. Where there is no room, the numbers stay in memory, where only this
process sees them, and go to their file as soon as there is some.

>>> numbers = Allocated(str(getfixture("tmp_path") / "counter_1.db"))
>>> numbers.write_value("answers", 3.0, 0.0)
>>> [(name, value) for name, value, _, _ in Allocated.read_all_values_from_file(numbers._fname)]
[('answers', 3.0)]
>>> numbers.close()
"""

from __future__ import annotations

import logging
import mmap
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from prometheus_client.mmap_dict import MmapedDict

ROOM = 1 << 16
AGAIN_SECONDS = 10.0
"""So long after there was no room it is looked for again."""
_BEGIN = 8
_BESIDE_KEY = 32
"""What an entry takes beside its key, at most."""
_LOG = logging.getLogger("lingqu.serve")


class Allocated(MmapedDict):
    """As the library's own, which calls it under one lock."""

    _f: IO[bytes] | None
    """None while the numbers are in memory only."""
    _m: mmap.mmap
    _positions: dict[str, int]

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        self._again = 0.0
        if Path(filename).exists():
            # A process with the same number was here before: its counts go on.
            super().__init__(filename, read_mode)
            return
        self._fname, self._f, self._positions, self._used = filename, None, {}, _BEGIN
        self._m, self._capacity = mmap.mmap(-1, ROOM), ROOM
        self._m[:4] = _BEGIN.to_bytes(4, sys.byteorder)
        self._settle()

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        """Keep a number, in the file if there is room by now."""
        if self._f is None and time.monotonic() >= self._again:
            self._settle()
        super().write_value(key, value, timestamp)

    def _init_value(self, key: str) -> None:
        size = self._capacity
        while self._used + len(key.encode()) + _BESIDE_KEY > size:
            size *= 2
        if size > self._capacity:
            self._grow(size)
        super()._init_value(key)

    def _grow(self, size: int) -> None:
        larger = mmap.mmap(-1, size)
        larger[: self._capacity] = self._m[:]
        self.close()
        self._m, self._capacity = larger, size
        self._settle()

    def _settle(self) -> None:
        """Write the file and go on there; where that fails, everything stays as it is."""
        # Not through `store`: nobody needs these numbers after a power cut, and the event loop shall not wait for the disk.
        new = Path(f"{self._fname}.new")
        try:
            new.write_bytes(self._m[:])
            kept = new.open("r+b")
            mapped = mmap.mmap(kept.fileno(), self._capacity)
            new.replace(self._fname)
            self._m, self._f = mapped, kept
        except OSError as error:
            with suppress(OSError):
                new.unlink()
            if self._again == 0:
                told = "Expected room for numbers in %s, found %s. They stay in memory until there is some."
                _LOG.warning(told, self._fname, (error.strerror or type(error).__name__).lower())
            self._again = time.monotonic() + AGAIN_SECONDS
