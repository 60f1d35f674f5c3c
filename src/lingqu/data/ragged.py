"""Rows of different length, held end to end.

Training data stays in memory as one flat array with offsets, and only a batch of similar rows is padded.

>>> packed = pack([{"ids": np.array([[3, 4, 0], [5, 0, 0]], np.int32)}], ("ids",))
>>> packed["ids"].lengths.tolist(), packed["ids"].padded(np.array([1])).tolist()
([2, 1], [[5]])
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lingqu.contract.task import Array, Arrays


@dataclass(frozen=True, slots=True)
class Ragged:
    """`values` (all entries, …) and `offsets` (rows + 1,): row i is values[offsets[i]:offsets[i + 1]]."""

    values: Array
    offsets: Array

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Array:
        """How many entries each row has, shape (rows,)."""
        return np.diff(self.offsets)

    def __getitem__(self, rows: Array) -> Ragged:
        """These rows, still end to end.

        >>> Ragged(np.array([3, 4, 5]), np.array([0, 2, 3]))[np.array([1, 0])].values.tolist()
        [5, 3, 4]
        """
        offsets = np.concatenate([[0], np.cumsum(self.lengths[rows])])
        parts = [self.values[self.offsets[row] : self.offsets[row + 1]] for row in rows]
        return Ragged(np.concatenate(parts) if parts else self.values[:0], offsets.astype(self.offsets.dtype))

    def padded(self, rows: Array) -> Array:
        """These rows as one array (len(rows), longest of them, …), 0 where it is padding."""
        lengths = self.lengths[rows]
        width = max(int(lengths.max(initial=0)), 1)
        out = np.zeros((len(rows), width, *self.values.shape[1:]), self.values.dtype)
        mask = np.arange(out.shape[1]) < lengths[:, None]
        out[mask] = self.values[self._places(rows, lengths)]
        return out

    def rows(self, rows: Array) -> Ragged:
        """These rows, still end to end.

        >>> Ragged(np.array([3, 4, 5]), np.array([0, 2, 3])).rows(np.array([1])).values.tolist()
        [5]
        """
        lengths = self.lengths[rows]
        return Ragged(self.values[self._places(rows, lengths)], np.concatenate([[0], np.cumsum(lengths)]))

    def _places(self, rows: Array, lengths: Array) -> Array:
        return np.repeat(self.offsets[rows] - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())


def pack(parts: Iterable[Arrays], ragged: tuple[str, ...]) -> dict[str, Array | Ragged]:
    """Encoded parts joined: arrays named in `ragged` as Ragged, by the zeros of the first of them; others end to end."""
    chunks = list(parts)
    joined: dict[str, Array | Ragged] = {}
    for name in chunks[0]:
        if name not in ragged:
            joined[name] = np.concatenate([chunk[name] for chunk in chunks])
            continue
        masks = [chunk[ragged[0]] != 0 for chunk in chunks]
        lengths = np.concatenate([mask.sum(1) for mask in masks])
        values = np.concatenate([chunk[name][mask] for chunk, mask in zip(chunks, masks, strict=True)])
        joined[name] = Ragged(values, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))
    return joined


def take(arrays: Mapping[str, Array | Ragged], rows: Array) -> Arrays:
    """A batch: these rows of every array, ragged ones padded to the longest of them."""
    return {name: held.padded(rows) if isinstance(held, Ragged) else held[rows] for name, held in arrays.items()}
