"""Answers and the truth as arrays, which is what metrics and tests take.

>>> from lingqu.contract import LabelScores
>>> judged = judge(["b", "a"], [LabelScores.of({"a": 0.3, "b": 0.7}), LabelScores.of({"a": 0.4, "b": 0.6})])
>>> judged.labels, judged.truth.tolist(), judged.right.tolist()
(('a', 'b'), [1, 0], [True, False])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lingqu.contract import Answer, LabelScores, NumberValue, Refusal
from lingqu.errors import DataError, Problem
from lingqu.metrics.metric import Array


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What is true and what was said, row by row.

    For labels: truth int (rows,) indices into `labels`, prediction float (rows, labels). For numbers: both float (rows,).

    >>> Judged("numbers", (), np.array([1.0, 2.0]), np.array([1.5, 2.0])).cost.tolist()
    [0.25, 0.0]
    """

    kind: str
    labels: tuple[str, ...]
    truth: Array
    prediction: Array
    refused: int = 0

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def guess(self) -> Array:
        """The index of the predicted label, or the predicted number."""
        return self.prediction.argmax(axis=1) if self.kind == "labels" else self.prediction

    @property
    def right(self) -> Array:
        """Whether each label is right."""
        return self.guess == self.truth

    @property
    def cost(self) -> Array:
        """What each answer costs: 0 or 1 for a label, the squared error for a number."""
        return (~self.right).astype(float) if self.kind == "labels" else (self.prediction - self.truth) ** 2

    def take(self, places: Array) -> Judged:
        """Only these rows."""
        return Judged(self.kind, self.labels, self.truth[places], self.prediction[places])


def judge(truth: Sequence[Any], answers: Sequence[Answer], labels: Sequence[str] = ()) -> Judged:
    """The arrays of these answers; a refused row counts as wrong, as far from right as the truth allows."""
    if len(truth) != len(answers):
        raise DataError(Problem("an answer for each row", f"{len(answers)} answers and {len(truth)} rows"))
    kinds = {type(answer) for answer in answers} - {Refusal}
    refused = sum(isinstance(answer, Refusal) for answer in answers)
    if kinds == {NumberValue}:
        return _numbers(truth, answers, refused)
    if kinds <= {LabelScores}:
        return _labels([str(value) for value in truth], answers, labels or labels_of(truth, answers), refused)
    found = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise DataError(Problem("answers that are all labels or all numbers", found, "Such a task brings its own report."))


def labels_of(truth: Sequence[Any], *answers: Sequence[Answer]) -> tuple[str, ...]:
    """Every label that a model scores, in its order, then those that only occur."""
    names: dict[str, None] = {}
    for some in answers:
        for answer in some:
            if isinstance(answer, LabelScores):
                names.update(dict.fromkeys(answer.scores))
                names.setdefault(answer.label)
    names.update(dict.fromkeys(sorted({str(value) for value in truth} - set(names))))
    return tuple(names)


def _labels(truth: list[str], answers: Sequence[Answer], labels: Sequence[str], refused: int) -> Judged:
    place = {label: i for i, label in enumerate(labels)}
    scores = np.zeros((len(answers), len(labels)))
    for row, answer in enumerate(answers):
        if isinstance(answer, LabelScores):
            for label, score in (answer.scores or {answer.label: 1.0}).items():
                scores[row, place[label]] = score
        else:
            scores[row] = 1 / max(1, len(labels) - 1)
            scores[row, place[truth[row]]] = 0.0
    return Judged("labels", tuple(labels), np.array([place[value] for value in truth], dtype=int), scores, refused)


def _numbers(truth: Sequence[Any], answers: Sequence[Answer], refused: int) -> Judged:
    true = np.array([float(value) for value in truth])
    ends = np.array([true.min(), true.max()])
    said = np.empty(len(true))
    for row, answer in enumerate(answers):
        farthest = ends[np.abs(ends - true[row]).argmax()]
        said[row] = answer.value if isinstance(answer, NumberValue) else farthest
    return Judged("numbers", (), true, said, refused)
