"""ROC and precision-recall curves: the areas are those of the metrics, the bands hold the truth; and learning in words."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from lingqu.evaluate.curves import GRID, curves
from lingqu.evaluate.judged import Judged
from lingqu.evaluate.learning import diagnose
from lingqu.metrics import find_metric


def judged(rows: int, labels: int, seed: int, lead: float = 1.5) -> Judged:
    draw = np.random.default_rng(seed)
    truth = draw.integers(0, labels, rows)
    scores = draw.normal(size=(rows, labels))
    scores[np.arange(rows), truth] += lead
    return Judged("labels", tuple("abcdefgh"[:labels]), truth, np.exp(scores) / np.exp(scores).sum(1, keepdims=True))


@pytest.mark.heavy
def test_the_area_below_the_curve_is_the_metric() -> None:
    one = judged(900, 2, 0)
    found = curves(one, repeats=20)["labels"]
    assert [each["label"] for each in found] == ["b"]
    area = np.trapezoid(found[0]["roc"]["value"], GRID)
    assert area == pytest.approx(find_metric("roc_auc").function(one.truth, one.prediction), abs=0.004)
    precision = np.trapezoid(found[0]["recall"]["value"], GRID)
    assert precision == pytest.approx(find_metric("average_precision").function(one.truth, one.prediction), abs=0.01)
    several = judged(900, 4, 1)
    mean = np.trapezoid(curves(several, repeats=20)["mean"]["roc"]["value"], GRID)
    assert mean == pytest.approx(find_metric("roc_auc").function(several.truth, several.prediction), abs=0.004)


@pytest.mark.heavy
def test_curves_rise_and_bands_hold_their_curve() -> None:
    for one in curves(judged(300, 3, 2), repeats=50)["labels"]:
        assert (np.diff(one["roc"]["value"]) >= 0).all()
        assert one["roc"]["value"][-1] == 1.0
        for curve in (one["roc"], one["recall"]):
            low, value, high = (np.array(curve[end]) for end in ("low", "value", "high"))
            assert (low <= value).all()
            assert (value <= high).all()


def test_a_perfect_model_is_not_certain() -> None:
    truth = np.arange(40) % 2
    found = curves(Judged("labels", ("a", "b"), truth, np.eye(2)[truth]), repeats=50)["labels"][0]
    assert set(found["roc"]["value"]) == {1.0}
    # The exact interval of 20 of 20.
    assert max(found["roc"]["low"]) == pytest.approx(0.8316, abs=1e-4)
    assert max(found["recall"]["low"]) == pytest.approx(0.8316, abs=1e-4)


def test_a_label_that_never_occurs_has_no_curve() -> None:
    truth = np.zeros(30, int)
    found = curves(Judged("labels", ("a", "b"), truth, np.tile([0.7, 0.3], (30, 1))), repeats=20)
    assert found["labels"] == []


@pytest.mark.slow
def test_the_band_holds_the_true_curve() -> None:
    """Scores of two normal distributions have the ROC curve Phi(d + Phi^-1(f)): the band at each point holds it."""
    normal, held = NormalDist(), []
    truth_at = {f: normal.cdf(1.5 + normal.inv_cdf(f)) for f in (0.05, 0.1, 0.25, 0.5)}
    for seed in range(200):
        draw = np.random.default_rng(seed)
        truth = draw.integers(0, 2, 400)
        score = draw.normal(size=400) + 1.5 * truth
        found = curves(Judged("labels", ("a", "b"), truth, np.stack([-score, score], 1)), repeats=200)["labels"][0][
            "roc"
        ]
        places = {f: int(np.abs(GRID - f).argmin()) for f in truth_at}
        held.append([found["low"][i] <= truth_at[f] <= found["high"][i] for f, i in places.items()])
    shares = np.mean(held, axis=0)
    assert (shares > 0.9).all(), shares


def history(train: list[float], valid: list[float]) -> list[dict[str, Any]]:
    return [{"epoch": i, "loss": a, "validation": b} for i, (a, b) in enumerate(zip(train, valid, strict=True), 1)]


@pytest.mark.parametrize(
    ("train", "valid", "verdict", "best"),
    [
        ([0.9, 0.5, 0.3, 0.1], [0.8, 0.6, 0.7, 0.9], "overfits", 2),
        ([0.9, 0.7, 0.6, 0.5], [0.9, 0.7, 0.6, 0.5], "still-learning", 4),
        ([0.9, 0.5, 0.45, 0.44, 0.44, 0.43], [0.8, 0.5, 0.46, 0.455, 0.455, 0.456], "levelled-off", 4),
        ([0.9, 0.5], [0.8, 0.5], "too-short", 2),
        # Validation that rises while training does too is no overfitting: the network is coming apart.
        ([0.9, 0.5, 0.8, 1.2], [0.8, 0.5, 0.9, 1.3], "levelled-off", 2),
    ],
)
def test_learning_curves_in_words(train: list[float], valid: list[float], verdict: str, best: int) -> None:
    found = diagnose(history(train, valid))
    assert found is not None
    assert (found["verdict"], found["best_epoch"]) == (verdict, best)


def test_what_was_not_learned_in_epochs_has_no_verdict() -> None:
    assert diagnose([]) is None
