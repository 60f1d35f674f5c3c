"""What confidences are worth: the calibration error and accuracy without labels, whose intervals hold the truth."""

import numpy as np
import pytest

from lingqu.statistics import by_confidence, calibration_error, estimated_accuracy


def test_the_calibration_error_by_hand() -> None:
    sure = np.array([0.6] * 20 + [0.9] * 20)
    right = np.array([True] * 12 + [False] * 8 + [True] * 16 + [False] * 4)
    found = calibration_error(sure, right)
    assert found.bins == 2
    assert found.error == pytest.approx((0.0 + 0.1) / 2)
    assert found.interval.low == 0.0
    assert found.interval.high > found.error
    with pytest.raises(ValueError, match=r"^at least one row expected, found none$"):
        calibration_error([], [])
    with pytest.raises(ValueError, match=r"^rows on both sides expected, found 0 and 1$"):
        estimated_accuracy([], [0.5], [True])


def test_estimated_accuracy_follows_which_rows_come() -> None:
    rng = np.random.default_rng(3)
    known = rng.uniform(0.5, 1, 3000)
    right = rng.random(3000) < known**2  # a model that boasts: its reference translates
    hard = estimated_accuracy(np.full(500, 0.625), known, right)
    easy = estimated_accuracy(np.full(500, 0.925), known, right)
    assert hard.value == pytest.approx(0.625**2, abs=0.06)
    assert easy.value == pytest.approx(0.925**2, abs=0.06)
    assert hard.interval.high < easy.interval.low


@pytest.mark.heavy
def test_the_interval_of_the_calibration_error_holds_the_truth() -> None:
    rng, missed = np.random.default_rng(1), 0
    for _ in range(150):
        sure = rng.beta(5, 2, 600)
        chance = np.clip(sure - 0.08, 0, 1)
        truth = sum(len(rows) / 600 * abs(chance[rows].mean() - sure[rows].mean()) for rows in by_confidence(sure))
        low, high = calibration_error(sure, rng.random(600) < chance).interval
        missed += not low <= truth <= high
    assert missed / 150 <= 0.05


@pytest.mark.heavy
def test_the_interval_of_an_estimated_accuracy_holds_the_accuracy_while_its_assumptions_do() -> None:
    rng, missed, blind = np.random.default_rng(2), 0, 0
    for _ in range(400):
        known, now = rng.beta(4, 2, 1500), rng.beta(3, 2, 300)
        found = estimated_accuracy(now, known, rng.random(1500) < known**1.3)
        seen = np.mean(rng.random(300) < now**1.3)
        missed += not found.interval.low <= seen <= found.interval.high
        # What is right for a row changes: every third answer is wrong now, and confidences know nothing of it.
        changed = np.mean((rng.random(300) < now**1.3) & (rng.random(300) > 1 / 3))
        blind += not found.interval.low <= changed <= found.interval.high
    assert missed / 400 <= 0.08
    assert blind / 400 > 0.9
