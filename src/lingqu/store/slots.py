"""Small counters that the processes of one machine share: a file of fixed records, mapped into memory.

A change holds the kernel's lock on the file, which is released when its holder is killed. Nothing is flushed to the
disk: the counters survive a process, not a power cut.

>>> slots = Slots(getfixture("tmp_path") / "limits", "d2q", records=8)
>>> with slots.change("a1") as counters:
...     counters[1] += 5
>>> with Slots(getfixture("tmp_path") / "limits", "d2q", records=8).change("a1") as counters:
...     counters
[0.0, 5, 0]
>>> slots.close()
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from lingqu.errors import Problem, StoreError
from lingqu.store.atomic import make_folder, not_written

RECORDS = 4096


class Slots:
    """Records of numbers, found by a name of at most 16 bytes; all zero at first.

    `form` says which numbers, in the letters of `struct`: d is a real number and q a whole one.
    """

    def __init__(self, path: Path, form: str, *, records: int = RECORDS) -> None:
        self.path = path
        self._record = struct.Struct(f"<16s{form}")
        self.records = records
        self._lock = threading.Lock()
        make_folder(path.parent)
        size = records * self._record.size
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            # A hole in the file would be filled on first touch, and a full disk would then end the process by SIGBUS.
            os.posix_fallocate(self._file, 0, size)
        except OSError as error:
            raise not_written(error, path, size=size) from error
        self._memory = mmap.mmap(self._file, size)

    @contextmanager
    def change(self, name: str) -> Iterator[list[float | int]]:
        """The record of this name as a list; what the block leaves in it is kept. Nothing is kept when it raises."""
        key = name.encode()
        if not 0 < len(key) <= 16:
            raise ValueError(f"a name of 1 to 16 bytes expected, found {name!r}")
        with self._alone():
            offset, counters = self._find(self._memory, key.ljust(16, b"\0"))
            before = list(counters)
            yield counters
            if counters != before:
                self._record.pack_into(self._memory, offset, key, *counters)

    def remove(self, names: Iterable[str]) -> None:
        """Make room: forget the records of these names, which nobody may use any more.

        >>> with Slots(getfixture("tmp_path") / "few", "q", records=1) as slots:
        ...     with slots.change("a1") as counters:
        ...         counters[0] = 5
        ...     slots.remove(["a1"])
        ...     with slots.change("b2") as counters:
        ...         counters
        [0]
        """
        gone = {name.encode().ljust(16, b"\0") for name in names}
        with self._alone():
            records = [one for one in self._record.iter_unpack(self._memory) if any(one[0])]
            left = [one for one in records if one[0] not in gone]
            if len(left) == len(records):
                return
            anew = bytearray(len(self._memory))
            for key, *counters in left:
                self._record.pack_into(anew, self._find(anew, key)[0], key, *counters)
            # In one go: who is killed before or after it leaves whole records.
            self._memory[:] = bytes(anew)

    def close(self) -> None:
        """Let go of the file; the counters stay in it."""
        self._memory.close()
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._lock:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def _find(self, memory: mmap.mmap | bytearray, key: bytes) -> tuple[int, list[float | int]]:
        # No record is emptied by itself, so a search ends at an empty one.
        size, unpack = self._record.size, self._record.unpack_from
        start = self._start(key)
        for step in range(self.records):
            offset = (start + step) % self.records * size
            found, *counters = unpack(memory, offset)
            if found == key or not any(found):
                return offset, counters
        advice = f"Stop the service and remove {self.path}; it is made anew."
        raise StoreError(Problem(f"at most {self.records:,} keys with limits", "more", advice))

    def _start(self, key: bytes) -> int:
        """Where the search for a name begins: spread over all records, though names may be of a few letters only."""
        return zlib.crc32(key) % self.records
