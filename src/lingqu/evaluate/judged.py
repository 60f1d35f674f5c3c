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

from lingqu.contract import JOINT, Answer, LabelScores, LabelSet, NumberValue, Refusal
from lingqu.data.label_sets import encode_sets
from lingqu.errors import DataError, Problem
from lingqu.metrics.label_sets import YES
from lingqu.metrics.metric import Array


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What is true and what was said, row by row.

    For labels: truth int (rows,) indices into `labels`, prediction float (rows, labels). For sets of labels: truth 0 or 1,
    prediction float, both (rows, labels), a yes from 0.5 on. For numbers: both float (rows,).

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
        """The index of the predicted label, whether each label is said (rows, labels), or the predicted number."""
        if self.kind == "label-sets":
            return self.prediction >= YES
        return self.prediction.argmax(axis=1) if self.kind == "labels" else self.prediction

    @property
    def right(self) -> Array:
        """Whether each label is right, and of sets whether all of a row are."""
        right = self.guess == self.truth
        return right.all(axis=1) if self.kind == "label-sets" else right

    @property
    def cost(self) -> Array:
        """What each answer costs: 0 or 1 for a label, the share of wrong ones for a set, the squared error for a number."""
        if self.kind == "label-sets":
            return (self.guess != self.truth).mean(axis=1)
        return (~self.right).astype(float) if self.kind == "labels" else (self.prediction - self.truth) ** 2

    def of_label(self, place: int) -> tuple[Array, Array]:
        """Whether each row has a label, and whether it is said of it: two of bool (rows,)."""
        if self.kind == "label-sets":
            return self.truth[:, place] > 0, self.guess[:, place]
        return self.truth == place, self.guess == place

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
    if kinds == {LabelSet}:
        return _sets([str(value) for value in truth], answers, labels or labels_of(truth, answers), refused)
    found = ", ".join(sorted(kind.__name__ for kind in kinds))
    raise DataError(Problem("answers that are all labels or all numbers", found, "Such a task brings its own report."))


def labels_of(truth: Sequence[Any], *answers: Sequence[Answer]) -> tuple[str, ...]:
    """Every label that a model scores, in its order, then those that only occur."""
    names: dict[str, None] = {}
    sets = False
    for some in answers:
        for answer in some:
            if isinstance(answer, LabelScores | LabelSet):
                names.update(dict.fromkeys(answer.scores))
                names.update(dict.fromkeys(answer.labels if isinstance(answer, LabelSet) else [answer.label]))
                sets = sets or isinstance(answer, LabelSet)
    held = {str(value) for value in truth}
    if sets:
        held = {name for value in held for name in value.split(JOINT) if name}
    names.update(dict.fromkeys(sorted(held - set(names))))
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


def _sets(truth: list[str], answers: Sequence[Answer], labels: Sequence[str], refused: int) -> Judged:
    """A probability is squeezed so that what was said lies at 0.5 and above, whatever threshold the model learned."""
    true, scores = encode_sets(truth, labels), np.zeros((len(answers), len(labels)))
    for row, answer in enumerate(answers):
        if isinstance(answer, LabelSet):
            said = np.array([label in answer.labels for label in labels])
            scores[row] = said / 2 + np.array([answer.scores.get(label, 0.0) for label in labels]) / 2
        else:
            scores[row] = 1.0 - true[row]
    return Judged("label-sets", tuple(labels), true.astype(int), scores, refused)


def _numbers(truth: Sequence[Any], answers: Sequence[Answer], refused: int) -> Judged:
    true = np.array([float(value) for value in truth])
    ends = np.array([true.min(), true.max()])
    said = np.empty(len(true))
    for row, answer in enumerate(answers):
        farthest = ends[np.abs(ends - true[row]).argmax()]
        said[row] = answer.value if isinstance(answer, NumberValue) else farthest
    return Judged("numbers", (), true, said, refused)
