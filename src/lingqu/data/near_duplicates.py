"""Groups of rows that are nearly the same, which must stay in one split.

Tables: rows that are the same. Text: Jaccard similarity of character 5-shingles of at least 0.8, found by MinHash
(Broder 1997) with banding and then checked exactly. Images: see `lingqu.data.similar_images`. The groups do not depend
on the order of the rows.

>>> text_groups(["The cat sat on the mat today.", "the cat  sat on the mat today!", "Something else."])
[0, 0, 2]
"""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from lingqu.data.sorted_texts import SortedTexts
from lingqu.store.scratch import Scratch

Array = np.ndarray[Any, np.dtype[Any]]

SHINGLE = 5
THRESHOLD = 0.8
BANDS, ROWS_PER_BAND = 20, 5
"""At a similarity of 0.8 a pair shares a band with probability 1 - (1 - 0.8^5)^20 = 0.9996; at 0.3 with 0.05."""

LIKELY = 0.55
"""The share of equal hashes from which on a pair is checked exactly: 6 standard errors below the threshold."""

_HASHES = BANDS * ROWS_PER_BAND
_CHUNK = 1 << 16
_LEADERS = 4


class Unions:
    """Which items belong together (union-find with path halving; the smallest number leads its group).

    >>> unions = Unions(3)
    >>> unions.join(2, 1); unions.find(2)
    1
    """

    def __init__(self, size: int) -> None:
        self._parent = array("i", range(size))

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

    def leaders(self) -> Array:
        """The leader of every item, int32."""
        leaders = np.array(self._parent, np.int32)
        while True:
            further = leaders[leaders]
            if np.array_equal(further, leaders):
                return leaders
            leaders = further


def same_groups(contents: Sequence[Any]) -> list[int]:
    """Rows whose contents are equal.

    >>> same_groups(["a", "b", "a"])
    [0, 1, 0]
    """
    first: dict[Any, int] = {}
    return [first.setdefault(content, i) for i, content in enumerate(contents)]


def text_groups(texts: Iterable[str]) -> list[int]:
    """The group of each text: the position of its first text."""
    with TextGroups() as groups:
        groups.add(texts)
        return same_groups(groups.numbers().tolist())


class TextGroups:
    """The groups of many texts: with a folder to write to, what is held in memory is some bytes a text.

    >>> with TextGroups() as groups:
    ...     groups.add(["The cat sat on the mat.", "Something else.", "the cat sat  on the mat."])
    ...     groups.numbers().tolist()
    [1, 0, 1]
    """

    def __init__(self, folder: Path | None = None, memory: int | None = None) -> None:
        self._open = ExitStack()
        self._folder = folder
        self._sorted = self._open.enter_context(SortedTexts(folder, **({} if memory is None else {"memory": memory})))

    def __enter__(self) -> TextGroups:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def add(self, texts: Iterable[str]) -> None:
        """Some more texts."""
        for text in texts:
            self._sorted.add(_plain(text))

    def numbers(self) -> Array:
        """The number of each text's group, int32; groups are numbered in the order of their first texts' characters."""
        number = np.empty(len(self._sorted), np.int32)
        unique = self._open.enter_context(_Unique(self._folder))
        for text, i in self._sorted:
            number[i] = unique.add(text)
        unique.finish()
        unions = Unions(unique.count)
        for band in range(BANDS):
            for one, other in unique.likely(band, unions):
                if unions.find(one) != unions.find(other) and unique.jaccard(one, other) >= THRESHOLD:
                    unions.join(one, other)
        return unions.leaders()[number]


def _plain(text: str) -> str:
    """One spelling for texts that differ only in case, width or white space."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


class _Unique:
    """Different texts in order, with their MinHash signatures, outside of memory where there is a folder."""

    def __init__(self, folder: Path | None) -> None:
        self.count = 0
        self._last: bytes | None = None
        self._part: list[str] = []
        self._size = 0
        self._open = ExitStack()
        self._texts, self._signatures, *self._bands = (
            self._open.enter_context(Scratch(folder)) for _ in range(2 + BANDS)
        )
        self._starts = array("Q")
        self._shingles = lru_cache(maxsize=64)(self._read_shingles)

    def __enter__(self) -> _Unique:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def add(self, text: bytes) -> int:
        """The number of a text; equal ones come one after the other."""
        if text != self._last:
            self._last = text
            self._starts.append(self._texts.write(text))
            self._part.append(_padded(text))
            self._size += len(text)
            self.count += 1
            if self._size >= 16 * _CHUNK:
                self.finish()
        return self.count - 1

    def finish(self) -> None:
        """Write the signatures of those that were added since."""
        if not self._part:
            return
        signatures = np.concatenate([_signatures(part) for part in _parts(self._part)])
        self._signatures.write(signatures.tobytes())
        for band, kept in enumerate(self._bands):
            kept.write(_band_keys(signatures[:, band * ROWS_PER_BAND : (band + 1) * ROWS_PER_BAND]).tobytes())
        self._part, self._size = [], 0

    def likely(self, band: int, unions: Unions) -> Iterator[tuple[int, int]]:
        """Pairs not yet joined that agree in all rows of a band and in most hashes."""
        keys = np.frombuffer(self._bands[band].read(), np.uint64)
        joined = unions.leaders()
        for one, other in _pairs(keys):
            apart = joined[one] != joined[other]
            one, other = one[apart], other[apart]
            if len(one):
                alike = self._alike(one, other) >= LIKELY * _HASHES
                yield from zip(one[alike].tolist(), other[alike].tolist(), strict=True)

    def _alike(self, one: Array, other: Array) -> Array:
        """How many hashes the texts of each pair have in common."""
        held, places = np.unique(np.concatenate([one, other]), return_inverse=True)
        width = 4 * _HASHES
        read = b"".join(self._signatures.read(i * width, width) for i in held.tolist())
        signatures = np.frombuffer(read, np.uint32).reshape(-1, _HASHES)
        return np.count_nonzero(signatures[places[: len(one)]] == signatures[places[len(one) :]], axis=1)

    def jaccard(self, one: int, other: int) -> float:
        """How many shingles two texts share, of all that either has."""
        a, b = self._shingles(one), self._shingles(other)
        if min(len(a), len(b)) < THRESHOLD * max(len(a), len(b)):
            return 0.0
        shared = len(np.intersect1d(a, b, assume_unique=True))
        return shared / (len(a) + len(b) - shared)

    def _read_shingles(self, number: int) -> Array:
        start = self._starts[number]
        end = self._starts[number + 1] if number + 1 < self.count else self._texts.size
        return np.unique(_hash_windows(_points(_padded(self._texts.read(start, end - start)))))


def _padded(spelled: bytes) -> str:
    """The text; one shorter than a shingle is padded to one."""
    return spelled.decode("utf-8", "surrogatepass").ljust(SHINGLE, "\0")


def _points(text: str) -> Array:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _parts(texts: Sequence[str]) -> Iterator[list[str]]:
    """Some texts at a time, so few that their characters fit the cache, which makes hashing several times faster."""
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


def _signatures(texts: Sequence[str]) -> Array:
    """MinHash signatures, uint32 (texts, BANDS * ROWS_PER_BAND): the least of each text's shingles, by many hashes."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    ends = np.cumsum(lengths)
    hashed = _hash_windows(_points("".join(texts)))
    # Windows that reach into the next text are left out.
    keep = np.ones(len(hashed), bool)
    for back in range(SHINGLE - 1):
        inner = ends - 1 - back
        keep[inner[inner < len(hashed)]] = False
    hashed = hashed[keep]
    offsets = np.cumsum(lengths - (SHINGLE - 1)) - (lengths - (SHINGLE - 1))
    out = np.empty((len(texts), _HASHES), np.uint32)
    scratch = np.empty_like(hashed)
    for i, factor in enumerate(_odd_numbers(_HASHES)):
        np.multiply(hashed, factor, out=scratch)
        out[:, i] = np.minimum.reduceat(scratch, offsets)
    return out


def _band_keys(part: Array) -> Array:
    """One number for the hashes of a band, uint64 (texts,): equal where all of them are, and else hardly ever."""
    mixed = np.zeros(len(part), np.uint64)
    for column in part.T:
        mixed = (mixed ^ column) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
    return mixed


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


def _pairs(keys: Array) -> Iterator[tuple[Array, Array]]:
    """Pairs of items with one key: each meets the first few of its bucket and its predecessor, so the work is linear."""
    order = np.argsort(keys, kind="stable").astype(np.int32)
    opens = np.ones(len(keys), bool)
    for first in range(1, len(keys), _CHUNK):
        ordered = keys[order[first - 1 : first + _CHUNK]]
        opens[first : first + _CHUNK] = ordered[1:] != ordered[:-1]
    start = np.maximum.accumulate(np.where(opens, np.arange(len(keys), dtype=np.int32), np.int32(0)))
    later = np.flatnonzero(~opens).astype(np.int32)
    for first in range(0, len(later), _CHUNK // 16):
        place = later[first : first + _CHUNK // 16, None]
        begin = start[place]
        leaders = begin + np.arange(_LEADERS)
        before = np.where(place - 1 >= begin + _LEADERS, place - 1, -1)
        one = np.concatenate([np.where(leaders < place, leaders, -1), before], axis=1).ravel()
        other = np.repeat(place[:, 0], _LEADERS + 1)
        yield order[one[one >= 0]], order[other[one >= 0]]
