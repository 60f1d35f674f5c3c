"""Pictures as arrays: decoded, brought to one size and one number of channels.

>>> from lingqu.data.pictures import encode_png
>>> rows = Rows({"image": [encode_png(np.full((4, 4), 128, np.uint8))]})
>>> memory = learn_pixels(rows, {"side": 32})
>>> memory["channels"], memory["height"], encode_pixels(rows, memory)["pixels"].shape
(1, 4, (1, 1, 4, 4))
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow

from lingqu.contract import Memory, Rows
from lingqu.data.pictures import open_picture

if TYPE_CHECKING:
    from lingqu.contract.task import Array, Arrays


LEAST = 4
"""Fewer pixels a side cannot be halved and looked at by a convolution."""


def _pixels(picture: Pillow.Image, channels: int, height: int, width: int) -> Array:
    """One picture as uint8 (channels, height, width)."""
    picture = picture.convert("L" if channels == 1 else "RGB")
    if picture.size != (width, height):
        picture = picture.resize((width, height), Pillow.Resampling.BILINEAR)
    array = np.asarray(picture, np.uint8)
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


def learn_pixels(rows: Rows, settings: dict[str, Any]) -> Memory:
    """Channels, size, and the mean and deviation of each channel (0 to 1), from at most 2,000 training pictures.

    Pictures that are all of one size between `LEAST` and `side` keep it; others become squares, as large as the typical
    picture but of at most `side` pixels: more would be made up, and paid for in every convolution. With `exact` all
    become squares of `side` pixels.
    """
    column, side = settings.get("column", "image"), settings.get("side", 64)
    sample = rows[column][:: max(1, -(-len(rows) // 2000))]
    sizes, grey = [], True
    for data in sample:
        picture = open_picture(data)
        sizes.append((picture.height, picture.width))
        grey = grey and (picture.mode == "L" or _is_grey(picture))
    height, width = (side, side) if settings.get("exact") else _size(sizes, side)
    memory = {"column": column, "channels": 1 if grey else 3, "height": height, "width": width}
    pixels = _stack(sample, memory) / np.float64(255)
    mean, deviation = pixels.mean(axis=(0, 2, 3)), pixels.std(axis=(0, 2, 3))
    return {**memory, "mean": np.round(mean, 6).tolist(), "std": np.round(np.maximum(deviation, 0.01), 6).tolist()}


def _size(sizes: list[tuple[int, int]], most: int) -> tuple[int, int]:
    """The height and width that all pictures are brought to.

    >>> _size([(28, 28)] * 3, 64), _size([(20, 22), (21, 30), (400, 300)], 64), _size([(600, 800)] * 2, 64)
    ((28, 28), (32, 32), (64, 64))
    """
    if len(set(sizes)) == 1 and min(sizes[0]) >= LEAST and max(sizes[0]) <= most:
        return sizes[0]
    typical = float(np.median([max(size) for size in sizes]))
    side = min(most, 8 * -(-int(typical) // 8))
    return side, side


def _is_grey(picture: Pillow.Image) -> bool:
    red, green, blue = (np.asarray(band) for band in picture.convert("RGB").split())
    return bool((red == green).all() and (green == blue).all())


def _stack(images: Iterable[bytes], memory: Memory) -> Array:
    shape = (memory["channels"], memory["height"], memory["width"])
    pictures = [_pixels(open_picture(data), *shape) for data in images]
    return np.stack(pictures) if pictures else np.empty((0, *shape), np.uint8)


def encode_pixels(rows: Rows, memory: Memory) -> Arrays:
    """The image column as `pixels` uint8 (rows, channels, height, width); networks scale it themselves."""
    return {"pixels": _stack(rows[memory["column"]], memory)}
