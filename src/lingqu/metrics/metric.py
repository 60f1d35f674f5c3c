"""What a metric is here: one number from true values and predictions, and the same for any weighting of the rows.

The second half makes intervals cheap: a bootstrap resample is only how often each row counts, so a metric that is given
a matrix of counts gives all its replicates without copying a row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lingqu.errors import DataError, Problem

Array = NDArray[Any]
Floats = NDArray[np.float64]
Scorer = Callable[[Floats], Floats]
"""Counts (repeats, rows) in, the metric of each repeat out; nan where it is undefined."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A named measure of predictions.

    For labels: truth int (rows,), prediction float (rows, labels) probabilities.
    For sets of labels: truth 0 or 1, prediction float, both (rows, labels), a yes from 0.5 on.
    For numbers: truth float (rows,), prediction float (rows,).

    >>> from lingqu.metrics import find_metric
    >>> accuracy = find_metric("accuracy")
    >>> truth, scores = np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    >>> round(accuracy.function(truth, scores), 3)
    0.667
    >>> accuracy.scorer(truth, scores)(np.array([[1.0, 1.0, 1.0], [1.0, 2.0, 0.0]])).round(3).tolist()
    [0.667, 1.0]
    """

    name: str
    about: str
    score: Callable[[Array, Array], Scorer]
    kind: str
    """What it judges: "labels", "label-sets" or "numbers"."""
    higher_is_better: bool = True
    range: tuple[float, float] = (0.0, 1.0)
    labels_only: bool = False
    """Whether only the likeliest label of a row matters, so that rows with equal labels are interchangeable."""
    needs: str = "at least one row"
    """Without this the metric is nan."""
    no_interval: str = ""
    """Why resampled rows give no interval of it; nothing where they do."""

    def scorer(self, truth: Array, prediction: Array) -> Scorer:
        """The metric as a function of how often each row counts."""
        if len(truth) != len(prediction):
            raise DataError(
                Problem(
                    f"as many predictions as true values for {self.name}",
                    f"{len(prediction)} predictions and {len(truth)} true values",
                )
            )
        return self.score(truth, prediction)

    def function(self, truth: Array, prediction: Array) -> float:
        """The metric of these rows, each counted once; nan where it is undefined."""
        if len(truth) == 0 and len(prediction) == 0:
            return float("nan")
        return float(self.scorer(truth, prediction)(np.ones((1, len(truth))))[0])
