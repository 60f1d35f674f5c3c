"""How many different values a column holds, counted in two megabytes however long the column is.

Up to 262,144 different values the count is exact. Beyond that only values whose hash lies below a bound are kept, and the
bound is halved each time they become too many (Wegman's adaptive sampling; Flajolet 1990, "On adaptive sampling"): the
count is then right to about 0.2 in a hundred, and does not depend on the order of the values.

>>> seen = Distinct()
>>> seen.add({"a": 2, "b": 1}); seen.add({"c": 1})
>>> seen.count, seen.total
(3, 4)
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import numpy as np

KEPT = 1 << 18


class Distinct:
    """Different values and how often any came, added some at a time; 1, 1.0 and True are one value, "1" is another."""

    def __init__(self, kept: int = KEPT) -> None:
        self.total = 0
        self._kept = kept
        self._bound = 1 << 64
        self._hashes = np.empty(0, np.uint64)
        self._new: list[int] = []
        self._repeated = False

    def add(self, counts: Mapping[Any, int]) -> None:
        """Values that differ, each with how often it came."""
        self.total += sum(counts.values())
        for value, count in counts.items():
            hashed = _hash(value)
            if hashed < self._bound:
                self._new.append(hashed)
                self._repeated |= count > 1
        if len(self._new) >= self._kept // 4:
            self._merge()

    @property
    def count(self) -> int:
        """How many different values there are; `total` if none of those that are kept came twice."""
        self._merge()
        if not self._repeated:
            return self.total
        if self._bound == 1 << 64:
            return len(self._hashes)
        return round(len(self._hashes) * (1 << 64) / self._bound)

    def joined_by(self, other: Distinct) -> int:
        """How many different values there are in both together."""
        both = Distinct(self._kept)
        for one in (self, other):
            one._merge()
            both.total += one.total
            both._bound = min(both._bound, one._bound)
            both._repeated |= one._repeated
        both._new = [hashed for one in (self, other) for hashed in one._hashes.tolist() if hashed < both._bound]
        return both.count

    def _merge(self) -> None:
        if self._new:
            both = np.concatenate([self._hashes, np.array(self._new, np.uint64)])
            self._hashes = np.unique(both)
            self._repeated |= len(self._hashes) < len(both)
            self._new = []
        while len(self._hashes) > self._kept:
            self._bound >>= 1
            self._hashes = self._hashes[self._hashes < np.uint64(self._bound)]


def _hash(value: Any) -> int:
    if isinstance(value, str):
        spelled = b"s" + value.encode("utf-8", "surrogatepass")
    else:
        # Equal numbers are one value, whatever their type.
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        spelled = f"n{int(value) if whole else value!r}".encode()
    return int.from_bytes(blake2b(spelled, digest_size=8).digest())
