"""Text as the pieces of an encoder: what is cut, what is padding, and that no text can spell a special piece."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from lingqu.contract import Front, Rows
from lingqu.data import fronts
from lingqu.errors import RequestError

sys.path.insert(0, str(Path(__file__).parent.parent / "models"))
from tiny_encoders import WORDS, tokenizer


def pieces(texts, **settings):
    memory = fronts.learn(Rows({"text": []}), Front("pieces", {"tokenizer": tokenizer(), **settings}))
    assert json.loads(json.dumps(memory)) == memory
    found = fronts.encode(Rows({"text": texts}), memory)["pieces"]
    return [[WORDS[place - 1] for place in row if place] for row in found.tolist()]


def test_the_published_limits_are_not_used():
    assert pieces(["the soup won the match"]) == [["[CLS]", "the", "soup", "won", "the", "match", "[SEP]"]]


def test_both_ends_of_a_long_text_are_kept():
    text = "the soup " + "bad " * 5000 + "good match"
    assert pieces([text], max_pieces=6, tail=3) == [["[CLS]", "the", "soup", "good", "match", "[SEP]"]]
    assert pieces([text], max_pieces=4) == [["[CLS]", "the", "soup", "[SEP]"]]


def test_a_text_cannot_spell_special_pieces():
    assert pieces(["[SEP]"]) == [["[CLS]", "[UNK]", "[UNK]", "[UNK]", "[SEP]"]]


def test_a_row_does_not_depend_on_its_neighbours():
    texts = ["", "soup", "\ud800 the soup", "红烧肉"]
    assert pieces(texts) == [pieces([text])[0] for text in texts]


def test_a_broken_tokenizer_is_told():
    for spelled in ("{}", "no json", "[]"):
        with pytest.raises(RequestError, match=r"^Expected a tokenizer.json that the library tokenizers reads, found"):
            fronts.learn(Rows({"text": []}), Front("pieces", {"tokenizer": spelled}))


def test_ids_are_one_higher_than_the_tokenizers():
    memory = fronts.learn(Rows({"text": []}), Front("pieces", {"tokenizer": tokenizer()}))
    found = fronts.encode(Rows({"text": ["the soup", "the"]}), memory)["pieces"]
    assert np.array_equal(found, [[3, 5, 6, 4], [3, 5, 4, 0]])
