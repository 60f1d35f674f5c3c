"""Augmentation: each batch changed a little in ways that leave its labels as they are, so that a network sees more.

Everything follows from (seed, step) and the rows of the batch: the same step changes the same rows the same way,
whatever happened before. Pictures stay uint8 and are changed a whole batch at a time.

>>> pixels = np.arange(32, dtype=np.uint8).reshape(2, 1, 4, 4)
>>> once, again = (Augmentation(["shift", "flip"], rows=2, seed=7, shift=1).batch({"pixels": pixels}, np.arange(2), epoch=0, step=3)
...     for _ in range(2))
>>> bool((once[0]["pixels"] == again[0]["pixels"]).all()), once[1] is None
(True, True)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lingqu.data.ragged import Ragged
from lingqu.errors import Problem, RequestError

if TYPE_CHECKING:
    from lingqu.contract.task import Array, Arrays

PICTURES = ("flip", "shift", "crop", "colour", "cutout", "mixup")
"""What pictures can go through, in this order."""
TOKENS = ("drop", "swap")
"""What a sequence of tokens can go through."""

DROPPED = 0.1
"""The share of a row's tokens that `drop` leaves out."""
PROBED = 2000
"""So many rows teach the probe of `mirror_keeps_labels`, and at most so many judge."""
_STREAM = 0x617567
"""Keeps these draws apart from those that order the batches."""


@dataclass(frozen=True, slots=True)
class Mix:
    """How a batch was mixed with itself: row i holds `share` of itself and the rest of row `partners[i]`."""

    partners: Array
    share: float


class Augmentation:
    """What happens to each batch of a run; `names` are taken in the order of `PICTURES` or `TOKENS`.

    `rows` is how many training rows there are, `shift` how many pixels a picture may move in each direction.

    >>> tokens = np.array([[5, 6, 7, 8, 9]])
    >>> arrays, _ = Augmentation(["drop"], rows=1, seed=1).batch({"tokens": tokens, "lengths": np.array([5])}, np.array([0]), epoch=0, step=2)
    >>> arrays["tokens"].tolist(), arrays["lengths"].tolist()
    ([[6, 7, 8, 9, 0]], [4])
    """

    def __init__(self, names: Iterable[str], *, rows: int, seed: int, shift: int = 2) -> None:
        self.names, self.seed, self.most = tuple(names), seed, shift
        self._coins = np.random.default_rng([seed, _STREAM]).integers(0, 2, rows)

    def batch(self, arrays: Arrays, rows: Array, *, epoch: int, step: int) -> tuple[Arrays, Mix | None]:
        """The arrays of these training rows, changed; and how they were mixed, when they were."""
        if not self.names:
            return arrays, None
        draw = np.random.default_rng([self.seed, _STREAM, step])
        if "pixels" in arrays:
            # Mirrored in every second epoch, where half of the rows begin: each row is seen both ways equally often.
            mirrored = (self._coins[rows] + epoch) % 2 == 1
            pixels, mix = self._pictures(arrays["pixels"], mirrored, draw)
            return {**arrays, "pixels": pixels}, mix
        if "tokens" in arrays:
            return {**arrays, **self._words(arrays["tokens"], arrays["lengths"], draw)}, None
        return arrays, None

    def _pictures(self, pixels: Array, mirrored: Array, draw: np.random.Generator) -> tuple[Array, Mix | None]:
        most = min(self.most, pixels.shape[2] // 8, pixels.shape[3] // 8)
        if "flip" in self.names:
            pixels = flip(pixels, mirrored)
        if "shift" in self.names and most:
            pixels = shift(pixels, most, draw)
        if "crop" in self.names:
            pixels = crop(pixels, draw)
        if "colour" in self.names:
            pixels = colour(pixels, draw)
        if "cutout" in self.names:
            pixels = cutout(pixels, draw)
        return mixup(pixels, draw) if "mixup" in self.names else (pixels, None)

    def _words(self, tokens: Array, lengths: Array, draw: np.random.Generator) -> Arrays:
        if "drop" in self.names:
            tokens, lengths = drop(tokens, lengths, draw)
        if "swap" in self.names:
            tokens = swap(tokens, lengths, draw)
        return {"tokens": tokens, "lengths": lengths}


# --- pictures, uint8 (B, C, H, W) ------------------------------------------------------------------------------------


def flip(pixels: Array, mirrored: Array) -> Array:
    """The pictures marked in `mirrored` (B,), left and right exchanged.

    >>> flip(np.array([[[[1, 2, 3]]]], np.uint8), np.array([True])).tolist()
    [[[[3, 2, 1]]]]
    """
    return np.where(mirrored[:, None, None, None], pixels[..., ::-1], pixels)


def shift(pixels: Array, most: int, draw: np.random.Generator) -> Array:
    """Each picture moved by up to `most` pixels in both directions, its edge repeated.

    >>> moved = shift(np.arange(16, dtype=np.uint8).reshape(1, 1, 4, 4), 1, np.random.default_rng(0))
    >>> moved.shape, moved[0, 0, 0].tolist()
    ((1, 1, 4, 4), [4, 5, 6, 7])
    """
    height, width = pixels.shape[2:]
    around = ((0, 0), (0, 0), (most, most), (most, most))
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(pixels, around, mode="edge"), (height, width), (2, 3))
    down, right = draw.integers(0, 2 * most + 1, (2, len(pixels)))
    # A gather of whole windows copies row by row, many times quicker than one index a pixel.
    return windows[np.arange(len(pixels)), :, down, right]


def crop(pixels: Array, draw: np.random.Generator, *, least: float = 0.8) -> Array:
    """A random square part of at least this share of the side, stretched back by nearest neighbours.

    >>> crop(np.full((2, 3, 8, 8), 9, np.uint8), np.random.default_rng(0)).shape
    (2, 3, 8, 8)
    """
    count, _, height, width = pixels.shape
    share = draw.uniform(least, 1, count)
    rows = _part(share, height, draw.random(count))
    columns = _part(share, width, draw.random(count))
    return pixels[np.arange(count)[:, None, None], :, rows[:, :, None], columns[:, None, :]].transpose(0, 3, 1, 2)


def _part(share: Array, side: int, place: Array) -> Array:
    """Which of `side` lines each of the new lines shows, (B, side)."""
    start = place * (1 - share) * side
    return (start[:, None] + share[:, None] * (np.arange(side) + 0.5)).astype(np.int64).clip(0, side - 1)


def colour(pixels: Array, draw: np.random.Generator, *, most: float = 0.2) -> Array:
    """Contrast and brightness changed by up to a fifth, brightness for each channel apart.

    >>> colour(np.full((1, 1, 2, 2), 100, np.uint8), np.random.default_rng(0)).dtype
    dtype('uint8')
    """
    count, channels = pixels.shape[:2]
    contrast = draw.uniform(1 - most, 1 + most, (count, 1, 1, 1)).astype(np.float32)
    brightness = draw.uniform(-most, most, (count, channels, 1, 1)).astype(np.float32) * 255 / 2
    mean = pixels.mean(axis=(2, 3), keepdims=True, dtype=np.float32)
    return ((pixels - mean) * contrast + mean + brightness).clip(0, 255).astype(np.uint8)


def cutout(pixels: Array, draw: np.random.Generator, *, share: float = 0.375) -> Array:
    """A square of 3/8 of the side painted over with the picture's mean (DeVries and Taylor 2017, arXiv 1708.04552).

    >>> cut = cutout(np.arange(64, dtype=np.uint8).reshape(1, 1, 8, 8), np.random.default_rng(0))
    >>> int((cut == 31).sum()) in range(2, 11)
    True
    """
    count, _, height, width = pixels.shape
    side = max(1, round(share * min(height, width)))
    # The middle may lie at the border, so that sometimes only a part is cut.
    top = draw.integers(0, height, (count, 1)) - side // 2
    left = draw.integers(0, width, (count, 1)) - side // 2
    rows = (np.arange(height) >= top) & (np.arange(height) < top + side)
    columns = (np.arange(width) >= left) & (np.arange(width) < left + side)
    hole = (rows[:, :, None] & columns[:, None, :])[:, None]
    return np.where(hole, pixels.mean(axis=(2, 3), keepdims=True).astype(np.uint8), pixels)


def mixup(pixels: Array, draw: np.random.Generator, *, alpha: float = 0.2) -> tuple[Array, Mix]:
    """Each picture laid over another one of the batch, with one share of the Beta distribution for all of them.

    The loss is mixed with the same share. Zhang et al. 2018, arXiv 1710.09412.

    >>> _, mix = mixup(np.zeros((3, 1, 2, 2), np.uint8), np.random.default_rng(0))
    >>> sorted(mix.partners.tolist()), 0.5 <= mix.share <= 1
    ([0, 1, 2], True)
    """
    share = draw.beta(alpha, alpha)
    share = float(max(share, 1 - share))
    partners = draw.permutation(len(pixels))
    mixed = share * pixels.astype(np.float32) + np.float32(1 - share) * pixels[partners]
    return np.rint(mixed).astype(np.uint8), Mix(partners, share)


# --- tokens, int64 (B, T), 0 where it is padding ---------------------------------------------------------------------


def drop(tokens: Array, lengths: Array, draw: np.random.Generator, *, share: float = DROPPED) -> tuple[Array, Array]:
    """Tokens left out at random, the rest moved together; a row keeps at least one (Iyyer et al. 2015, word dropout).

    >>> drop(np.array([[4, 5, 0]]), np.array([2]), np.random.default_rng(0), share=1.0)[1].tolist()
    [1]
    """
    real = np.arange(tokens.shape[1]) < lengths[:, None]
    luck = np.where(real, draw.random(tokens.shape), -1.0)
    kept = real & ((luck >= share) | (luck == luck.max(axis=1, keepdims=True)))
    order = np.argsort(~kept, axis=1, kind="stable")
    return np.take_along_axis(np.where(kept, tokens, 0), order, axis=1), kept.sum(axis=1)


def swap(tokens: Array, lengths: Array, draw: np.random.Generator) -> Array:
    """Two neighbouring tokens of each row exchanged (Wei and Zou 2019, arXiv 1901.11196); rows of one token stay.

    >>> swap(np.array([[4, 5, 0]]), np.array([2]), np.random.default_rng(0)).tolist()
    [[5, 4, 0]]
    """
    which = np.flatnonzero(lengths > 1)
    first = draw.integers(0, lengths[which] - 1)
    swapped = tokens.copy()
    swapped[which, first], swapped[which, first + 1] = tokens[which, first + 1], tokens[which, first]
    return swapped


# --- which of them apply ---------------------------------------------------------------------------------------------


def chosen(
    asked: str | Sequence[str], usual: Sequence[str], arrays: Mapping[str, Array | Ragged], targets: Array
) -> list[str]:
    """The names to use: those `asked` for, or with "auto" the `usual` ones of the model that keep labels as they are.

    Only `flip` can spoil a label among the usual ones, so "auto" tries it out. RequestError for what does not fit.

    >>> chosen("none", ["shift"], {"pixels": np.zeros((2, 1, 8, 8), np.uint8)}, np.array([0, 1]))
    []
    >>> chosen(["flip"], [], {"tokens": np.zeros((2, 3), np.int64)}, np.array([0, 1]))
    Traceback (most recent call last):
        ...
    lingqu.errors.RequestError: Expected an augmentation of tokens (drop or swap), found 'flip'. Change train.augment, or leave it to auto.
    """
    if asked == "none":
        return []
    what, known = "pictures" if "pixels" in arrays else "tokens", PICTURES if "pixels" in arrays else TOKENS
    if not {"pixels", "tokens"} & set(arrays):
        if asked == "auto":
            return []
        expected, advice = "train.augment: auto or none for a model of neither pictures nor tokens", "Remove the line."
        raise RequestError(Problem(expected, ", ".join(asked), advice))
    if asked != "auto":
        wrong = [name for name in asked if name not in known]
        if wrong:
            fitting = f"{', '.join(known[:-1])} or {known[-1]}"
            expected = f"an augmentation of {what} ({fitting})"
            raise RequestError(Problem(expected, repr(n), "Change train.augment, or leave it to auto.") for n in wrong)
        return [name for name in known if name in asked]
    names = [name for name in known if name in usual]
    pixels = arrays.get("pixels")
    if "flip" in names and isinstance(pixels, np.ndarray) and not mirror_keeps_labels(pixels, targets):
        names.remove("flip")
    return names


def mirror_keeps_labels(pixels: Array, targets: Array) -> bool:
    """Whether a picture and its mirror image have the same label, as far as a linear probe can see.

    A ridge classifier on 8 x 8 thumbnails learns some rows as they are, then names others, upright and mirrored. Flips
    are safe when it knows something (better than the largest class by two standard errors) and mirrored pictures are
    not recognised less often (McNemar's z below 2). Digits, letters and arrows fail, photographs pass; in doubt: no.

    >>> pixels = np.zeros((400, 1, 8, 8), np.uint8); side = np.arange(400) % 2
    >>> pixels[side == 1, :, :, 6] = 255; pixels[side == 0, :, :, 1] = 255
    >>> mirror_keeps_labels(pixels, side)
    False
    >>> mirror_keeps_labels(pixels.transpose(0, 1, 3, 2), side)
    True
    """
    if targets.dtype.kind != "i" or len(targets) < 16:
        return False
    order = np.random.default_rng(_STREAM).permutation(len(targets))[: 2 * PROBED]
    learn, judge = order[: len(order) // 2], order[len(order) // 2 :]
    seen = _thumbnails(pixels[learn])
    mean, scale = seen.mean(axis=0), seen.std(axis=0) + 1e-6
    seen = (seen - mean) / scale
    wanted = np.eye(int(targets.max()) + 1)[targets[learn]]
    gram = seen.T @ seen + 0.1 * len(seen) * np.eye(seen.shape[1])
    weights = np.linalg.solve(gram, seen.T @ (wanted - wanted.mean(axis=0)))

    def right(pictures: Array) -> Array:
        scores = (_thumbnails(pictures) - mean) / scale @ weights + wanted.mean(axis=0)
        return scores.argmax(axis=1) == targets[judge]

    upright, mirrored = right(pixels[judge]), right(pixels[judge][..., ::-1])
    base = np.bincount(targets[judge]).max() / len(judge)
    knows = upright.mean() - base > 2 * np.sqrt(upright.mean() * (1 - upright.mean()) / len(judge)) + 1e-9
    lost, won = (upright & ~mirrored).sum(), (mirrored & ~upright).sum()
    return bool(knows and lost - won <= 2 * np.sqrt(lost + won))


def _thumbnails(pixels: Array, side: int = 8) -> Array:
    """Means over an 8 x 8 grid, (B, C · 64) float64."""
    edges = [np.linspace(0, length, min(side, length) + 1).astype(int) for length in pixels.shape[2:]]
    down = np.add.reduceat(pixels, edges[0][:-1], axis=2, dtype=np.float64)
    both: Any = np.add.reduceat(down, edges[1][:-1], axis=3)
    return both.reshape(len(pixels), -1)
