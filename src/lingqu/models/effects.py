"""What a category's name says of the target, as a number that trees can put in order: its shrunken mean target.

    effect_c = (n_c ȳ_c + m ȳ) / (n_c + m),        m = s²_within / s²_between

n_c rows have the name c, with the mean target ȳ_c. Names of few rows are drawn to the mean of all; how strongly is told by
the rows themselves: m is the variance within names over the variance between them (one-way random effects, by moments).
For labels there is one such number a class (for two classes one), the share of rows that are of it. A row's own target
must not lie in its own number, or trees would read it there: training rows get theirs from the other folds.

Sources: Micci-Barreca 2001, "A Preprocessing Scheme for High-Cardinality Categorical Attributes in Classification and
Prediction Problems"; Searle, Casella and McCulloch 1992, "Variance Components", section 3.6; Pargent et al. 2022,
"Regularized target encoding outperforms traditional methods in supervised machine learning with high cardinality
features" (folds).

>>> codes = np.array([[1], [1], [2], [2]])
>>> learn(codes, np.array([[1.0], [1.0], [5.0], [5.0]]), [3]).tolist()
[[3.0], [1.0], [5.0]]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lingqu.contract.task import Array

LEAST_NAMES, FEW_ROWS = 10, 30
"""Columns of fewer names, or of more rows a name, need no such number: trees part these by the codes themselves."""
MOST_CLASSES = 10
FOLDS = 5


def wide(cardinalities: Sequence[int], rows: int) -> list[int]:
    """The columns that get effects, by their place; a cardinality counts the code for unknown names too.

    >>> wide([3, 46, 11], rows=500), wide([3, 46, 11], rows=5000)
    ([1], [])
    """
    return [place for place, names in enumerate(cardinalities) if names > LEAST_NAMES and rows < FEW_ROWS * names]


def learn(codes: Array, goals: Array, cardinalities: Sequence[int]) -> Array:
    """The effect of every code of every column: `codes` int64 (rows, M), `goals` (rows, E); float32 (Σ cardinality, E)."""
    return np.concatenate(
        [
            np.stack([_column(codes[:, place], goal, size) for goal in goals.T.astype(np.float64)], axis=1)
            for place, size in enumerate(cardinalities)
        ]
    ).astype(np.float32)


def apart(codes: Array, goals: Array, cardinalities: Sequence[int], seed: int) -> Array:
    """What `look_up` gives for training rows, each by effects learned from the folds that it is not in.

    >>> codes, goals = np.ones((10, 1), np.int64), np.arange(10.0)[:, None]
    >>> found = apart(codes, goals, [2], seed=0)
    >>> found.shape, bool((found[:, 0] != goals.mean()).all())
    ((10, 1), True)
    """
    fold = np.random.default_rng(seed).permutation(len(codes)) % FOLDS
    found = np.zeros((len(codes), codes.shape[1] * goals.shape[1]), np.float32)
    for out in range(FOLDS):
        table = learn(codes[fold != out], goals[fold != out], cardinalities)
        found[fold == out] = look_up(codes[fold == out], table, cardinalities)
    return found


def look_up(codes: Array, table: Array, cardinalities: Sequence[int]) -> Array:
    """The effects of rows, float32 (rows, M · E)."""
    starts = np.concatenate([[0], np.cumsum(cardinalities)[:-1]]).astype(np.int64)
    return table[codes + starts].reshape(len(codes), -1)


def goals_of(targets: Array, outputs: int, kind: str) -> Array:
    """What effects are means of, (rows, E): the number, the second of two classes, or each class; E is 0 for many classes.

    >>> goals_of(np.array([0, 1]), 2, "classification").tolist(), goals_of(np.array([2]), 3, "classification").tolist()
    ([[0.0], [1.0]], [[0.0, 0.0, 1.0]])
    """
    if kind == "regression":
        return targets[:, None].astype(np.float64)
    if outputs == 2:
        return (targets == 1)[:, None].astype(np.float64)
    classes = np.arange(outputs if outputs <= MOST_CLASSES else 0)
    return (targets[:, None] == classes).astype(np.float64)


def _column(codes: Array, goal: Array, size: int) -> Array:
    """The shrunken means of one column, (size,)."""
    rows = np.bincount(codes, minlength=size)
    sums = np.bincount(codes, goal, minlength=size)
    mean, seen = goal.mean(), int((rows > 0).sum())
    means = np.divide(sums, rows, out=np.full(size, mean), where=rows > 0)
    within = ((goal - means[codes]) ** 2).sum() / max(1, len(goal) - seen)
    spread = (rows * (means - mean) ** 2).sum() - (seen - 1) * within
    between = spread / max(1e-12, len(goal) - (rows**2).sum() / len(goal))
    if between <= 0:
        return np.full(size, mean)
    shrink = within / between
    return np.where(rows > 0, (sums + shrink * mean) / np.maximum(rows + shrink, 1e-12), mean)
