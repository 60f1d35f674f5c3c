"""Metrics of sets of labels are those of scikit-learn, counted once or by weight."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as theirs

from lingqu.metrics import find_metric
from lingqu.metrics.label_sets import SET_METRICS

THEIRS = {
    "f1_micro": lambda true, scores, **w: theirs.f1_score(true, scores >= 0.5, average="micro", zero_division=0, **w),
    "f1_macro": lambda true, scores, **w: theirs.f1_score(true, scores >= 0.5, average="macro", zero_division=0, **w),
    "subset_accuracy": lambda true, scores, **w: theirs.accuracy_score(true, scores >= 0.5, **w),
    "hamming_loss": lambda true, scores, **w: theirs.hamming_loss(true, scores >= 0.5, **w),
    "mean_average_precision": theirs.average_precision_score,
}


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    truth = (draw.random((60, 4)) < [0.5, 0.3, 0.1, 0.7]).astype(int)
    return truth, np.clip(truth * 0.3 + draw.random((60, 4)) * 0.7, 0, 1).round(2)


def test_every_metric_is_compared() -> None:
    assert set(THEIRS) == {metric.name for metric in SET_METRICS}


@pytest.mark.parametrize("name", THEIRS)
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_scikit_learn(name: str, seed: int) -> None:
    truth, scores = drawn(seed)
    metric = find_metric(name)
    assert metric.function(truth, scores) == pytest.approx(THEIRS[name](truth, scores))
    weights = np.random.default_rng(seed).integers(0, 4, len(truth)).astype(float)
    found = metric.scorer(truth, scores)(weights[None])[0]
    assert found == pytest.approx(THEIRS[name](truth, scores, sample_weight=weights))


def test_no_row_and_no_label() -> None:
    for metric in SET_METRICS:
        assert np.isnan(metric.function(np.zeros((0, 2), int), np.zeros((0, 2))))
    none = np.zeros((3, 2), int)
    assert np.isnan(find_metric("mean_average_precision").function(none, none + 0.1))
    assert find_metric("f1_micro").function(none, none + 0.1) == 0
    assert find_metric("subset_accuracy").function(none, none + 0.1) == 1
