"""The label kit: what every task shares that answers with one label of many.

>>> labels = learn_labels(["b", "a", "b"])
>>> labels, encode_labels(["b", "a"], labels).tolist()
(['a', 'b'], [1, 0])
>>> decode_labels(np.array([[0.0, 2.0]], np.float32), labels)[0].label
'b'
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lingqu.contract import JOINT, Answer, Front, Label, LabelScores, Memory, Rows, Step, Task
from lingqu.data import fronts
from lingqu.errors import DataError, Problem, near

if TYPE_CHECKING:
    from lingqu.contract.task import Array, Arrays

METRICS = (
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "f1",
    "roc_auc",
    "average_precision",
    "log_loss",
    "mcc",
    "ece",
)
"""What any task that answers with labels is judged by."""


def label_names(values: Sequence[str], kind: str) -> list[list[str]] | None:
    """The names in each cell of a target column of this kind; None for a target that has no names.

    >>> label_names(["a", "b"], "label"), label_names(["a|b", ""], "labels"), label_names(["a"], "number")
    ([['a'], ['b']], [['a', 'b'], []], None)
    """
    if kind == "labels":
        return [value.split(JOINT) if value else [] for value in values]
    return [[value] for value in values] if kind == "label" else None


def tally(codes: Array, values: Sequence[str], kind: str) -> Counter[str]:
    """How often each label occurs, in the order in which they first do; `codes` say which of `values` each cell is.

    >>> tally(np.array([1, 0, 1]), ["a|b", "c"], "labels")
    Counter({'c': 2, 'a': 1, 'b': 1})
    """
    different, first, counts = np.unique(codes, return_index=True, return_counts=True)
    names = label_names(values, kind) or []
    found: Counter[str] = Counter()
    for at in np.argsort(first).tolist():
        for name in names[different[at]]:
            found[name] += int(counts[at])
    return found


def learn_labels(values: Sequence[str]) -> list[str]:
    """Every label that occurs, numbers by value and all others by name; DataError when there are fewer than two."""
    labels = sorted(set(values), key=lambda label: (0, int(label), label) if _is_whole(label) else (1, 0, label))
    if len(labels) < 2:
        raise DataError(
            Problem(
                "at least two different labels", f"{labels}", "Check data.columns.label, or add rows of another class."
            )
        )
    return labels


def _is_whole(label: str) -> bool:
    return label.isascii() and label.removeprefix("-").isdecimal() and len(label) < 19


def encode_labels(values: Sequence[str], labels: Sequence[str]) -> Array:
    """Labels as class indices, int64 (rows,); DataError names the labels that training rows never had."""
    index = {label: place for place, label in enumerate(labels)}
    unknown = sorted({value for value in values if value not in index})
    if unknown:
        raise DataError(
            Problem("one of the labels of the training rows", f"'{name}'", near(name, labels)) for name in unknown[:10]
        )
    return np.array([index[value] for value in values], np.int64)


def softmax(logits: Array, temperature: float = 1.0) -> Array:
    """Probabilities of logits (rows, classes), in float64 so that a row sums to one."""
    scaled = logits.astype(np.float64) / temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    weights = np.exp(scaled)
    return weights / weights.sum(axis=1, keepdims=True)


def decode_labels(logits: Array, labels: Sequence[str], temperature: float = 1.0) -> list[LabelScores]:
    """Logits (rows, classes) as answers, scores rounded to six digits."""
    return [
        LabelScores.of(dict(zip(labels, row, strict=True)))
        for row in np.round(softmax(logits, temperature), 6).tolist()
    ]


def fit_temperature(logits: Array, truth: Array, doubt: float = 0.0) -> float:
    """The temperature that makes confidences honest: the one of lowest log loss on validation rows.

    Guo et al. 2017, "On Calibration of Modern Neural Networks". Log loss is unimodal in log T, so a golden-section
    search finds it; the answer stays within [0.05, 20]. `doubt` is the chance that is left to the other labels, so that
    a few rows which are all right do not make the model sure of everything.

    >>> sure = np.array([[4.0, 0.0], [0.0, 4.0]])
    >>> fit_temperature(sure, np.array([0, 1])) < 1 < fit_temperature(sure, np.array([0, 1]), doubt=0.25)
    True
    """
    rows = np.arange(len(truth))

    def loss(log_temperature: float) -> float:
        surprise = -np.log(np.maximum(softmax(logits, float(np.exp(log_temperature))), 1e-12))
        right = surprise[rows, truth]
        others = (surprise.sum(axis=1) - right) / max(1, surprise.shape[1] - 1)
        return float(((1 - doubt) * right + doubt * others).mean())

    low, high, golden = np.log(0.05), np.log(20.0), (np.sqrt(5) - 1) / 2
    for _ in range(40):
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return round(float(np.exp((low + high) / 2)), 4)


class LabelTask(Task):
    """A task whose answer is one label of many; what is left to say is its columns, its ladder and its toy.

    The memory holds the front's, the labels in order, and the temperature that validation rows asked for.
    """

    target = Label("label", "Its class.")
    answer = LabelScores
    metrics = METRICS
    decide_by = "f1"

    def learn(self, rows: Rows, front: Front) -> Memory:
        # A front for one column must be told which; a table's reads all that it was given kinds for.
        column = {} if self.takes_features else {"column": self.columns[0].name}
        told = Front(front.name, {**column, **front.settings})
        return {"front": fronts.learn(rows, told), "labels": learn_labels(rows[self.target.name])}

    def encode(self, rows: Rows, memory: Memory) -> Arrays:
        return fronts.encode(rows, memory["front"])

    def targets(self, rows: Rows, memory: Memory) -> Array:
        return encode_labels(rows[self.target.name], memory["labels"])

    def steps(self) -> tuple[Step, ...]:
        return (Step("cross_entropy"),)

    def calibrate(self, outputs: Arrays, targets: Array, memory: Memory) -> Memory:
        # Platt 1999, "Probabilistic Outputs for Support Vector Machines": of n rows a model may be sure to 1 - 1/(n + 2).
        doubt = 1 / (len(targets) + 2)
        return {**memory, "temperature": fit_temperature(outputs["logits"], targets, doubt)}

    def decode(self, outputs: Arrays, memory: Memory) -> list[Answer]:
        return [*decode_labels(outputs["logits"], memory["labels"], memory.get("temperature", 1.0))]
