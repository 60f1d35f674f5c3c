"""Metrics of labels, from true label indices (rows,) and probabilities (rows, labels).

The predicted label is the likeliest one. Averages over labels are macro averages, as in scikit-learn: every label that
occurs among the true or the predicted ones has the same say, and a ratio 0/0 is 0.

>>> truth = np.array([0, 0, 1, 1, 2])
>>> scores = np.array([[.8, .1, .1], [.3, .6, .1], [.1, .8, .1], [.2, .7, .1], [.1, .2, .7]])
>>> {m.name: round(m.function(truth, scores), 3) for m in LABEL_METRICS[:5]}
{'accuracy': 0.8, 'balanced_accuracy': 0.833, 'precision': 0.889, 'recall': 0.833, 'f1': 0.822}
>>> {m.name: round(m.function(truth, scores), 3) for m in LABEL_METRICS[5:]}
{'roc_auc': 1.0, 'average_precision': 1.0, 'log_loss': 0.473, 'mcc': 0.735, 'ece': 0.32}
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lingqu.metrics.metric import Array, Floats, Metric, Scorer

ECE_BINS = 15


def ratio(top: Floats, bottom: Floats, otherwise: float = 0.0) -> Floats:
    """Top / bottom, and `otherwise` where the bottom is zero.

    >>> ratio(np.array([1.0, 0.0]), np.array([2.0, 0.0])).tolist()
    [0.5, 0.0]
    """
    return np.divide(top, bottom, out=np.full_like(top, otherwise), where=bottom != 0)


def _by_index(index: Array, size: int, counts: Floats) -> Floats:
    """The counts summed by an index of the rows: (repeats, rows) -> (repeats, size)."""
    sums = np.zeros((len(counts), size))
    for i, row in enumerate(counts):
        sums[i] = np.bincount(index, weights=row, minlength=size)
    return sums


def _tallies(truth: Array, prediction: Array, counts: Floats) -> tuple[Floats, Floats, Floats]:
    """How often each label is rightly predicted, true, and predicted: three of (repeats, labels)."""
    labels = prediction.shape[1]
    guess = prediction.argmax(axis=1)
    # Wrong rows fall into one more cell that is cut off again.
    hit = np.where(guess == truth, truth, labels)
    right = _by_index(hit, labels + 1, counts)[:, :labels]
    return right, _by_index(truth, labels, counts), _by_index(guess, labels, counts)


def _accuracy(truth: Array, prediction: Array) -> Scorer:
    right = (prediction.argmax(axis=1) == truth).astype(float)
    return lambda counts: ratio(counts @ right, counts.sum(axis=1), np.nan)


def _balanced_accuracy(truth: Array, prediction: Array) -> Scorer:
    def score(counts: Floats) -> Floats:
        right, true, _ = _tallies(truth, prediction, counts)
        return ratio(ratio(right, true).sum(axis=1), (true > 0).sum(axis=1).astype(float), np.nan)

    return score


def _macro(right: Floats, bottom: Floats, true: Floats, guessed: Floats) -> Floats:
    """The mean of right / bottom over the labels that occur."""
    return ratio(ratio(right, bottom).sum(axis=1), ((true + guessed) > 0).sum(axis=1).astype(float), np.nan)


def _precision(truth: Array, prediction: Array) -> Scorer:
    def score(counts: Floats) -> Floats:
        right, true, guessed = _tallies(truth, prediction, counts)
        return _macro(right, guessed, true, guessed)

    return score


def _recall(truth: Array, prediction: Array) -> Scorer:
    def score(counts: Floats) -> Floats:
        right, true, guessed = _tallies(truth, prediction, counts)
        return _macro(right, true, true, guessed)

    return score


def _f1(truth: Array, prediction: Array) -> Scorer:
    def score(counts: Floats) -> Floats:
        right, true, guessed = _tallies(truth, prediction, counts)
        return _macro(2 * right, true + guessed, true, guessed)

    return score


def _mcc(truth: Array, prediction: Array) -> Scorer:
    """Gorodkin's R_K: (c s - sum p_k t_k) / sqrt((s² - sum p_k²)(s² - sum t_k²)), of s rows, c of them right."""

    def score(counts: Floats) -> Floats:
        right, true, guessed = _tallies(truth, prediction, counts)
        total = counts.sum(axis=1)
        top = right.sum(axis=1) * total - (true * guessed).sum(axis=1)
        bottom = (total**2 - (guessed**2).sum(axis=1)) * (total**2 - (true**2).sum(axis=1))
        return np.where(total > 0, ratio(top, np.sqrt(np.maximum(bottom, 0.0))), np.nan)

    return score


def _log_loss(truth: Array, prediction: Array) -> Scorer:
    rows = np.arange(len(truth))
    total = prediction.sum(axis=1, dtype=float)
    # A probability of exactly 0 for the truth would cost infinity; the smallest double step is dear enough.
    own = np.clip(prediction[rows, truth].astype(float) / total, np.finfo(float).eps, 1.0)
    cost = -np.log(own)
    return lambda counts: ratio(counts @ cost, counts.sum(axis=1), np.nan)


def _ece(truth: Array, prediction: Array) -> Scorer:
    """Sum over bins of |sum of (confidence - right)| / rows: Guo et al. 2017, equation 5, 15 bins of equal width."""
    sure = prediction.max(axis=1).astype(float)
    gap = sure - (prediction.argmax(axis=1) == truth)
    place = np.clip(np.ceil(sure * ECE_BINS).astype(int) - 1, 0, ECE_BINS - 1)
    return lambda counts: ratio(
        np.abs(_by_index(place, ECE_BINS, counts * gap)).sum(axis=1), counts.sum(axis=1), np.nan
    )


def _over_labels(truth: Array, prediction: Array, one: Callable[[Array, Array], Scorer]) -> Scorer:
    """A ranking metric of label 1 when there are two labels, else the mean of each label against the rest."""
    chosen = [1] if prediction.shape[1] == 2 else range(prediction.shape[1])
    parts = [one(truth == label, prediction[:, label]) for label in chosen]

    def score(counts: Floats) -> Floats:
        values = np.stack([part(counts) for part in parts])
        defined = ~np.isnan(values)
        return ratio(np.where(defined, values, 0.0).sum(axis=0), defined.sum(axis=0).astype(float), np.nan)

    return score


def _roc_auc_of(own: Array, scores: Array) -> Scorer:
    """The share of (positive, negative) pairs that the score ranks rightly, ties half: Hanley and McNeil 1982."""
    positive, negative = (
        rows[np.argsort(scores[rows], kind="stable")] for rows in (own.nonzero()[0], (~own).nonzero()[0])
    )
    # For each positive row, how many negative rows score below it, and how many at most as high.
    below, not_above = (np.searchsorted(scores[negative], scores[positive], side) for side in ("left", "right"))

    def score(counts: Floats) -> Floats:
        high = np.take(counts, positive, axis=1)
        passed = np.zeros((len(counts), len(negative) + 1))
        np.cumsum(np.take(counts, negative, axis=1), axis=1, out=passed[:, 1:])
        reach = np.take(passed, below, axis=1) + np.take(passed, not_above, axis=1)
        return ratio(np.einsum("bi,bi->b", high, reach) / 2, high.sum(axis=1) * passed[:, -1], np.nan)

    return score


def average_precision_of(own: Array, scores: Array) -> Scorer:
    """The sum over thresholds of (recall_i - recall_(i-1)) precision_i, without interpolation."""
    order = np.argsort(-scores, kind="stable")
    sorted_own = own[order].astype(float)
    # Rows of equal score pass a threshold together, so only the last of each run is a point of the curve.
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)

    def score(counts: Floats) -> Floats:
        drawn = np.take(counts, order, axis=1)
        every = np.cumsum(drawn, axis=1)[:, ends]
        found = np.cumsum(drawn * sorted_own, axis=1)[:, ends]
        # Rows that a resample did not draw leave 0 / 0 at the start; nothing is gained there.
        precision = found / np.maximum(every, 1.0)
        gained = np.diff(found, axis=1, prepend=0.0)
        return ratio(np.einsum("bi,bi->b", gained, precision), found[:, -1], np.nan)

    return score


def _roc_auc(truth: Array, prediction: Array) -> Scorer:
    return _over_labels(truth, prediction, _roc_auc_of)


def _average_precision(truth: Array, prediction: Array) -> Scorer:
    return _over_labels(truth, prediction, average_precision_of)


_BOTH = "rows of at least two labels"

LABEL_METRICS = (
    Metric("accuracy", "The share of rows whose label is right.", _accuracy, "labels", labels_only=True),
    Metric(
        "balanced_accuracy", "The mean over labels of the share found.", _balanced_accuracy, "labels", labels_only=True
    ),
    Metric(
        "precision",
        "Of what is called a label, the share that is it; mean over labels.",
        _precision,
        "labels",
        labels_only=True,
    ),
    Metric(
        "recall",
        "Of what is a label, the share that is called it; mean over labels.",
        _recall,
        "labels",
        labels_only=True,
    ),
    Metric("f1", "The harmonic mean of precision and recall; mean over labels.", _f1, "labels", labels_only=True),
    Metric(
        "roc_auc",
        "The chance that a row of a label is scored above a row of another.",
        _roc_auc,
        "labels",
        needs=_BOTH,
    ),
    Metric(
        "average_precision",
        "The mean precision over all thresholds (of the second label when there are two).",
        _average_precision,
        "labels",
        needs="a row of the label that is sought",
    ),
    Metric(
        "log_loss",
        "The mean surprise at the truth, in nats.",
        _log_loss,
        "labels",
        higher_is_better=False,
        range=(0.0, float("inf")),
    ),
    Metric(
        "mcc",
        "The correlation of true and predicted labels (Matthews).",
        _mcc,
        "labels",
        labels_only=True,
        range=(-1.0, 1.0),
    ),
    Metric(
        "ece",
        "How far confidence and accuracy lie apart (15 bins).",
        _ece,
        "labels",
        higher_is_better=False,
        # It adds up the sizes of gaps, so noise makes it larger, and a resample, which has more noise, larger still.
        no_interval="resampling makes such errors larger",
    ),
)
