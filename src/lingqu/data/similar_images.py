"""Groups of pictures that are nearly the same: saved again, scaled, a little brighter or darker.

Each picture becomes a grey thumbnail of 16 x 16, brought to mean 0 and length 1. Candidates share 16 signs of random
projections in one of 32 tables (Charikar 2002, "Similarity Estimation Techniques from Rounding Algorithms"). A pair is
joined when its thumbnails correlate by at least 0.98 (photographs) to 0.995 (handwritten digits, among which any two of
one kind are alike): the more alike different pictures of a set are, the nearer its duplicates must be.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lingqu.data.near_duplicates import Unions, same_groups
from lingqu.data.pictures import open_picture

Array = np.ndarray[Any, np.dtype[Any]]

SIDE = 16
STRICT, LENIENT = 0.995, 0.98
"""The correlation of two thumbnails from which on they show the same, where different ones are alike, and where not."""

TABLES, BITS = 32, 16
NEIGHBOURS = 8
"""How many members of a bucket a picture is compared with, in the order of their brightness."""

_FLAT = 2.0
"""Below this deviation of grey levels a thumbnail shows nothing, and only equal ones are the same."""


def thumbnail(data: bytes) -> Array:
    """The grey thumbnail of a picture, uint8 (16, 16); PictureFault when it cannot be read.

    >>> from lingqu.data.pictures import encode_png
    >>> thumbnail(encode_png(np.full((32, 32), 7, np.uint8))).max()
    np.uint8(7)
    """
    from PIL import Image

    picture = open_picture(data, around=2 * SIDE)
    grey = picture if picture.mode == "L" else picture.convert("L")
    return np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.uint8)


def image_groups(thumbnails: Array, contents: list[str]) -> list[int]:
    """The group of each picture, the position of its first one; `contents` are the digests of the files.

    >>> one = np.arange(256, dtype=np.uint8).reshape(16, 16)
    >>> image_groups(np.stack([one, one.T, one]), ["a", "b", "c"])
    [0, 1, 0]
    """
    if not contents:
        return []
    # One thumbnail per content, in an order that does not depend on that of the rows.
    first: dict[str, int] = {content: i for i, content in reversed(list(enumerate(contents)))}
    unique = sorted(first)
    grey = thumbnails[[first[content] for content in unique]].reshape(len(unique), -1)
    number = {content: i for i, content in enumerate(unique)}
    leaders = _groups(grey)
    return same_groups([leaders[number[content]] for content in contents])


def _groups(grey: Array) -> list[int]:
    vectors, flat = _normalised(grey)
    unions = Unions(len(grey))
    seen: dict[bytes, int] = {}
    for i in np.flatnonzero(flat).tolist():
        unions.join(seen.setdefault(grey[i].tobytes(), i), i)
    bits = _signs(vectors)
    threshold = _threshold(vectors[~flat])
    brightness = grey.mean(axis=1)
    for table in range(TABLES):
        one, other = _pairs(bits[:, table], brightness, ~flat)
        for a, b in _close(vectors, bits, one, other, threshold).tolist():
            unions.join(a, b)
    return unions.leaders().tolist()


def _normalised(grey: Array) -> tuple[Array, Array]:
    vectors = grey.astype(np.float32)
    vectors -= vectors.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    flat = lengths[:, 0] < _FLAT * SIDE
    return vectors / np.maximum(lengths, 1e-6), flat


def _threshold(vectors: Array) -> float:
    """A tenth of the distance at which the nearest different picture usually is, within the two bounds."""
    if len(vectors) < 2:
        return STRICT
    step = max(1, len(vectors) // 300)
    places = np.arange(0, len(vectors), step)
    likeness = vectors[places] @ vectors.T
    likeness[likeness >= STRICT] = -1.0
    usual = float(np.median(likeness.max(axis=1)))
    return min(max(1 - (1 - usual) / 10, LENIENT), STRICT)


def _signs(vectors: Array) -> Array:
    """Signs of random projections around their medians, as uint16 (pictures, TABLES)."""
    directions = np.random.default_rng(16).standard_normal((vectors.shape[1], TABLES * BITS), dtype=np.float32)
    projected = vectors @ directions
    above = projected > np.median(projected[:: max(1, len(projected) // 10_000)], axis=0)
    return np.packbits(above, axis=1).view(np.uint16).reshape(len(vectors), TABLES)


def _pairs(keys: Array, brightness: Array, wanted: Array) -> tuple[Array, Array]:
    order = np.lexsort((brightness, keys))
    order = order[wanted[order]]
    ones, others = [], []
    for step in range(1, NEIGHBOURS + 1):
        left, right = order[:-step], order[step:]
        same = keys[left] == keys[right]
        ones.append(left[same])
        others.append(right[same])
    return np.concatenate(ones), np.concatenate(others)


def _close(vectors: Array, bits: Array, one: Array, other: Array, threshold: float) -> Array:
    """Of these pairs the ones whose thumbnails correlate enough, (pairs, 2)."""
    kept: list[Array] = []
    for start in range(0, len(one), 200_000):
        a, b = one[start : start + 200_000], other[start : start + 200_000]
        # Signs that differ in more than a quarter cannot belong to such a pair; this is far cheaper to see.
        near = np.bitwise_count(bits[a] ^ bits[b]).sum(axis=1) < TABLES * BITS // 4
        a, b = a[near], b[near]
        close = np.einsum("ij,ij->i", vectors[a], vectors[b]) >= threshold
        kept.append(np.stack([a[close], b[close]], axis=1))
    return np.concatenate(kept) if kept else np.empty((0, 2), np.int64)
