"""The small world of the demo: people who send pictures of handwritten digits, and a camera that somebody knocks askew.

The pictures are the 1,797 of scikit-learn. Their owner has photographs of the first part and learns from them; what people
send are photographs of the others, which no model has seen. Each photograph is turned by the camera's angle and a little
more, is a little darker, and has some noise, so that no two are the same.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from lingqu.data.bundled import read_bundled
from lingqu.data.pictures import encode_png, open_picture

Array = np.ndarray[Any, np.dtype[Any]]

OWNED = 800
"""How many pictures the owner has; people send photographs of the others."""
UNSTEADY, NOISE, LIGHT = 3.0, 4.0, 0.08
"""How much photographs differ: degrees, grey levels (both standard deviations), and the share of light that may lack."""


@dataclass(frozen=True, slots=True, eq=False)
class Photograph:
    """A picture as somebody sends it, and what it shows: what the world knows and lingqu does not."""

    picture: bytes
    truth: str


class Album:
    """Some pictures, handed out in turn, each time photographed anew."""

    def __init__(self, pictures: Array, labels: list[str], seed: int) -> None:
        self.pictures, self.labels = pictures, labels
        self._draw = np.random.default_rng(seed)
        self._next = 0

    def __len__(self) -> int:
        return len(self.labels)

    def photograph(self, angle: float) -> Photograph:
        """The next picture, by a camera that is turned by so many degrees."""
        place, self._next = self._next % len(self), self._next + 1
        return Photograph(encode_png(taken_by(self.pictures[place], angle, self._draw)), self.labels[place])


@dataclass(frozen=True, slots=True, eq=False)
class World:
    """The owner's rows as an archive, and two albums of people: their pictures teach, or they are only ever asked about."""

    owned: bytes
    teaching: Album
    asking: Album


def world(seed: int = 0, owned: int = OWNED) -> World:
    r"""The pictures divided at random: some are the owner's, half of the others teach, half are kept to measure with.

    >>> made = world()
    >>> len(made.teaching) + len(made.asking), made.asking.photograph(25.0).picture[:4]
    (997, b'\x89PNG')
    """
    rows = [row for batch in read_bundled("digits") for row in map(batch.rows.row, range(len(batch.rows)))]
    draw = np.random.default_rng(seed)
    order = draw.permutation(len(rows))
    pictures = np.stack([np.asarray(open_picture(rows[place]["image"])) for place in order])
    labels = [str(rows[place]["label"]) for place in order]
    buffer = io.BytesIO()
    taken = np.stack([taken_by(pictures[place], 0.0, draw) for place in range(owned)])
    np.savez_compressed(buffer, images=taken, labels=np.array(labels[:owned]))
    half = owned + (len(rows) - owned) // 2
    albums = (
        Album(pictures[part], labels[part], seed + place)
        for place, part in enumerate((slice(owned, half), slice(half, None)))
    )
    return World(buffer.getvalue(), *albums)


def taken_by(picture: Array, angle: float, draw: np.random.Generator) -> Array:
    """A photograph of a picture by a camera that is turned by so many degrees, uint8."""
    turned = rotate(picture, angle + draw.normal(0.0, UNSTEADY))
    seen = turned * (1 - LIGHT * draw.random()) + draw.normal(0.0, NOISE, turned.shape)
    return seen.round().clip(0, 255).astype(np.uint8)


def rotate(picture: Array, degrees: float) -> Array:
    """A picture turned about its middle, each pixel mixed from the four it came from; what comes from outside is 0.

    >>> rotate(np.array([[0.0, 9.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), 90.0).round(6).tolist()
    [[0.0, 0.0, 0.0], [9.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    angle = np.deg2rad(degrees)
    middle = (np.array(picture.shape) - 1) / 2
    y, x = np.meshgrid(
        *(np.arange(size) - half for size, half in zip(picture.shape, middle, strict=True)), indexing="ij"
    )
    down = y * np.cos(angle) + x * np.sin(angle) + middle[0]
    right = x * np.cos(angle) - y * np.sin(angle) + middle[1]
    top, left = np.floor(down).astype(int), np.floor(right).astype(int)
    padded = np.pad(picture.astype(float), 1)
    limits = np.array(padded.shape) - 1

    def at(row: Array, column: Array) -> Array:
        return padded[(row + 1).clip(0, limits[0]), (column + 1).clip(0, limits[1])]

    below, beside = down - top, right - left
    upper = at(top, left) * (1 - beside) + at(top, left + 1) * beside
    lower = at(top + 1, left) * (1 - beside) + at(top + 1, left + 1) * beside
    return upper * (1 - below) + lower * below
