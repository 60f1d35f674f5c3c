"""The group of each row, whose key alone decides its split."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from lingqu.contract import Rows
from lingqu.data.near_duplicates import Unions

Array = np.ndarray[Any, np.dtype[Any]]

COMMON = 0.5
"""From this share of repeated rows on, equal rows of a table are coincidences (few columns with few values)."""

_CHUNK = 1 << 16


def row_digests(rows: Rows, names: Iterable[str] | None = None) -> list[str]:
    """SHA-256 of each row's content, whatever the order of rows and columns.

    >>> a, b = row_digests(Rows({"x": [1.0, 1.0], "y": ["a", "a"]}))
    >>> a == b == row_digests(Rows({"y": ["a"], "x": [1.0]}))[0]
    True
    """
    return [digest.hex() for digest in digests(rows, names)]


def digests(rows: Rows, names: Iterable[str] | None = None) -> Iterator[bytes]:
    """The same as 32 bytes each.

    >>> len(next(digests(Rows({"x": [1.0]}))))
    32
    """
    chosen = sorted(rows.names if names is None else names)
    spelled = [_spelled(rows[name]) for name in chosen]
    head = json.dumps(chosen, ensure_ascii=False).encode()
    start = hashlib.sha256(head)
    for i in range(len(rows)):
        whole = start.copy()
        # Length before content, so that no two different rows have the same bytes.
        for column in spelled:
            cell = column[i]
            whole.update(b"%d:" % len(cell))
            whole.update(cell)
        yield whole.digest()


def _spelled(values: Sequence[Any]) -> list[bytes]:
    seen: dict[Any, bytes] = {}
    for value in values:
        if value not in seen:
            seen[value] = _cell(value)
    return [seen[value] for value in values]


def _cell(value: Any) -> bytes:
    if value is None:
        return b"-"
    if isinstance(value, bytes):
        return b"b" + hashlib.sha256(value).digest()
    return b"n" + repr(value).encode() if isinstance(value, float) else b"s" + value.encode()


def places(found: Array) -> Array:
    """Where each digest, uint8 (rows, 32), stands among those that differ, in their order: int32 (rows,).

    >>> places(np.array([[2] * 32, [1] * 32, [2] * 32], np.uint8)).tolist()
    [1, 0, 1]
    """
    words = found.reshape(len(found), -1).view(">u8")
    order = np.argsort(words[:, 0].astype(np.uint64), kind="stable")
    new = _new(found, order)
    same_start = words[order[1:], 0] == words[order[:-1], 0]
    if (new[1:] & same_start).any():
        # The first eight of 32 bytes nearly always tell two digests apart.
        order = np.lexsort(words.T[::-1])
        new = _new(found, order)
    numbers = np.empty(len(found), np.int32)
    numbers[order] = np.cumsum(new, dtype=np.int32) - 1
    return numbers


def _new(found: Array, order: Array) -> Array:
    """Whether each row differs from the one before it in this order; the first one does."""
    new = np.ones(len(order), bool)
    for start in range(1, len(order), _CHUNK):
        these, before = order[start : start + _CHUNK], order[start - 1 : start - 1 + _CHUNK][: len(order) - start]
        new[start : start + _CHUNK] = (found[these] != found[before]).any(axis=1)
    return new


def numbered(asked: Array, order: Array) -> Array:
    """How many rows that ask the same come before each, so that equal rows can go to different splits: int32 (rows,).

    They are counted in the order of a second number, so that the order of the rows does not matter.

    >>> numbered(np.array([0, 1, 0]), np.array([2, 1, 1])).tolist()
    [1, 0, 0]
    """
    ranked = np.lexsort((order, asked))
    ordered = asked[ranked]
    opens = np.ones(len(asked), bool)
    opens[1:] = ordered[1:] != ordered[:-1]
    turn = np.arange(len(asked), dtype=np.int32)
    out = np.empty(len(asked), np.int32)
    out[ranked] = turn - np.maximum.accumulate(np.where(opens, turn, np.int32(0)))
    return out


def spelled_order(numbers: Array) -> Array:
    """Where each number stands when 0 is written as nothing and the others as words: 10 before 2.

    >>> spelled_order(np.array([0, 2, 10])).tolist()
    [0, 2, 1]
    """
    different, inverse = np.unique(numbers, return_inverse=True)
    words = [str(number) if number else "" for number in different.tolist()]
    rank = np.empty(len(words), np.int32)
    rank[sorted(range(len(words)), key=words.__getitem__)] = np.arange(len(words))
    return rank[inverse]


def group_leaders(asked: Array, numbers: Array, near: Array, named: Array | None = None) -> Array:
    """For each row the position of the one that names its group, int32 (rows,).

    Rows of one near-duplicate group (`near`) and rows with one name (`named`, -1 where there is none) belong together.
    It is the row of the smallest name among them, or of the smallest digest (`asked`, then `numbers`), so that it follows
    from content alone.

    >>> asked, numbers = np.array([1, 0, 2]), np.array([0, 0, 0])
    >>> group_leaders(asked, numbers, np.array([0, 0, 2])).tolist()
    [1, 1, 2]
    >>> group_leaders(asked, numbers, np.array([0, 1, 1]), np.array([0, 1, -1])).tolist()
    [0, 1, 1]
    """
    by = [spelled_order(numbers), asked]
    if named is not None:
        near = _joined(near, named)
        by.append(np.where(named < 0, np.iinfo(np.int32).max, named))
    order = np.lexsort(by)
    leader = np.full(int(near.max(initial=-1)) + 1, -1, np.int32)
    # The last to be written is the first in order.
    leader[near[order[::-1]]] = order[::-1]
    return leader[near]


def _joined(group: Array, named: Array) -> Array:
    """Groups that share a name as one."""
    unions = Unions(int(group.max(initial=-1)) + 1)
    held: dict[int, int] = {}
    pairs = np.unique(np.stack([named, group], axis=1)[named >= 0], axis=0)
    for name, one in pairs.tolist():
        unions.join(held.setdefault(name, one), one)
    return unions.leaders()[group]


def table_groups(same: Array) -> tuple[Array, bool]:
    """Equal rows together, unless most rows repeat others; and whether that is so.

    >>> groups, coincidences = table_groups(np.array([0, 0, 0, 1, 1]))
    >>> groups.tolist(), coincidences
    ([0, 1, 2, 3, 4], True)
    """
    if len(same) and 1 - len(np.unique(same)) / len(same) >= COMMON:
        return np.arange(len(same), dtype=np.int32), True
    return same, False
