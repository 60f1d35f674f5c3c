"""Each metric of labels against scikit-learn's, plain and weighted, and where it is undefined."""

import time
import warnings

import numpy as np
import pytest
from sklearn import metrics as oracle

from lingqu.errors import DataError, UnknownNameError
from lingqu.metrics import METRICS, find_metric
from lingqu.statistics import paired_bootstrap, replicates


def case(rows: int, labels: int, seed: int, ties: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, labels, rows)
    logits = rng.normal(size=(rows, labels))
    logits[np.arange(rows), truth] += 1
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if ties:
        scores = np.round(scores, 1) + 1e-3
        scores /= scores.sum(axis=1, keepdims=True)
    return truth, scores, rng.integers(0, 4, rows)


def by_sklearn(name: str, truth: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
    """The same metric by scikit-learn, on rows repeated by their weight."""
    truth, scores = np.repeat(truth, weights), np.repeat(scores, weights, axis=0)
    guess, labels = scores.argmax(axis=1), list(range(scores.shape[1]))
    each = [1] if len(labels) == 2 else labels
    match name:
        case "accuracy":
            return float(oracle.accuracy_score(truth, guess))
        case "balanced_accuracy":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return float(oracle.balanced_accuracy_score(truth, guess))
        case "precision" | "recall" | "f1":
            return float(getattr(oracle, f"{name}_score")(truth, guess, average="macro", zero_division=0))
        case "roc_auc" | "average_precision":
            judge = getattr(oracle, f"{name}_score")
            return float(np.mean([judge(truth == k, scores[:, k]) for k in each]))
        case "log_loss":
            return float(oracle.log_loss(truth, scores, labels=labels))
        case "mcc":
            return float(oracle.matthews_corrcoef(truth, guess))
        case _:
            raise AssertionError(name)


@pytest.mark.parametrize("name", [n for n, m in METRICS.items() if m.kind == "labels" and n != "ece"])
@pytest.mark.parametrize(("labels", "ties"), [(2, False), (2, True), (5, False), (5, True)])
def test_agrees_with_scikit_learn_plain_and_weighted(name: str, labels: int, ties: bool) -> None:
    truth, scores, weights = case(200, labels, seed=labels, ties=ties)
    metric = find_metric(name)
    assert metric.function(truth, scores) == pytest.approx(
        by_sklearn(name, truth, scores, np.ones(200, dtype=int)), abs=1e-9
    )
    got = metric.scorer(truth, scores)(np.stack([weights, weights[::-1]]).astype(float))
    expected = [by_sklearn(name, truth, scores, w) for w in (weights, weights[::-1])]
    assert got == pytest.approx(expected, abs=1e-9)


def test_ece_is_the_sum_over_fifteen_bins() -> None:
    truth, scores, weights = case(300, 3, seed=7)
    kept, sure, right = np.repeat(np.arange(300), weights), scores.max(axis=1), scores.argmax(axis=1) == truth
    expected = 0.0
    for k in range(15):
        inside = kept[(sure[kept] > k / 15) & (sure[kept] <= (k + 1) / 15)]
        if len(inside):
            expected += len(inside) / len(kept) * abs(sure[inside].mean() - right[inside].mean())
    assert find_metric("ece").scorer(truth, scores)(weights[None].astype(float))[0] == pytest.approx(expected)


def test_labels_that_occur_nowhere_have_no_say() -> None:
    truth, scores = np.array([0, 0, 1]), np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.1, 0.9, 0.0]])
    assert find_metric("f1").function(truth, scores) == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", ["roc_auc", "average_precision"])
def test_ranking_is_undefined_without_a_row_of_the_label(name: str) -> None:
    metric = find_metric(name)
    assert np.isnan(metric.function(np.array([0, 0]), np.array([[0.9, 0.1], [0.4, 0.6]])))
    assert metric.needs


@pytest.mark.parametrize("name", sorted(METRICS))
def test_no_rows_are_undefined_and_not_a_crash(name: str) -> None:
    metric = find_metric(name)
    none = np.zeros((0, 3)) if metric.kind == "labels" else np.zeros(0)
    assert np.isnan(metric.function(np.zeros(0, dtype=int), none))
    assert metric.about.endswith(".")


def test_error_texts() -> None:
    with pytest.raises(UnknownNameError) as unknown:
        find_metric("acuracy")
    assert str(unknown.value) == "Expected a metric that lingqu knows, found 'acuracy'. Did you mean 'accuracy'?"
    with pytest.raises(DataError) as lengths:
        find_metric("f1").function(np.array([0, 1]), np.zeros((3, 2)))
    assert str(lengths.value) == (
        "Expected as many predictions as true values for f1, found 3 predictions and 2 true values."
    )


@pytest.mark.heavy
def test_all_metrics_of_a_thousand_resamples_take_seconds() -> None:
    truth, scores, _ = case(25_000, 4, seed=1)
    scorers = {n: m.scorer(truth, scores) for n, m in METRICS.items() if m.kind == "labels"}
    start = time.perf_counter()
    drawn = replicates(scorers, 25_000, 100)
    # A tenth of the work of a report, in a tenth of the time that we allow it (with room for a busy machine).
    assert time.perf_counter() - start < 3
    assert all(len(values) == 100 for values in drawn.values())


def test_resampling_by_counts_equals_resampling_rows() -> None:
    truth, scores, _ = case(120, 3, seed=3)
    f1 = find_metric("f1")
    worse = np.roll(scores, 1, axis=1)
    result = paired_bootstrap(f1.scorer(truth, worse), f1.scorer(truth, scores), 120, repeats=200, seed=5)
    draws = np.random.default_rng(5).integers(0, 120, (200, 120), dtype=np.int32)
    rows = [f1.function(truth[d], scores[d]) - f1.function(truth[d], worse[d]) for d in draws]
    assert result.replicates == pytest.approx(np.array(rows))
