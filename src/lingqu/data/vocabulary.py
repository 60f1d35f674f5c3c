"""A vocabulary of which only some entries are kept, so that a network's tables need no rows for the others.

A front's memory then holds `kept`, a bit per entry, and `unknown`, the entry that stands for those that are not kept.
Entries get new numbers in their old order, so that padding stays 0. Without an unknown one, what is not kept is left out
of its row: a hashed n-gram of which a table of zeros said nothing.
"""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from lingqu.contract import Memory

if TYPE_CHECKING:
    from lingqu.contract.task import Array, Arrays

KEPT, UNKNOWN = "kept", "unknown"
ENTRIES = {"ngrams": "ids", "tokens": "tokens", "pieces": "pieces"}
"""Front -> the array that holds its entries."""


def pack(kept: Array) -> str:
    """Which entries are kept, bool (entries,), as text for a memory.

    >>> pack(np.array([True, False, True]))
    'oA=='
    """
    return base64.b64encode(np.packbits(kept).tobytes()).decode()


def renumber(arrays: Arrays, memory: Memory) -> Arrays:
    """The arrays of a front with the new numbers of the entries that its memory keeps.

    >>> kept = pack(np.array([True, False, True]))
    >>> arrays = {"ids": np.array([[1, 2], [1, 0]]), "counts": np.array([[3.0, 4.0], [5.0, 0.0]])}
    >>> short = renumber(arrays, {"name": "ngrams", "kept": kept})
    >>> short["ids"].tolist(), short["counts"].tolist()
    ([[1], [0]], [[4.0], [0.0]])
    >>> tokens = {"tokens": np.array([[2, 1, 2]]), "lengths": np.array([3])}
    >>> memory = {"name": "tokens", "kept": pack(np.array([True, True, False])), "unknown": 1}
    >>> renumber(tokens, memory)["tokens"].tolist()
    [[1, 1, 1]]
    """
    name, unknown = ENTRIES[memory["name"]], memory.get(UNKNOWN)
    found = numbers(memory)[arrays[name]]
    if unknown is not None:
        return {**arrays, name: found.astype(arrays[name].dtype)}
    # What is left out leaves no hole: rows are packed to the left again, and are as wide as the longest of them.
    row, column = np.nonzero(found)
    lengths = np.bincount(row, minlength=len(found))
    place = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    shape = (len(found), max(int(lengths.max(initial=0)), 1))
    packed = {key: np.zeros(shape, array.dtype) for key, array in arrays.items()}
    for key, array in arrays.items():
        packed[key][row, place] = (found if key == name else array)[row, column]
    return packed


def numbers(memory: Memory) -> Array:
    """The new number of each entry of a front, int32 (entries,); one that is not kept has the unknown one's, or 0.

    >>> numbers({"name": "ngrams", "kept": pack(np.array([True, False, True]))})[:3].tolist()
    [0, 0, 1]
    """
    return _numbers(memory[KEPT], memory.get(UNKNOWN))


@lru_cache(maxsize=8)
def _numbers(packed: str, unknown: int | None) -> Array:
    """The new number of each entry, int32; one that is not kept has that of the unknown one, or 0."""
    kept = np.unpackbits(np.frombuffer(base64.b64decode(packed), np.uint8)).astype(bool)
    numbers = np.cumsum(kept, dtype=np.int32) - 1
    numbers[~kept] = 0 if unknown is None else numbers[unknown]
    return numbers
