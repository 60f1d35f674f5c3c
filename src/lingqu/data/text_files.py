"""Physical lines of a text file, decoded, one at a time, with the faults that any text format shares.

Bytes that the encoding does not know become lone surrogates instead of an exception, so that one bad byte costs its row and
not the file.
"""

from __future__ import annotations

import io
import os
import re
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from lingqu.data.encodings import BROKEN, detect
from lingqu.errors import DataError, Problem

LINE_CAP = 8 << 20
"""The longest line that is read, in characters; a longer one is broken."""

BACK_CAP = 256 << 20
"""How many characters are read again after unclosed quotes before the file as a whole is called broken."""

_STRANGE = re.compile("[\0\ud800-\udfff]")


class Lines:
    """An iterator of lines that can take back all but the first of those it gave since `start`."""

    def __init__(self, text: io.TextIOBase) -> None:
        self._text = text
        self._back: deque[str] = deque()
        self._again = 0
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._back.popleft() if self._back else self._text.readline(LINE_CAP)
        if not line:
            raise StopIteration
        if len(line) == LINE_CAP and line[-1] not in "\r\n":
            self._skip_rest()
        self.taken.append(line)
        return line

    def _skip_rest(self) -> None:
        more = "-"
        while more and more[-1] not in "\r\n":
            more = self._text.readline(LINE_CAP)

    def start(self) -> None:
        """A new record begins here."""
        self.taken.clear()

    def give_back(self, name: str) -> None:
        """All lines since `start` but the first will come again."""
        rest = self.taken[1:]
        self._again += sum(map(len, rest))
        if self._again > BACK_CAP:
            # Without this, a file with an unclosed quote on every line would be read once per line.
            raise DataError(
                Problem(
                    f"quoted cells that close in {name}", "quotes that stay open on very many lines", "Repair them."
                )
            )
        self._back.extendleft(reversed(rest))


@contextmanager
def open_text(path: Path, encoding: str = "auto") -> Iterator[io.TextIOWrapper]:
    """The file as text with its newlines untouched; DataError when it cannot be opened or its encoding is in doubt."""
    with open_bytes(path) as raw:
        name = encoding
        if encoding == "auto":
            state = os.fstat(raw.fileno())
            name = _detected(path, (state.st_ino, state.st_size, state.st_mtime_ns))
        try:
            text = io.TextIOWrapper(raw, encoding=name, errors=BROKEN, newline="")
        except LookupError:
            raise DataError(
                Problem("a known text encoding", repr(encoding), "Try utf-8, gb18030, big5, utf-16 or cp1252.")
            ) from None
        with text:
            yield text


@lru_cache(maxsize=16)
def _detected(path: Path, state: tuple[int, ...]) -> str:
    """The encoding of a file in this state: files are read more than once, and to tell takes long."""
    del state
    with open_bytes(path) as raw:
        return detect(raw, path.name)


@contextmanager
def open_bytes(path: Path) -> Iterator[io.BufferedReader]:
    """The file as bytes; DataError in plain words when that is not possible."""
    try:
        # Files are read more than once, and nobody knows when a device ends: to open a pipe would wait for its writer.
        kind = path.stat().st_mode
        if stat.S_ISFIFO(kind) or stat.S_ISCHR(kind):
            raise DataError(Problem(f"a readable file {path}", "a pipe or a device", "Write the rows to a file first."))
        raw = path.open("rb")
    except OSError as error:
        found = "no such file" if isinstance(error, FileNotFoundError) else (error.strerror or str(error)).lower()
        raise DataError(Problem(f"a readable file {path}", found, "Check the path, and who may read it.")) from None
    with raw:
        yield raw


def line_fault(line: str, encoding: str) -> str:
    r"""Why a line cannot be trusted, or nothing.

    >>> line_fault("a,b", "utf-8"), line_fault("a\0b", "utf-8"), line_fault("a\udce4", "utf-8")
    ('', 'holds a NUL byte', 'holds bytes that are not utf-8')
    """
    if line.isascii() and "\0" not in line:
        return "longer than 8 MiB" if len(line) >= LINE_CAP else ""
    found = _STRANGE.search(line)
    if found:
        return "holds a NUL byte" if found[0] == "\0" else f"holds bytes that are not {encoding}"
    return "longer than 8 MiB" if len(line) >= LINE_CAP else ""
