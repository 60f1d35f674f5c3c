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

>>> arrays = {"numbers": np.zeros((4, 0)), "codes": np.array([[1], [1], [2], [2]])}
>>> facts = Facts(1, "regression", {"cardinalities": [11]}, rows=4)
>>> known = Effects.of(Examples(arrays, np.array([1.0, 1.0, 5.0, 5.0])), facts)
>>> known.table[:4].tolist()
[[3.0], [1.0], [5.0], [3.0]]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from lingqu.models.family import Examples, Facts

if TYPE_CHECKING:
    from lingqu.contract.task import Array

LEAST_NAMES, FEW_ROWS = 10, 30
"""Columns of fewer names, or of more rows a name, need no such number: trees part these by the codes themselves."""
MOST_CLASSES = 10
FOLDS = 5


@dataclass(frozen=True, slots=True, eq=False)
class Effects:
    """The effects of the columns that have them; none where no category has many names with few rows each.

    `columns` int64 (W,) are the places of the columns, `starts` int64 (W,) where the effects of each begin in `table`,
    float32 (Σ cardinality, E).
    """

    columns: Array
    starts: Array
    table: Array
    sizes: tuple[int, ...]

    @classmethod
    def of(cls, train: Examples, facts: Facts) -> Effects:
        """Learned from these rows."""
        cardinalities = facts.front["cardinalities"]
        goals = goals_of(train.targets, facts.outputs, facts.kind)
        columns = wide(cardinalities, len(train)) if goals.shape[1] else []
        sizes = tuple(cardinalities[place] for place in columns)
        starts = np.cumsum([0, *sizes])[: len(sizes)].astype(np.int64)
        places = np.array(columns, np.int64)
        return cls(places, starts, _learn(_codes(train)[:, places], goals, sizes), sizes)

    @property
    def width(self) -> int:
        """How many numbers they give a row: W · E."""
        return len(self.columns) * self.table.shape[1]

    def look_up(self, part: Examples) -> Array:
        """The effects of the names of rows that they were not learned from, float32 (rows, W · E)."""
        return self.table[_codes(part)[:, self.columns] + self.starts].reshape(len(part), self.width)

    def of_other_rows(self, train: Examples, facts: Facts, seed: int) -> Array:
        """The same for the rows that they were learned from, each by the targets of folds that it is not in."""
        codes, goals = _codes(train)[:, self.columns], goals_of(train.targets, facts.outputs, facts.kind)
        fold = np.random.default_rng(seed).permutation(len(codes)) % FOLDS
        found = np.zeros((len(codes), self.width), np.float32)
        for out in range(FOLDS if self.sizes else 0):
            table = _learn(codes[fold != out], goals[fold != out], self.sizes)
            found[fold == out] = table[codes[fold == out] + self.starts].reshape(-1, self.width)
        return found


def wide(cardinalities: Sequence[int], rows: int) -> list[int]:
    """The columns that get effects, by their place; a cardinality counts the code for unknown names too.

    >>> wide([3, 46, 11], rows=500), wide([3, 46, 11], rows=5000)
    ([1], [])
    """
    return [place for place, names in enumerate(cardinalities) if names > LEAST_NAMES and rows < FEW_ROWS * names]


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


def _codes(part: Examples) -> Array:
    return cast("Array", part.arrays["codes"])


def _learn(codes: Array, goals: Array, sizes: Sequence[int]) -> Array:
    """The effect of every code of every column: `codes` int64 (rows, W), `goals` (rows, E); float32 (Σ sizes, E)."""
    tables = [
        np.stack([_column(codes[:, place], goal, size) for goal in goals.T], axis=1) for place, size in enumerate(sizes)
    ]
    return np.concatenate([np.zeros((0, goals.shape[1])), *tables]).astype(np.float32)


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
