"""Groups of rows that are nearly the same, which must stay in one split.

Tables: rows that are the same. Text: Jaccard similarity of character 5-shingles of at least 0.8, found by MinHash
(Broder 1997) with banding and then checked exactly. Images: see `lingqu.data.similar_images`. The groups do not depend
on the order of the rows.

>>> text_groups(["The cat sat on the mat today.", "the cat  sat on the mat today!", "Something else."])
[0, 0, 2]
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

SHINGLE = 5
THRESHOLD = 0.8
BANDS, ROWS_PER_BAND = 20, 5
"""At a similarity of 0.8 a pair shares a band with probability 1 - (1 - 0.8^5)^20 = 0.9996; at 0.3 with 0.05."""

LIKELY = 0.55
"""The share of equal hashes from which on a pair is checked exactly: 6 standard errors below the threshold."""

_CHUNK = 1 << 16
_LEADERS = 4


class Unions:
    """Which items belong together (union-find with path halving; the smallest number leads its group).

    >>> unions = Unions(3)
    >>> unions.join(2, 1); unions.find(2)
    1
    """

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def find(self, item: int) -> int:
        """The leader of an item's group."""
        parent = self._parent
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    def join(self, one: int, other: int) -> None:
        """The groups of both become one."""
        a, b = self.find(one), self.find(other)
        self._parent[max(a, b)] = min(a, b)

    def leaders(self) -> list[int]:
        """The leader of every item."""
        return [self.find(item) for item in range(len(self._parent))]


def same_groups(contents: Sequence[Any]) -> list[int]:
    """Rows whose contents are equal.

    >>> same_groups(["a", "b", "a"])
    [0, 1, 0]
    """
    first: dict[Any, int] = {}
    return [first.setdefault(content, i) for i, content in enumerate(contents)]


def text_groups(texts: Sequence[str]) -> list[int]:
    """The group of each text: the position of its first text."""
    plain = [_plain(text) for text in texts]
    unique = sorted(set(plain))
    unions = Unions(len(unique))
    shingles = _Shingles(unique)
    for one, other in _candidates(shingles.signatures(), unions):
        if shingles.jaccard(one, other) >= THRESHOLD:
            unions.join(one, other)
    number = {text: i for i, text in enumerate(unique)}
    return same_groups([unions.find(number[text]) for text in plain])


def _plain(text: str) -> str:
    """One spelling for texts that differ only in case, width or white space."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


class _Shingles:
    """The hashed character 5-shingles of texts, end to end: those of text i are hashes[starts[i] : starts[i + 1]]."""

    def __init__(self, texts: Sequence[str]) -> None:
        # A text shorter than a shingle is padded to one.
        padded = [text if len(text) >= SHINGLE else text.ljust(SHINGLE, "\0") for text in texts]
        lengths = np.fromiter(map(len, padded), np.int64, len(padded)) - (SHINGLE - 1)
        self.starts = np.concatenate([[0], np.cumsum(lengths)])
        self.hashes = np.empty(int(self.starts[-1]), np.uint32)
        done = 0
        for part in _parts(padded):
            points = np.frombuffer("".join(part).encode("utf-32-le", "surrogatepass"), np.uint32)
            hashed = _hash_windows(points)
            # Windows that reach into the next text are left out.
            ends = np.cumsum([len(text) for text in part])
            keep = np.ones(len(hashed), bool)
            for back in range(SHINGLE - 1):
                inner = ends - 1 - back
                keep[inner[inner < len(hashed)]] = False
            kept = hashed[keep]
            self.hashes[done : done + len(kept)] = kept
            done += len(kept)

    def signatures(self) -> Array:
        """MinHash signatures, shape (texts, BANDS * ROWS_PER_BAND): the least of each text's shingles, by many hashes."""
        count = len(self.starts) - 1
        factors = _odd_numbers(BANDS * ROWS_PER_BAND)
        out = np.empty((count, len(factors)), np.uint32)
        for first, last in self._blocks():
            begin, end = self.starts[first], self.starts[last]
            block = self.hashes[begin:end]
            offsets = self.starts[first:last] - begin
            scratch = np.empty_like(block)
            for i, factor in enumerate(factors):
                np.multiply(block, factor, out=scratch)
                out[first:last, i] = np.minimum.reduceat(scratch, offsets)
        return out

    def _blocks(self) -> Iterator[tuple[int, int]]:
        """Ranges of texts whose shingles fit the cache, which makes hashing several times faster."""
        first, count = 0, len(self.starts) - 1
        while first < count:
            last = int(np.searchsorted(self.starts, self.starts[first] + _CHUNK, "right")) - 1
            last = min(max(last, first + 1), count)
            yield first, last
            first = last

    def jaccard(self, one: int, other: int) -> float:
        """How many shingles two texts share, of all that either has."""
        a = np.unique(self.hashes[self.starts[one] : self.starts[one + 1]])
        b = np.unique(self.hashes[self.starts[other] : self.starts[other + 1]])
        if min(len(a), len(b)) < THRESHOLD * max(len(a), len(b)):
            return 0.0
        shared = len(np.intersect1d(a, b, assume_unique=True))
        return shared / (len(a) + len(b) - shared)


def _parts(texts: Sequence[str]) -> Iterator[list[str]]:
    """Some texts at a time, so few that their characters fit the cache."""
    part: list[str] = []
    size = 0
    for text in texts:
        part.append(text)
        size += len(text)
        if size >= _CHUNK:
            yield part
            part, size = [], 0
    if part:
        yield part


def _hash_windows(points: Array) -> Array:
    """A well mixed 32-bit hash of every five consecutive characters (murmur3's finaliser over a polynomial)."""
    width = len(points) - SHINGLE + 1
    mixed = np.zeros(max(width, 0), np.uint64)
    for i in range(SHINGLE):
        mixed *= np.uint64(0x9E3779B97F4A7C15)
        mixed += points[i : i + width]
    mixed ^= mixed >> np.uint64(33)
    mixed *= np.uint64(0xFF51AFD7ED558CCD)
    mixed ^= mixed >> np.uint64(33)
    return (mixed >> np.uint64(16)).astype(np.uint32)


def _odd_numbers(count: int) -> Array:
    return np.random.default_rng(20).integers(0, 1 << 31, count, dtype=np.uint32) * np.uint32(2) + np.uint32(1)


def _candidates(signatures: Array, unions: Unions) -> Iterator[tuple[int, int]]:
    """Pairs not yet joined that agree in all rows of some band and in most hashes."""
    likely = LIKELY * signatures.shape[1]
    for band in range(BANDS):
        part = np.ascontiguousarray(signatures[:, band * ROWS_PER_BAND : (band + 1) * ROWS_PER_BAND])
        keys = part.view([("", part.dtype)] * ROWS_PER_BAND)[:, 0]
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        bounds = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1], [True]]))
        for start, stop in pairwise(bounds.tolist()):
            if stop - start > 1:
                for one, other in _pairs(order[start:stop].tolist()):
                    if unions.find(one) == unions.find(other):
                        continue
                    if np.count_nonzero(signatures[one] == signatures[other]) >= likely:
                        yield one, other


def _pairs(bucket: list[int]) -> Iterable[tuple[int, int]]:
    """In a large bucket each text meets the first few and its predecessor, so that the work stays linear."""
    for i, item in enumerate(bucket):
        for j in {*range(min(i, _LEADERS)), max(i - 1, 0)} - {i}:
            yield bucket[j], item
