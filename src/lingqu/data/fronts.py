"""The fronts: how rows become arrays, one per kind of model.

A front learns a memory from training rows (plain JSON values) and encodes rows with it. The table is closed: a bundle
names its front, never a dotted path.

>>> memory = learn(Rows({"text": ["a cat", "a dog"]}), Front("ngrams", {"buckets": 64, "words": [1], "chars": []}))
>>> sorted(encode(Rows({"text": ["a cat"]}), memory))
['counts', 'ids']
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from lingqu.contract import Front, Memory, Rows
from lingqu.data import vocabulary
from lingqu.errors import Problem, UnknownNameError, near

if TYPE_CHECKING:
    from lingqu.contract.task import Arrays

FRONTS = {"ngrams": "text", "tokens": "text", "pieces": "pieces", "pixels": "image", "table": "table"}
"""A front -> the module of it, imported when rows of that kind come: who reads tables needs no library of pictures."""

RAGGED = {"ngrams": ("ids", "counts"), "tokens": ("tokens",), "pieces": ("pieces",)}
"""Arrays of a front whose second axis is as long as the row needs; the first of them is 0 where it is padding."""


def learn(rows: Rows, front: Front) -> Memory:
    """What this front must remember, from training rows only; UnknownNameError for a front that does not exist."""
    if front.name not in FRONTS:
        raise UnknownNameError(Problem("a front that lingqu knows", f"'{front.name}'", near(front.name, FRONTS)))
    return {"name": front.name, **_of("learn", front.name)(rows, dict(front.settings))}


def encode(rows: Rows, memory: Memory) -> Arrays:
    """Rows as named arrays, by the memory of the front that learned it."""
    name = memory["name"]
    if vocabulary.KEPT not in memory:
        return _of("encode", name)(rows, memory)
    if name == "ngrams":
        # The same as to renumber them afterwards, without arrays that are filled and emptied again.
        return _of("encode_kept", name)(rows, memory, vocabulary.numbers(memory))
    return vocabulary.renumber(_of("encode", name)(rows, memory), memory)


@lru_cache(maxsize=32)
def _of(verb: str, front: str) -> Any:
    return getattr(import_module(f"lingqu.data.{FRONTS[front]}"), f"{verb}_{front}")
