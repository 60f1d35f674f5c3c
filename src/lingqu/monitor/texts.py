"""Texts as vectors that need no model: how often each short run of characters occurs, hashed into a few places.

Runs of one to three characters say something of any language, with or without spaces between its words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

WIDTH = 512
LONGEST = 1000
"""So many characters of a text are looked at."""

_MIX, _ONE = np.uint64(0x9E3779B97F4A7C15), np.uint64(77)


def text_vectors(texts: Sequence[str]) -> Array:
    """One vector of length 1 a text, float32 (texts, 512); an empty text is all zeros.

    >>> a, b, c = text_vectors(["a cat sat here", "a cat sat there", "十全十美"])
    >>> bool(a @ b > 0.8 > 0.2 > a @ c)
    True
    """
    vectors = np.zeros((len(texts), WIDTH), np.float32)
    for place, text in enumerate(texts):
        codes = np.frombuffer(text[:LONGEST].lower().encode("utf-32-le", "replace"), np.uint32).astype(np.uint64)
        pairs = codes[:-1] * np.uint64(1_114_112) + codes[1:]
        threes = pairs[:-1] * np.uint64(1_114_112) + codes[2:]
        # Multiplying spreads a run over all bits; the highest ones choose its place.
        hashed = np.concatenate([(codes + _ONE) * _MIX, pairs * _MIX, (threes + _MIX) * _MIX]) >> np.uint64(55)
        counts = np.log1p(np.bincount(hashed.astype(np.int64), minlength=WIDTH))
        length = float(np.sqrt(counts @ counts))
        if length > 0:
            vectors[place] = counts / length
    return vectors
