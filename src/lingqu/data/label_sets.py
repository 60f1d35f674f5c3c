"""The kit of tasks that answer with any number of labels: each label is a question of its own, answered yes or no.

>>> memory = {"labels": ["crime", "sport", "taxes"], "threshold": 0.4}
>>> encode_sets(["crime|taxes", ""], memory["labels"]).tolist()
[[1.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
>>> decode_sets(np.array([[2.0, -3.0, 0.0]]), memory)[0].cells()
{'prediction': 'crime|taxes', 'confidence': 0.5}
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lingqu.contract import JOINT, Answer, Front, Labels, LabelSet, Memory, Rows, Step, Task
from lingqu.data import fronts
from lingqu.data.labels import learn_labels
from lingqu.errors import DataError, Problem, near

if TYPE_CHECKING:
    from lingqu.contract.task import Array, Arrays

METRICS = ("f1_micro", "f1_macro", "subset_accuracy", "hamming_loss", "mean_average_precision")
"""What any task that answers with sets of labels is judged by."""


def encode_sets(values: Sequence[str], labels: Sequence[str]) -> Array:
    """Sets of labels as zeros and ones, float32 (rows, labels); DataError names labels that training rows never had."""
    index = {label: place for place, label in enumerate(labels)}
    names = [value.split(JOINT) if value else [] for value in values]
    unknown = sorted({name for found in names for name in found if name not in index})
    if unknown:
        raise DataError(
            Problem("labels of the training rows only", repr(name), near(name, labels)) for name in unknown[:10]
        )
    encoded = np.zeros((len(values), len(labels)), np.float32)
    for row, found in enumerate(names):
        encoded[row, [index[name] for name in found]] = 1.0
    return encoded


def sigmoid(logits: Array, temperature: float = 1.0) -> Array:
    """The probability of yes for each logit, float64 of the same shape."""
    # Beyond these the exponential would overflow, and six digits show no difference.
    return 1 / (1 + np.exp(-np.clip(logits.astype(np.float64) / temperature, -60, 60)))


def decode_sets(logits: Array, memory: Memory) -> list[LabelSet]:
    """Logits (rows, labels) as answers, scores rounded to six digits."""
    scores = np.round(sigmoid(logits, memory.get("temperature", 1.0)), 6).tolist()
    threshold = memory.get("threshold", 0.5)
    return [LabelSet.of(dict(zip(memory["labels"], row, strict=True)), threshold) for row in scores]


def binary_log_loss(logits: Array, targets: Array) -> float:
    """Mean of -log p(right decision) over rows and labels.

    >>> round(binary_log_loss(np.zeros((1, 2)), np.array([[1, 0]])), 4)
    0.6931
    """
    signed = np.where(targets > 0, logits, -logits).astype(np.float64)
    return float(np.logaddexp(0, -signed).mean())


def fit_binary_temperature(logits: Array, targets: Array) -> float:
    """The temperature of lowest binary log loss on validation rows, within [0.05, 20] (Guo et al. 2017)."""
    return _lowest(lambda log_t: binary_log_loss(logits / np.exp(log_t), targets), np.log(0.05), np.log(20.0))


def _lowest(loss: Callable[[float], float], low: float, high: float) -> float:
    """E to the place of the minimum of a unimodal function, by golden section."""
    golden = (np.sqrt(5) - 1) / 2
    for _ in range(40):
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if loss(left) < loss(right) else (left, high)
    return round(float(np.exp((low + high) / 2)), 4)


def best_threshold(scores: Array, targets: Array) -> float:
    """The one threshold for all labels under which these rows have the highest micro-averaged F1.

    It lies halfway between two scores; of equally good ones the one nearest to a half is taken. Lipton, Elkan and
    Naryanaswamy 2014, "Optimal Thresholding of Classifiers to Maximize F1 Measure".

    >>> best_threshold(np.array([[0.9, 0.3], [0.2, 0.35]]), np.array([[1, 1], [0, 1]]))
    0.25
    """
    order = np.argsort(-scores, axis=None, kind="stable")
    ordered, hit = scores.ravel()[order], targets.ravel()[order] > 0
    found = np.cumsum(hit)
    f1 = 2 * found / (np.arange(1, len(hit) + 1) + max(int(hit.sum()), 1))
    middles = np.append((ordered[:-1] + ordered[1:]) / 2, ordered[-1] / 2)
    # A cut between two equal scores cannot be made.
    possible = np.append(ordered[:-1] > ordered[1:], True)
    best = np.flatnonzero(possible & (f1 >= f1[possible].max() - 1e-12))
    chosen = float(middles[best[np.argmin(np.abs(middles[best] - 0.5))]])
    return round(min(max(chosen, 0.01), 0.99), 6)


class LabelSetTask(Task):
    """A task whose answer is any number of labels; what is left to say is its columns, its ladder and its toy.

    The memory holds the front's, the labels in order, and the temperature and threshold that validation rows asked for.
    """

    target = Labels("labels", "Its classes: none, one or several.")
    answer = LabelSet
    metrics = METRICS
    decide_by = "f1_micro"

    def learn(self, rows: Rows, front: Front) -> Memory:
        column: dict[str, Any] = {} if self.takes_features else {"column": self.columns[0].name}
        told = Front(front.name, {**column, **front.settings})
        names = [name for value in rows[self.target.name] for name in value.split(JOINT) if name]
        return {"front": fronts.learn(rows, told), "labels": learn_labels(names)}

    def encode(self, rows: Rows, memory: Memory) -> Arrays:
        return fronts.encode(rows, memory["front"])

    def targets(self, rows: Rows, memory: Memory) -> Array:
        return encode_sets(rows[self.target.name], memory["labels"])

    def steps(self) -> tuple[Step, ...]:
        return (Step("binary_cross_entropy"),)

    def calibrate(self, outputs: Arrays, targets: Array, memory: Memory) -> Memory:
        temperature = fit_binary_temperature(outputs["logits"], targets)
        threshold = best_threshold(sigmoid(outputs["logits"], temperature), targets)
        return {**memory, "temperature": temperature, "threshold": threshold}

    def decode(self, outputs: Arrays, memory: Memory) -> list[Answer]:
        return [*decode_sets(outputs["logits"], memory)]
