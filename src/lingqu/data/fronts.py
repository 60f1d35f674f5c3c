"""The fronts: how rows become arrays, one per kind of model.

A front learns a memory from training rows (plain JSON values) and encodes rows with it. The table is closed: a bundle
names its front, never a dotted path.

>>> memory = learn(Rows({"text": ["a cat", "a dog"]}), Front("ngrams", {"buckets": 64, "words": [1], "chars": []}))
>>> sorted(encode(Rows({"text": ["a cat"]}), memory))
['counts', 'ids']
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lingqu.contract import Front, Memory, Rows
from lingqu.data import image, pieces, table, text, vocabulary
from lingqu.errors import Problem, UnknownNameError, near

if TYPE_CHECKING:
    from lingqu.contract.task import Arrays

FRONTS = {
    "ngrams": (text.learn_ngrams, text.encode_ngrams),
    "tokens": (text.learn_tokens, text.encode_tokens),
    "pieces": (pieces.learn_pieces, pieces.encode_pieces),
    "pixels": (image.learn_pixels, image.encode_pixels),
    "table": (table.learn_table, table.encode_table),
}

RAGGED = {"ngrams": ("ids", "counts"), "tokens": ("tokens",), "pieces": ("pieces",)}
"""Arrays of a front whose second axis is as long as the row needs; the first of them is 0 where it is padding."""


def learn(rows: Rows, front: Front) -> Memory:
    """What this front must remember, from training rows only; UnknownNameError for a front that does not exist."""
    if front.name not in FRONTS:
        raise UnknownNameError(Problem("a front that lingqu knows", f"'{front.name}'", near(front.name, FRONTS)))
    learn_front, _ = FRONTS[front.name]
    return {"name": front.name, **learn_front(rows, dict(front.settings))}


def encode(rows: Rows, memory: Memory) -> Arrays:
    """Rows as named arrays, by the memory of the front that learned it."""
    _, encode_front = FRONTS[memory["name"]]
    arrays = encode_front(rows, memory)
    return vocabulary.renumber(arrays, memory) if vocabulary.KEPT in memory else arrays
