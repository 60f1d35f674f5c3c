"""What the files of registered versions say, read once each."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from lingqu.errors import LingquError

MOST_VERSIONS = 16

Fact = TypeVar("Fact")


class Remembered(Generic[Fact]):
    """What `read` finds about versions, by name and number; of many versions the latest used are kept in memory.

    What cannot be read is `unknown`, and is looked for again: feedback is taken whatever has become of the version that
    it is about.

    >>> lengths = Remembered(lambda name, number: len(name) + number, unknown=0)
    >>> lengths.of("router", 3), lengths.of("router", None)
    (9, 0)
    """

    def __init__(self, read: Callable[[str, int], Fact], unknown: Fact) -> None:
        self._read = read
        self._unknown = unknown
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, int], Fact] = OrderedDict()

    def of(self, name: str, number: int | None) -> Fact:
        """What is known of this version."""
        if number is None:
            return self._unknown
        key = (name, number)
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        try:
            found = self._read(name, number)
        except (LingquError, OSError):
            return self._unknown
        with self._lock:
            self._known[key] = found
            while len(self._known) > MOST_VERSIONS:
                self._known.popitem(last=False)
        return found
