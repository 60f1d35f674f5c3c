"""The key of each row's group, which alone decides its split."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lingqu.contract import Rows
from lingqu.data.near_duplicates import Unions, same_groups

COMMON = 0.5
"""From this share of repeated rows on, equal rows of a table are coincidences (few columns with few values)."""


def row_digests(rows: Rows, names: Iterable[str] | None = None) -> list[str]:
    """SHA-256 of each row's content, whatever the order of rows and columns.

    >>> a, b = row_digests(Rows({"x": [1.0, 1.0], "y": ["a", "a"]}))
    >>> a == b == row_digests(Rows({"y": ["a"], "x": [1.0]}))[0]
    True
    """
    chosen = sorted(rows.names if names is None else names)
    spelled = [_spelled(rows[name]) for name in chosen]
    head = json.dumps(chosen, ensure_ascii=False).encode()
    start = hashlib.sha256(head)
    digests: list[str] = []
    for i in range(len(rows)):
        whole = start.copy()
        # Length before content, so that no two different rows have the same bytes.
        for column in spelled:
            cell = column[i]
            whole.update(b"%d:" % len(cell))
            whole.update(cell)
        digests.append(whole.hexdigest())
    return digests


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


def group_keys(digests: Sequence[str], near: Sequence[int], named: Sequence[str | None] | None = None) -> list[str]:
    """The key of each row's group.

    Rows of one near-duplicate group (`near`) and rows with one value of the group column (`named`) belong together. The
    key is the smallest value of the group column among them, or their smallest digest, so it follows from content alone.

    >>> group_keys(["d2", "d1", "d3"], [0, 0, 2])
    ['d1', 'd1', 'd3']
    >>> group_keys(["d2", "d1", "d3"], [0, 1, 1], ["ann", "bob", None])
    ['ann', 'bob', 'bob']
    """
    unions = Unions(len(digests))
    for i, leader in enumerate(near):
        unions.join(leader, i)
    if named is not None:
        for i, leader in enumerate(same_groups([i if name is None else name for i, name in enumerate(named)])):
            unions.join(leader, i)
    leaders = unions.leaders()
    keys: dict[int, tuple[bool, str]] = {}
    for i, leader in enumerate(leaders):
        name = named[i] if named is not None else None
        key = (name is None, digests[i] if name is None else name)
        keys[leader] = min(key, keys.get(leader, key))
    return [keys[leader][1] for leader in leaders]


def table_groups(digests: Sequence[str]) -> tuple[list[int], bool]:
    """Equal rows together, unless most rows repeat others; and whether that is so.

    >>> table_groups(["a", "b", "a"]), table_groups(["a", "a", "a", "b", "b"])
    (([0, 1, 0], False), ([0, 1, 2, 3, 4], True))
    """
    if len(digests) and 1 - len(set(digests)) / len(digests) >= COMMON:
        return list(range(len(digests))), True
    return same_groups(list(digests)), False


def numbered(digests: Sequence[str], order: Sequence[str]) -> list[str]:
    """Digests in which each repetition has a number, so that equal rows can go to different splits.

    Repetitions are numbered in the order of a second digest, so that the order of the rows does not matter.

    >>> numbered(["a", "b", "a"], ["2", "1", "1"])
    ['a#1', 'b', 'a']
    """
    seen: Counter[str] = Counter()
    out = list(digests)
    for i in sorted(range(len(digests)), key=lambda i: order[i]):
        digest = digests[i]
        if seen[digest]:
            out[i] = f"{digest}#{seen[digest]}"
        seen[digest] += 1
    return out


def largest_share(keys: Sequence[str]) -> tuple[str, float]:
    """The key of the largest group and its share of all rows.

    >>> largest_share(["a", "b", "a", "a"])
    ('a', 0.75)
    """
    counts: Mapping[str, int] = Counter(keys)
    key = max(counts, key=lambda one: (counts[one], one))
    return key, counts[key] / len(keys)
