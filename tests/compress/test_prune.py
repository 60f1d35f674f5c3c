"""Hidden units left out: exact where they repeat others, smaller graphs, and what something else reads is left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from lingqu.bundle.folder import write_folder
from lingqu.bundle.read import Bundle
from lingqu.compress.graph import Graph
from lingqu.compress.layers import find_pairs
from lingqu.compress.prune import prune, surgeon
from lingqu.contract import Front, Rows
from lingqu.tasks import find_task
from tests.compress.conftest import Learned

HIDDEN, DISTINCT = 32, 6


def hidden_layer(folder: Path, *, between: str = "Relu", carried: bool = False) -> Bundle:
    """A number through 32 hidden units, of which only six differ, to a number; `carried`: the units are read twice."""
    draw = np.random.default_rng(0)
    own = draw.normal(size=(1, DISTINCT)).astype(np.float32), draw.normal(size=DISTINCT).astype(np.float32)
    which = np.arange(HIDDEN) % DISTINCT
    values = {"w1": own[0][:, which], "b1": own[1][which]}
    values |= {"w2": draw.normal(size=(HIDDEN, 1)).astype(np.float32), "b2": np.array([0.5], np.float32)}
    if carried:
        values["w3"] = draw.normal(size=(HIDDEN, 1)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["numbers", "w1"], ["product"]),
        helper.make_node("Add", ["b1", "product"], ["units"]),
        helper.make_node(between, ["units"], ["active"]),
        helper.make_node("MatMul", ["active", "w2"], ["read"]),
        *([helper.make_node("MatMul", ["units", "w3"], ["again"])] if carried else []),
        *([helper.make_node("Add", ["read", "again"], ["both"])] if carried else []),
        helper.make_node("Add", ["both" if carried else "read", "b2"], ["logits"]),
    ]
    made = helper.make_graph(
        nodes,
        "hidden",
        [helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["rows", 1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 1])],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    memory = {"front": {"name": "table", "numbers": [{"name": "x", "mean": 0.0, "std": 1.0}], "categories": []}}
    manifest = {
        "format": 1,
        "task": "tabular-regression",
        "columns": [{"name": "x", "source": "x", "kind": "number", "missing": False}],
        "answer": "number-value",
    }
    return write_folder(folder, manifest, model.SerializeToString(), {**memory, "mean": 0.0, "std": 1.0})


def rows_of(bundle: Bundle, count: int = 200) -> Rows:
    """Numbers, and nearly what the bundle says of them."""
    draw = np.random.default_rng(1)
    given = Rows({"x": draw.normal(size=count).tolist()})
    return given.with_columns({"target": (bundle.outputs(given)["logits"][:, 0] + draw.normal(0, 0.3, count)).tolist()})


@pytest.mark.parametrize("between", ["Relu", "Sigmoid", "Tanh"])
def test_units_that_repeat_others_go_without_a_trace(between: str, tmp_path: Path) -> None:
    bundle = hidden_layer(tmp_path / "all", between=between)
    rows = rows_of(bundle)
    found = prune(bundle, tmp_path / "few", share=0.75, train=rows, valid=rows)
    assert found.kept, found.why
    assert found.why.endswith("; 24 of 32 hidden units in 1 layers left out")
    few = Bundle.open(tmp_path / "few")
    shapes = {name: value.shape for name in ("w1", "b1", "w2") if (value := Graph.of(few).weight(name)) is not None}
    assert shapes == {"w1": (1, 8), "b1": (8,), "w2": (8, 1)}
    gap = np.abs(few.outputs(rows)["logits"] - bundle.outputs(rows)["logits"]).max()
    assert gap < 0.05 * np.abs(bundle.outputs(rows)["logits"]).max()


def test_without_mending_the_same_units_would_be_missed(tmp_path: Path) -> None:
    """The proof that the closed form does the work: the plain choice of the same units is far off."""
    draw = np.random.default_rng(2)
    inputs = draw.normal(size=(500, 8)) @ draw.normal(size=(8, 24))
    weights = draw.normal(size=(24, 3))
    wanted, mended = inputs @ weights, weights.copy()
    kept = surgeon(inputs.T @ inputs / 500, mended, 1, 24, 10)
    plain = np.where(np.isin(np.arange(24), kept)[:, None], weights, 0.0)
    errors = [float(np.square(inputs @ tried - wanted).mean()) for tried in (mended, plain)]
    assert errors[0] < errors[1] / 100


def test_units_that_something_else_reads_stay(tmp_path: Path) -> None:
    bundle = hidden_layer(tmp_path / "all", carried=True)
    assert [*find_pairs(Graph.of(bundle))] == []
    rows = rows_of(bundle)
    found = prune(bundle, tmp_path / "few", share=0.5, train=rows, valid=rows)
    assert (found.kept, found.why) == (False, "no layer of this model has hidden units to spare")
    assert not (tmp_path / "few").exists()


def test_units_behind_an_operator_that_is_not_known_stay(tmp_path: Path) -> None:
    assert [*find_pairs(Graph.of(hidden_layer(tmp_path / "all", between="Softmax")))] == []


def test_units_that_share_nothing_go_by_their_weight() -> None:
    draw = np.random.default_rng(3)
    gram, weights = np.eye(17), np.vstack([draw.normal(size=(16, 1)), [[0.0]]])
    before = weights.copy()
    kept = surgeon(gram, weights, 1, 16, 8)
    # Nothing is shared, so nothing is mended, and the smallest weights go.
    assert sorted(np.abs(before[kept, 0])) == sorted(np.abs(before[:16, 0]))[8:]
    np.testing.assert_allclose(weights[kept], before[kept])


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("task", "family", "layers"),
    [
        ("tabular-regression", "mlp", 1),
        ("text-classification", "transformer", 1),
    ],
)
def test_families_are_pruned_to_graphs_that_run(
    task: str, family: str, layers: int, learned: Learned, tmp_path: Path
) -> None:
    bundle, rows = learned(task, family)
    assert len([*find_pairs(Graph.of(bundle))]) == layers
    found = prune(bundle, tmp_path / "few", share=0.5, train=rows, valid=rows)
    assert found.bytes_after < found.bytes_before
    few = Bundle.open(tmp_path / "few")
    before, after = (one.outputs(rows)["logits"] for one in (bundle, few))
    assert np.corrcoef(before.ravel(), after.ravel())[0, 1] > 0.98


def channels(folder: Path, made: int, distinct: int) -> Bundle:
    """A picture through so many channels, of which only some differ, normalised, pooled and read again."""
    draw = np.random.default_rng(0)
    which = np.arange(made) % distinct
    values = {"first": draw.normal(size=(distinct, 1, 3, 3))[which], "bias": draw.normal(size=distinct)[which]}
    values |= {"scale": draw.uniform(0.5, 2, distinct)[which], "shift": draw.normal(size=distinct)[which]}
    values |= {"mean": draw.normal(size=distinct)[which], "variance": draw.uniform(0.5, 2, distinct)[which]}
    values |= {"second": draw.normal(size=(2, made, 3, 3)) / made, "small": np.array(1 / 255)}
    nodes = [
        helper.make_node("Cast", ["pixels"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["numbers", "small"], ["scaled"]),
        helper.make_node("Conv", ["scaled", "first", "bias"], ["made"], pads=[1, 1, 1, 1]),
        helper.make_node("MaxPool", ["made"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("BatchNormalization", ["pooled", "scale", "shift", "mean", "variance"], ["normal"]),
        helper.make_node("Relu", ["normal"], ["active"]),
        helper.make_node("Conv", ["active", "second"], ["read"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["read"], ["means"]),
        helper.make_node("Flatten", ["means"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "channels",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["rows", 1, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 2])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    task = find_task("image-classification")
    manifest = {
        "format": 1,
        "task": task.name,
        "columns": [{"name": "image", "source": "image", "kind": "image", "missing": False}],
        "answer": "label-scores",
    }
    memory = task.learn(task.toy(20), Front("pixels", {"side": 8}))
    return write_folder(folder, manifest, model.SerializeToString(), memory)


@pytest.mark.heavy
def test_channels_that_repeat_others_go_without_a_trace(tmp_path: Path) -> None:
    bundle, rows = channels(tmp_path / "all", 48, 12), find_task("image-classification").toy(60)
    assert [(pair.units, len(pair.along)) for pair in find_pairs(Graph.of(bundle))] == [(48, 6)]
    found = prune(bundle, tmp_path / "few", share=0.7, train=rows, valid=rows)
    assert found.why.endswith("; 32 of 48 hidden units in 1 layers left out")
    few = Bundle.open(tmp_path / "few")
    second = Graph.of(few).weight("second")
    assert second is not None
    assert second.shape == (2, 16, 3, 3)
    before, after = (one.outputs(rows)["logits"] for one in (bundle, few))
    assert np.abs(before - after).max() < 0.02 * before.std()


def test_so_few_channels_stay_that_nothing_would_be_quicker(tmp_path: Path) -> None:
    bundle, rows = channels(tmp_path / "all", 16, 4), find_task("image-classification").toy(20)
    found = prune(bundle, tmp_path / "few", share=0.7, train=rows, valid=rows)
    assert found.why == "no layer of this model has hidden units to spare"
