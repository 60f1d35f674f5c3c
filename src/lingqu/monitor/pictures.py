"""Pictures as a few numbers that need no model: how bright, how contrasty, how large, and a thumbnail of 8 x 8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lingqu.data.pictures import PictureFault, open_picture

Array = np.ndarray[Any, np.dtype[Any]]

SIDE = 8


def picture_numbers(pictures: Sequence[bytes]) -> dict[str, Array]:
    """brightness, contrast and pixels of each picture that can be read, and the thumbnails, float32 (pictures, 64).

    >>> from lingqu.data.pictures import encode_png
    >>> found = picture_numbers([encode_png(np.full((16, 16), 51, np.uint8)), b"no picture"])
    >>> {name: array.tolist() for name, array in found.items() if name != "look"}, found["look"].shape
    ({'brightness': [0.2], 'contrast': [0.0], 'pixels': [256.0]}, (1, 64))
    """
    looks: list[Array] = []
    sizes: list[float] = []
    for data in pictures:
        look = _thumbnail(data)
        if look is not None:
            looks.append(look[0])
            sizes.append(look[1])
    stacked = np.stack(looks) if looks else np.zeros((0, SIDE * SIDE), np.float32)
    return {
        "brightness": stacked.mean(axis=1).astype(float).round(6),
        "contrast": stacked.std(axis=1).astype(float).round(6),
        "pixels": np.array(sizes, dtype=float),
        "look": stacked,
    }


def _thumbnail(data: bytes) -> tuple[Array, float] | None:
    from PIL import Image

    try:
        picture = open_picture(data)
    except PictureFault:
        return None
    size = float(picture.width * picture.height)
    grey = picture if picture.mode == "L" else picture.convert("L")
    small = grey.resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small, np.float32).reshape(-1) / np.float32(255), size
