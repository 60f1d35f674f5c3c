"""Each metric of numbers against scikit-learn's, plain and weighted, and where it is undefined."""

import numpy as np
import pytest
from sklearn import metrics as oracle

from lingqu.metrics import find_metric

ORACLES = {"rmse": oracle.root_mean_squared_error, "mae": oracle.mean_absolute_error, "r2": oracle.r2_score}


@pytest.mark.parametrize("name", sorted(ORACLES))
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_agrees_with_scikit_learn_plain_and_weighted(name: str, shift: float) -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=200) + shift
    guess, weights = truth + rng.normal(size=200) / 2, rng.integers(0, 4, 200)
    metric = find_metric(name)
    assert metric.function(truth, guess) == pytest.approx(float(ORACLES[name](truth, guess)), rel=1e-8)
    expected = float(ORACLES[name](np.repeat(truth, weights), np.repeat(guess, weights)))
    assert metric.scorer(truth, guess)(weights[None].astype(float))[0] == pytest.approx(expected, rel=1e-7)


def test_r2_of_equal_true_values_is_undefined() -> None:
    metric = find_metric("r2")
    assert np.isnan(metric.function(np.full(5, 0.1), np.arange(5.0)))
    # A resample may draw one value only, though the rows differ.
    assert np.isnan(metric.scorer(np.array([0.1, 0.3]), np.zeros(2))(np.array([[2.0, 0.0]]))[0])
    assert metric.needs == "true values that differ"
