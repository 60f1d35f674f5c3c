"""Which rows each step sees: an order that follows from seed and epoch alone, so that a resumed run needs no memory.

>>> [sorted(batch.tolist()) for batch in Batches(5, size=2, seed=0).of(epoch=0)] != [[0, 1], [2, 3], [4]]
True
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from lingqu.data.ragged import Ragged
from lingqu.models.family import Examples

if TYPE_CHECKING:
    from lingqu.contract.task import Array

POOL = 50
"""Batches that are sorted by length together: enough to waste little padding, few enough to stay shuffled."""


class Batches:
    """The batches of every epoch; with `lengths`, rows of similar length share a batch and padding is little.

    >>> lengths = np.array([9, 1, 8, 2])
    >>> sorted(sorted(batch.tolist()) for batch in Batches(4, size=2, seed=0, lengths=lengths).of(epoch=3))
    [[0, 2], [1, 3]]
    """

    def __init__(self, rows: int, *, size: int, seed: int, lengths: Array | None = None) -> None:
        self.rows, self.size, self.seed = rows, min(size, rows), seed
        self._lengths = lengths

    def __len__(self) -> int:
        """How many batches an epoch has: the last one may be smaller, but never of a single row."""
        whole, rest = divmod(self.rows, self.size)
        return max(1, whole + (rest > 1 or whole == 0))

    def of(self, epoch: int) -> list[Array]:
        """The rows of each batch of this epoch, in order."""
        draw = np.random.default_rng([self.seed, epoch])
        order = draw.permutation(self.rows)
        if self._lengths is None:
            return self._cut(order)
        lengths = self._lengths[order]
        pool = np.arange(self.rows) // (self.size * POOL)
        batches = self._cut(order[np.lexsort((lengths, pool))])
        # Within a pool batches rise in length; shuffled, so that no epoch ends on the longest rows.
        return [batches[place] for place in draw.permutation(len(batches))]

    def _cut(self, order: Array) -> list[Array]:
        return [order[start : start + self.size] for start in range(0, len(self) * self.size, self.size)]


def row_lengths(arrays: Mapping[str, Array | Ragged]) -> Array | None:
    """How long each row is, None when all are of one length."""
    return next((held.lengths for held in arrays.values() if isinstance(held, Ragged)), None)


def sample(examples: Examples, most: int, *, seed: int) -> Examples:
    """At most so many of these rows, always the same ones.

    >>> len(sample(Examples({"numbers": np.zeros((9, 1))}, np.arange(9)), 4, seed=0))
    4
    """
    if len(examples) <= most:
        return examples
    rows = np.sort(np.random.default_rng(seed).permutation(len(examples))[:most])
    arrays = {name: held[rows] for name, held in examples.arrays.items()}
    return Examples(arrays, examples.targets[rows])


def in_order(rows: int, size: int, lengths: Array | None) -> list[Array]:
    """Every row once, for measuring: by length where rows differ, so that little is padded."""
    order = np.arange(rows) if lengths is None else np.argsort(lengths, kind="stable")
    return [order[start : start + size] for start in range(0, rows, size)]
