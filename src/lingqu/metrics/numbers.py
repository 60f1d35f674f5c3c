"""Metrics of numbers, from true and predicted values, both (rows,).

>>> truth, guess = np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 3.0])
>>> {m.name: round(m.function(truth, guess), 3) for m in NUMBER_METRICS}
{'rmse': 0.816, 'mae': 0.667, 'r2': 0.571}
"""

from __future__ import annotations

import numpy as np

from lingqu.metrics.metric import Array, Floats, Metric, Scorer


def _share(top: Floats, bottom: Floats) -> Floats:
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)


def _rmse(truth: Array, prediction: Array) -> Scorer:
    squares = (prediction.astype(float) - truth) ** 2
    return lambda counts: np.sqrt(_share(counts @ squares, counts.sum(axis=1)))


def _mae(truth: Array, prediction: Array) -> Scorer:
    sizes = np.abs(prediction.astype(float) - truth)
    return lambda counts: _share(counts @ sizes, counts.sum(axis=1))


def _r2(truth: Array, prediction: Array) -> Scorer:
    squares = (prediction.astype(float) - truth) ** 2
    # The variance as mean of squares minus square of mean loses all digits unless the values are centred first.
    centred = truth.astype(float) - (truth.mean() if len(truth) else 0.0)
    floor = 1e-12 * float(centred @ centred)

    def score(counts: Floats) -> Floats:
        total = counts.sum(axis=1)
        around = counts @ centred**2 - _share((counts @ centred) ** 2, total)
        # A resample that drew one value only has no variance to explain.
        around = np.where(around > floor, around, 0.0)
        return 1 - _share(counts @ squares, around)

    return score


_ANY = float("inf")

NUMBER_METRICS = (
    Metric(
        "rmse",
        "The root of the mean squared error, in the target's own unit.",
        _rmse,
        "numbers",
        higher_is_better=False,
        range=(0.0, _ANY),
    ),
    Metric(
        "mae",
        "The mean size of the error, in the target's own unit.",
        _mae,
        "numbers",
        higher_is_better=False,
        range=(0.0, _ANY),
    ),
    Metric(
        "r2",
        "The share of the target's variance that is explained.",
        _r2,
        "numbers",
        range=(-_ANY, 1.0),
        needs="true values that differ",
    ),
)
