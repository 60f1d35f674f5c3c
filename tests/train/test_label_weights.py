"""Rare labels of a set count for more when that is asked for, in closed form and in the loop."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lingqu.contract import Step
from lingqu.models import Examples, find_family
from lingqu.models.closed_form import fit_each_margin, fit_margins
from lingqu.models.family import Facts
from lingqu.train.fit import fit_rung, rebuild
from lingqu.train.judge import outputs_of
from lingqu.train.options import TrainOptions

FRONT = {"name": "table", "numbers": [{}, {}], "categories": [], "cardinalities": []}


def rare(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two numbers; the first says a common label, the second hints at one that one row in twelve has."""
    draw = np.random.default_rng(seed)
    inputs = draw.normal(size=(count, 2))
    targets = np.stack([inputs[:, 0] > 0, inputs[:, 1] + draw.normal(0, 1.0, count) > 2.0], axis=1)
    return inputs.astype(np.float32), targets.astype(np.float32)


def test_margins_find_more_of_a_rare_label() -> None:
    inputs, targets = rare(600, 0)
    found = []
    for balanced in (False, True):
        line = fit_each_margin(
            inputs, targets, inputs, targets, strengths=[1.0], seed=0, threads=1, balanced=balanced
        )  # fmt: skip
        said = inputs @ line.weights + line.bias > 0
        found.append(float(said[targets[:, 1] > 0, 1].mean()))
    assert found[0] < 0.3
    assert found[1] > 0.7


def test_margins_learn_from_probabilities() -> None:
    """Rows of one text that are now and then another class: probabilities say in one row what labels say in many."""
    draw = np.random.default_rng(0)
    inputs = draw.normal(size=(300, 3))
    chance = 1 / (1 + np.exp(-(inputs @ np.array([1.0, -1.0, 0.0]) + 0.5)))
    drawn = (draw.random((40, 300)) < chance).astype(np.int64)
    often = fit_margins(
        np.tile(inputs, (40, 1)), drawn.ravel(), inputs, drawn[0], outputs=2, strengths=[1.0 / 40], seed=0, threads=1
    )
    soft = fit_margins(
        inputs, np.stack([1 - chance, chance], 1), inputs, drawn[0], outputs=2, strengths=[1.0], seed=0, threads=1
    )
    once = fit_margins(inputs, drawn[0], inputs, drawn[0], outputs=2, strengths=[1.0], seed=0, threads=1)
    gaps = [float(np.abs(one.weights - often.weights).max()) for one in (soft, once)]
    assert gaps[0] < 0.02 < gaps[1], gaps


@pytest.mark.heavy
def test_the_loop_finds_more_of_a_rare_label(tmp_path: Path) -> None:
    inputs, targets = rare(400, 1)
    family, facts = find_family("mlp"), Facts(2, "multilabel", FRONT, 400)
    arrays = {"numbers": inputs, "codes": np.zeros((400, 0), np.int64)}
    found = []
    for asked in ("none", "balanced"):
        options = TrainOptions(epochs=8, class_weights=asked)
        trained = fit_rung(
            family, family.settings("tiny"), arrays, targets, arrays, targets, facts=facts,
            steps=(Step("binary_cross_entropy"),), options=options, work=tmp_path / asked,
        )  # fmt: skip
        network = rebuild("mlp", trained.settings, facts, trained.weights)
        said = outputs_of(network, Examples(arrays, targets)) > 0
        found.append((float(said[targets[:, 1] > 0, 1].mean()), float((said[:, 0] == (targets[:, 0] > 0)).mean())))
    assert found[0][0] < 0.5
    assert found[1][0] > 0.7
    # The common label is as right as before.
    assert found[1][1] > 0.9
