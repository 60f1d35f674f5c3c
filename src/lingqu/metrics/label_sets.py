"""Metrics of sets of labels, from true sets as 0 and 1 (rows, labels) and scores in which 0.5 and more is a yes.

As in scikit-learn, a ratio 0/0 is 0, and a label that is neither true nor said anywhere has an F1 of 0.

>>> truth = np.array([[1, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 0]])
>>> scores = np.array([[.9, .1, .4], [.2, .7, .1], [.1, .6, .1], [.8, .9, .3]])
>>> {m.name: round(m.function(truth, scores), 3) for m in SET_METRICS}
{'f1_micro': 0.8, 'f1_macro': 0.6, 'subset_accuracy': 0.5, 'hamming_loss': 0.167, 'mean_average_precision': 1.0}
"""

from __future__ import annotations

import numpy as np

from lingqu.metrics.labels import average_precision_of, ratio
from lingqu.metrics.metric import Array, Floats, Metric, Scorer

YES = 0.5


def _tallies(truth: Array, prediction: Array) -> tuple[Floats, Floats, Floats]:
    """Of each row and label: rightly said, true, said; three of float (rows, labels)."""
    true, said = truth > 0, prediction >= YES
    return (true & said).astype(float), true.astype(float), said.astype(float)


def _f1_micro(truth: Array, prediction: Array) -> Scorer:
    """2 tp / (2 tp + fp + fn), all labels together: those that are frequent count most."""
    right, true, said = (part.sum(axis=1) for part in _tallies(truth, prediction))

    def score(counts: Floats) -> Floats:
        value = ratio(2 * (counts @ right), counts @ (true + said))
        return np.where(counts.sum(axis=1) > 0, value, np.nan)

    return score


def _f1_macro(truth: Array, prediction: Array) -> Scorer:
    """The mean over labels of each one's own F1: every label has the same say."""
    right, true, said = _tallies(truth, prediction)

    def score(counts: Floats) -> Floats:
        value = ratio(2 * (counts @ right), counts @ (true + said)).mean(axis=1)
        return np.where(counts.sum(axis=1) > 0, value, np.nan)

    return score


def _subset_accuracy(truth: Array, prediction: Array) -> Scorer:
    right = ((truth > 0) == (prediction >= YES)).all(axis=1).astype(float)
    return lambda counts: ratio(counts @ right, counts.sum(axis=1), np.nan)


def _hamming_loss(truth: Array, prediction: Array) -> Scorer:
    wrong = ((truth > 0) != (prediction >= YES)).mean(axis=1)
    return lambda counts: ratio(counts @ wrong, counts.sum(axis=1), np.nan)


def _mean_average_precision(truth: Array, prediction: Array) -> Scorer:
    """The mean over labels of their average precision; a label that no row has is left out."""
    parts = [average_precision_of(truth[:, label] > 0, prediction[:, label]) for label in range(truth.shape[1])]

    def score(counts: Floats) -> Floats:
        values = np.stack([part(counts) for part in parts])
        defined = ~np.isnan(values)
        return ratio(np.where(defined, values, 0.0).sum(axis=0), defined.sum(axis=0).astype(float), np.nan)

    return score


_SETS = "label-sets"
SET_METRICS = (
    Metric("f1_micro", "The harmonic mean of precision and recall over all labels of all rows.", _f1_micro, _SETS),
    Metric("f1_macro", "The mean over labels of each label's own F1.", _f1_macro, _SETS),
    Metric("subset_accuracy", "The share of rows whose labels are all right.", _subset_accuracy, _SETS),
    Metric(
        "hamming_loss",
        "The share of wrong decisions, label by label.",
        _hamming_loss,
        _SETS,
        higher_is_better=False,
    ),
    Metric(
        "mean_average_precision",
        "The mean over labels of the precision at all thresholds.",
        _mean_average_precision,
        _SETS,
        needs="a row with a label",
    ),
)
