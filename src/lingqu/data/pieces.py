"""Text as the word pieces of a pretrained encoder, by the encoder's own tokenizer.

The tokenizer travels in the memory, so a bundle needs nothing but the `tokenizers` library. Ids are one higher than the
tokenizer's, so that 0 can be padding whatever the encoder's own padding is.

>>> from tokenizers import Tokenizer, models, pre_tokenizers
>>> spelled = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1, "cat": 2}, unk_token="[UNK]"))
>>> spelled.pre_tokenizer = pre_tokenizers.Whitespace()
>>> memory = learn_pieces(Rows({"text": []}), {"tokenizer": spelled.to_str(), "max_pieces": 8})
>>> encode_pieces(Rows({"text": ["a cat", "dog"]}), memory)["pieces"].tolist()
[[2, 3], [1, 0]]
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Tokenizer

from lingqu.contract import Memory, Rows
from lingqu.errors import Problem, RequestError

if TYPE_CHECKING:
    from lingqu.contract.task import Arrays

CHARACTERS = 32
"""A piece is hardly ever longer: of a text, so many characters a piece are read."""


def learn_pieces(rows: Rows, settings: dict[str, Any]) -> Memory:
    """Nothing is learned from the rows: the memory is the encoder's tokenizer and how much of a text counts.

    Of a longer text the first `max_pieces` - `tail` pieces and the last `tail` are kept: the end of a review often says
    what its middle does not (Sun et al. 2019, arXiv 1905.05583, "head+tail"). RequestError for a tokenizer that the
    library cannot read.
    """
    try:
        spelled = json.loads(settings["tokenizer"])
        # How long a text may be is said here, and padding is the batch's business.
        plain = json.dumps({**spelled, "truncation": None, "padding": None}, ensure_ascii=False, separators=(",", ":"))
        size = _tokenizer(plain).get_vocab_size()
    except Exception as error:  # the library raises bare Exception
        reason = f"{error}".splitlines()[0][:200].rstrip(".") if str(error) else type(error).__name__
        advice = "Save the tokenizer again with a newer version of transformers."
        raise RequestError(Problem("a tokenizer.json that the library tokenizers reads", reason, advice)) from error
    most = settings.get("max_pieces", 128)
    return {
        "column": settings.get("column", "text"),
        "tokenizer": plain,
        "vocabulary": size,
        "max_pieces": most,
        "tail": max(1, min(settings.get("tail", 1), most - 1)),
    }


def encode_pieces(rows: Rows, memory: Memory) -> Arrays:
    """Pieces of the text column: `pieces` int64 (rows, longest row), 0 where it is padding, else the id plus 1."""
    tokenizer = _tokenizer(memory["tokenizer"])
    most, tail = memory["max_pieces"], memory["tail"]
    encoded = tokenizer.encode_batch([_both_ends(_readable(text), most, tail) for text in rows[memory["column"]]])
    # A text without a single piece is one piece of the lowest id, for an encoder needs something to read.
    ids = [
        (found.ids if len(found.ids) <= most else found.ids[: most - tail] + found.ids[-tail:]) or [0]
        for found in encoded
    ]
    pieces = np.zeros((len(ids), max((len(row) for row in ids), default=1)), np.int64)
    for place, row in enumerate(ids):
        pieces[place, : len(row)] = row
        pieces[place, : len(row)] += 1
    return {"pieces": pieces}


def _both_ends(text: str, most: int, tail: int) -> str:
    """The text without a middle that would be cut away anyhow."""
    if len(text) <= CHARACTERS * (most + 1):
        return text
    return f"{text[: CHARACTERS * most]} {text[-CHARACTERS * tail :]}"


def _readable(text: object) -> str:
    """The text without lone surrogates, which no encoder can spell."""
    return str(text).encode("utf-8", "replace").decode("utf-8")


@lru_cache(maxsize=8)
def _tokenizer(spelled: str) -> Tokenizer:
    tokenizer = Tokenizer.from_str(spelled)
    # A text that spells a special piece, such as "[SEP]", is text like any other. This setting is not kept in JSON.
    tokenizer.encode_special_tokens = True
    return tokenizer
