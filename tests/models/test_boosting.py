"""A forest of arrays answers as LightGBM does, also for missing values and on the very thresholds."""

import lightgbm
import numpy as np
import onnxruntime
import pytest
import torch

from lingqu.bundle.export import to_onnx
from lingqu.models.boosting import FAMILY, Trees, _at_most, build, fit
from lingqu.models.effects import Effects
from lingqu.models.family import Examples, Facts


def _table(rows, seed=0):
    draw = np.random.default_rng(seed)
    inputs = draw.normal(size=(rows, 4)).astype(np.float32)
    inputs[:, 3] = draw.integers(0, 5, rows)
    inputs[draw.random((rows, 4)) < 0.1] = np.nan
    inputs[:, 1] = np.nan_to_num(inputs[:, 1])  # a column that is never missing in training
    score = np.nan_to_num(inputs[:, 0]) + (inputs[:, 3] == 2) - np.isnan(inputs[:, 2])
    return inputs, score + draw.normal(size=rows) / 2


@pytest.mark.parametrize("kind", ["regression", "binary", "multiclass"])
def test_parity(kind):
    inputs, score = _table(600)
    targets = {
        "regression": score,
        "binary": (score > 0).astype(int),
        "multiclass": np.digitize(score, [-0.5, 0.5]),
    }[kind]
    parameters = {"objective": kind, "verbose": -1, "num_threads": 1, "deterministic": True, "force_row_wise": True}
    if kind == "multiclass":
        parameters["num_class"] = 3
    booster = lightgbm.train(parameters, lightgbm.Dataset(inputs, targets), 60)
    trees, outputs = Trees(), 3 if kind == "multiclass" else 1
    for place, tree in enumerate(booster.dump_model()["tree_info"]):
        trees.add(tree["tree_structure"], tree_class=place % outputs, scale=1.0)
    forest = trees.forest(outputs)
    others, _ = _table(500, seed=1)
    others[:50, 1] = np.nan  # missing where training never was
    others[50:100] = forest.threshold[torch.randint(0, len(forest.threshold), (50, 4))].numpy()
    others[100:150] = 0.0
    answers = forest(torch.from_numpy(others), torch.zeros(500, 0, dtype=torch.int64)).numpy()
    expected = np.reshape(booster.predict(others, raw_score=True), (500, outputs))
    assert np.abs(answers - expected).max() <= 1e-6 * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("threshold", [0.1, -0.1, 1 / 3, 1e-35, 0.0, 3.0, 16777217.0, -1e-34])
def test_a_rounded_threshold_divides_float32_as_the_exact_one(threshold):
    rounded = np.float32(_at_most(threshold))
    around = [rounded, np.nextafter(rounded, np.float32(np.inf)), np.nextafter(rounded, np.float32(-np.inf))]
    for value in around:
        assert (value <= rounded) == (float(value) <= threshold)


def test_weights_bring_their_number_of_nodes(tmp_path):
    first, second = Trees(), Trees()
    first.add_leaf(1.0, tree_class=0)
    second.add_leaf(1.0, tree_class=0)
    second.add_leaf(2.0, tree_class=1)
    forest = first.forest(2)
    forest.load_state_dict(second.forest(2).state_dict())
    assert forest(torch.zeros(1, 1), torch.zeros(1, 0, dtype=torch.int64)).tolist() == [[1.0, 2.0]]


def _streets(rows=240, names=30, noise=0.3):
    """Few rows a street, whose number says nothing of its price."""
    draw = np.random.default_rng(0)
    price = draw.normal(size=names + 1)
    streets = draw.integers(1, names + 1, (rows, 1))
    arrays = {"numbers": draw.normal(size=(rows, 1)).astype(np.float32), "codes": streets}
    targets = (price[streets[:, 0]] + draw.normal(size=rows) * noise).astype(np.float32)
    facts = Facts(1, "regression", {"name": "table", "numbers": [{}], "cardinalities": [names + 1]}, rows)
    return Examples(arrays, targets), facts


@pytest.mark.heavy
def test_names_of_few_rows_are_known_by_their_mean_target_and_the_graph_knows_it_too():
    train, facts = _streets()
    forest = fit(
        train, train, facts, FAMILY.settings("tiny"), seed=0, threads=1, tell=lambda _done, _said: None
    ).network
    assert forest.effects.shape == (31, 1)
    asked = {name: array[:50] for name, array in train.arrays.items()}
    told = forest(**{name: torch.from_numpy(array) for name, array in asked.items()}).detach().numpy()
    # Code 0, an unknown street, is answered too.
    asked["codes"] = np.concatenate([asked["codes"][:49], [[0]]])
    graph = onnxruntime.InferenceSession(to_onnx(forest, asked, "table"))
    answers = graph.run(None, asked)[0]
    assert np.abs(answers[:49] - told[:49]).max() < 1e-5
    assert np.isfinite(answers).all()
    rebuilt = build(facts, {})
    rebuilt.load_state_dict(forest.state_dict())
    assert (rebuilt(**{name: torch.from_numpy(array) for name, array in asked.items()}).numpy()[:49] == told[:49]).all()


@pytest.mark.heavy
def test_no_row_is_told_its_own_target_by_the_mean_of_its_name():
    """With two rows a street and much noise a mean that holds the row itself would be learned by heart."""
    train, facts = _streets(names=100, noise=2.0)
    learned = fit(train, train, facts, FAMILY.settings("tiny"), seed=0, threads=1, tell=lambda _done, _said: None)
    fitted = learned.network(**{name: torch.from_numpy(array) for name, array in train.arrays.items()})
    assert np.corrcoef(fitted.detach().numpy()[:, 0], train.targets)[0, 1] ** 2 < 0.4
    moved = Examples(train.arrays, np.concatenate([train.targets[:1] + 100, train.targets[1:]]))
    before, after = (Effects.of(part, facts).of_other_rows(part, facts, seed=0)[:, 0] for part in (train, moved))
    assert before[0] == after[0]
    assert (before != after).any()
