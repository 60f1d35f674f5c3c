"""Room for what need not stay: in memory while it is small, then in a file without a name.

Such a file is gone when it is closed, and after a kill too, so nothing has to be cleared away.

>>> with Scratch(getfixture("tmp_path"), memory=4) as scratch:
...     print(scratch.write(b"channel"), scratch.write(b"!"), scratch.read(0, 3), scratch.read(7, 1), scratch.size)
0 7 b'cha' b'!' 8
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

from lingqu.store.atomic import make_folder, not_written

MEMORY = 1 << 20
"""From so many bytes on they go to the disk."""


class Scratch:
    """Bytes that are written end to end and read anywhere; without a folder they stay in memory."""

    def __init__(self, folder: Path | None = None, memory: int = MEMORY) -> None:
        self.size = 0
        self._folder = folder
        if folder is not None:
            make_folder(folder)
        # A limit of zero is none.
        limit = max(memory, 1) if folder else 0
        self._file: IO[bytes] = SpooledTemporaryFile(limit, dir=folder and str(folder))  # noqa: SIM115 - `close` does

    def __enter__(self) -> Scratch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, data: bytes | memoryview) -> int:
        """Add bytes, and give where they begin; StoreError when the disk is full."""
        start = self.size
        try:
            self._file.seek(start)
            self._file.write(data)
        except OSError as error:
            raise not_written(error, self._folder or Path(), size=len(data)) from error
        self.size += len(data)
        return start

    def read(self, start: int = 0, length: int | None = None) -> bytes:
        """The bytes from here on, all of them or so many."""
        self._file.seek(start)
        return self._file.read(self.size - start if length is None else length)

    def lines(self) -> Iterator[bytes]:
        """The bytes line by line; nothing may be written or read meanwhile."""
        self._file.seek(0)
        yield from self._file

    def close(self) -> None:
        """Give the room back."""
        self._file.close()
