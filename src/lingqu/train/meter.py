"""How much memory a piece of work needed: the most that this process held while it ran.

>>> with held() as memory:
...     block = bytearray(64 << 20)
>>> memory.peak_mib - memory.start_mib > 60
True
"""

from __future__ import annotations

import os
import resource
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

EVERY_SECONDS = 0.02
_STATM = Path("/proc/self/statm")


@dataclass(slots=True)
class Memory:
    """Resident memory of this process in MiB: when the work began, and at most since then."""

    start_mib: float
    peak_mib: float

    def look(self) -> float:
        """Takes in what is held now, and gives the most that was held so far."""
        self.peak_mib = max(self.peak_mib, resident_mib())
        return self.peak_mib


@contextmanager
def held() -> Iterator[Memory]:
    """Looks at the process fifty times a second while the block runs, for the kernel's own peak is that of its whole life."""
    now = resident_mib()
    memory, done = Memory(now, now), threading.Event()

    def watch() -> None:
        while not done.wait(EVERY_SECONDS):
            memory.look()

    watcher = threading.Thread(target=watch, name="memory", daemon=True)
    watcher.start()
    try:
        yield memory
    finally:
        memory.look()
        done.set()
        watcher.join()


def resident_mib() -> float:
    """What this process holds now, in MiB; where the system does not say so, the most that it ever held.

    >>> resident_mib() > 1
    True
    """
    try:
        pages = int(_STATM.read_text("ascii").split()[1])
    except (OSError, IndexError, ValueError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        # Kilobytes on Linux, bytes on macOS.
        return most / (1 << 20) if sys.platform == "darwin" else most / 1024
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
