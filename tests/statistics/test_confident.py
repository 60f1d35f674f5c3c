"""Confident learning finds labels that were changed, and about as many as were."""

from __future__ import annotations

import numpy as np
import pytest

from lingqu.statistics import confident


def drawn(rows: int, classes: int, flipped: float, seed: int, sure: float = 3.0):
    """True labels, given labels, and answers of a model that is right nearly always but not sure of it."""
    draw = np.random.default_rng(seed)
    true = draw.integers(0, classes, rows)
    logits = draw.normal(0, 1, (rows, classes)) + sure * np.eye(classes)[true]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wrong = draw.random(rows) < flipped
    given = np.where(wrong, (true + draw.integers(1, classes, rows)) % classes, true)
    return given, probabilities, true, wrong


@pytest.mark.parametrize(("classes", "flipped"), [(2, 0.05), (2, 0.2), (5, 0.1), (10, 0.3)])
def test_changed_labels_are_found(classes: int, flipped: float) -> None:
    given, probabilities, true, wrong = drawn(4000, classes, flipped, classes, sure=5.0)
    found = confident(given, probabilities)
    assert abs(found.share - flipped) < 0.03
    assert wrong[found.rows].mean() > 0.9
    assert wrong[found.rows].sum() > 0.8 * wrong.sum()
    assert (found.suggested == true[found.rows]).mean() > 0.9
    assert np.all(np.diff(found.margin) <= 0)


def test_right_labels_are_left_alone() -> None:
    shares = []
    for seed in range(20):
        given, probabilities, _, _ = drawn(1000, 3, 0.0, seed, sure=6.0)
        found = confident(given, probabilities)
        shares.append(found.share)
        assert len(found.rows) <= 5
    assert np.mean(shares) < 0.003


def test_the_joint_keeps_how_often_each_label_is_given() -> None:
    given, probabilities, _, _ = drawn(3000, 4, 0.1, 0)
    joint = confident(given, probabilities).joint
    assert joint.sum() == pytest.approx(1)
    assert joint.sum(axis=1) == pytest.approx(np.bincount(given) / len(given))


def test_a_class_without_rows_is_never_suggested() -> None:
    given, probabilities, _, _ = drawn(500, 3, 0.1, 0)
    wide = np.column_stack([probabilities * 0.5, np.full(500, 0.5)])
    assert 3 not in confident(given, wide).suggested
