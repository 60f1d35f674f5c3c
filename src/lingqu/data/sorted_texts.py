"""Texts in order, however many: parts are sorted in memory, kept as files, and merged (external merge sort).

>>> with SortedTexts() as texts:
...     texts.add("b"); texts.add("a"); texts.add("b")
...     list(texts)
[(b'a', 1), (b'b', 0), (b'b', 2)]
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import ExitStack
from heapq import merge
from pathlib import Path

from lingqu.store.scratch import Scratch

MEMORY = 16 << 20
"""So many bytes are sorted at a time."""

_BESIDE = 130
"""What a text costs in memory beside its characters: two objects, a number and their places."""


class SortedTexts:
    """Lines of text in the order of their characters, each with its number in the order in which they were added.

    Texts are UTF-8, whose order is that of the characters; none holds a line end.
    """

    def __init__(self, folder: Path | None = None, memory: int = MEMORY) -> None:
        self._folder, self._memory = folder, memory
        self._held: list[tuple[bytes, int]] = []
        self._size = self._count = 0
        self._runs: list[tuple[Scratch, array[int]]] = []
        self._open = ExitStack()

    def __enter__(self) -> SortedTexts:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def __len__(self) -> int:
        return self._count

    def add(self, text: str) -> None:
        """One more text."""
        spelled = text.encode("utf-8", "surrogatepass")
        self._held.append((spelled, self._count))
        self._count += 1
        self._size += len(spelled) + _BESIDE
        if self._folder is not None and self._size > self._memory:
            self._keep()

    def __iter__(self) -> Iterator[tuple[bytes, int]]:
        self._held.sort()
        return merge(*(_lines(*run) for run in self._runs), iter(self._held)) if self._runs else iter(self._held)

    def _keep(self) -> None:
        self._held.sort()
        run = self._open.enter_context(Scratch(self._folder, memory=0))
        for start in range(0, len(self._held), 1000):
            run.write(b"".join(text + b"\n" for text, _ in self._held[start : start + 1000]))
        self._runs.append((run, array("I", (number for _, number in self._held))))
        self._held, self._size = [], 0


def _lines(run: Scratch, numbers: array[int]) -> Iterator[tuple[bytes, int]]:
    # A text may be compared without the end of its line only: some characters stand before that in the order.
    return ((line[:-1], number) for line, number in zip(run.lines(), numbers, strict=True))
