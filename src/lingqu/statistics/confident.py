"""Confident learning: which labels are probably wrong, from probabilities that no row had a part in.

Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70. The threshold
of a class is the mean probability that rows of it are given; a row that is labelled i while another class j passes its
own threshold is counted in C[i, j]. C, scaled to the labels' counts, estimates the joint distribution of given and true
labels, and its off-diagonal share is the share of wrong labels.

>>> given = np.array([0] * 50 + [1] * 50)
>>> right = np.array([0] * 48 + [1] * 52)
>>> probabilities = np.where(np.eye(2)[right] > 0, 0.9, 0.1)
>>> found = confident(given, probabilities)
>>> found.rows.tolist(), round(found.share, 2)
([48, 49], 0.02)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Confident:
    """What confident learning found: rows to look at, worst first; the label each probably has; and the share in all."""

    rows: Array
    suggested: Array
    margin: Array
    """How much more probable the suggested label of each of `rows` is than its given one."""
    joint: Array
    """The estimated joint distribution of given (first axis) and true labels; sums to one."""
    share: float


def confident(given: Array, probabilities: Array) -> Confident:
    """The rows whose label is probably wrong.

    `given` int (rows,) labels as they are; `probabilities` float (rows, classes) from a model that did not see the row.
    A row is told when another class passes its threshold and is more probable than the given one; of these, no more per
    given and suggested label than the joint distribution says ("prune by noise rate"), the surest first.

    >>> confident(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]])).rows.tolist()
    []
    """
    count, classes = probabilities.shape
    places = np.arange(count)
    own = probabilities[places, given]
    held = np.bincount(given, minlength=classes)
    thresholds = np.bincount(given, own, minlength=classes) / np.maximum(held, 1)
    # A class that no row has cannot be suggested.
    passes = (probabilities >= thresholds) & (held > 0)
    best = np.where(passes, probabilities, -1.0).argmax(axis=1)
    sure = passes.any(axis=1)
    counts = np.zeros((classes, classes))
    np.add.at(counts, (given[sure], best[sure]), 1.0)
    joint = _calibrated(counts, held)
    chosen: list[int] = []
    margin = probabilities[places, best] - own
    for i in range(classes):
        for j in range(classes):
            if i != j and counts[i, j]:
                rows = np.flatnonzero(sure & (given == i) & (best == j) & (margin > 0))
                most = round(joint[i, j] * count)
                chosen += rows[np.argsort(-margin[rows], kind="stable")][:most].tolist()
    rows = np.array(sorted(chosen, key=lambda row: (-margin[row], row)), dtype=int)
    share = float(joint.sum() - np.trace(joint))
    return Confident(rows, best[rows], margin[rows], joint, share)


def _calibrated(counts: Array, held: Array) -> Array:
    """Each line of the counts scaled to how often its label is given, and all to one."""
    lines = counts.sum(axis=1, keepdims=True)
    # A class none of whose rows is sure of anything is taken at its word.
    filled = np.where(lines > 0, counts, np.diag(np.ones(len(counts))))
    scaled = filled / filled.sum(axis=1, keepdims=True) * held[:, None]
    return scaled / max(scaled.sum(), 1.0)
