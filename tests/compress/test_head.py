"""The last layer fitted again: it mends a body that was spoiled, and is kept only when validation rows say so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lingqu.bundle.read import Bundle
from lingqu.compress.comparison import surprise
from lingqu.compress.graph import Graph, find_head
from lingqu.compress.head import NO_HEAD, refit_head
from lingqu.compress.quantise import quantised, rewritten
from lingqu.contract import Rows
from tests.compress.conftest import Learned


def spoiled(bundle: Bundle, folder: Path, rows: Rows) -> Bundle:
    """The bundle with a head that was hit: half of its weights lost, and its bias."""
    graph = Graph.of(bundle)
    head = find_head(graph)
    assert head is not None
    head.put(graph, head.weights * 0.5 + 0.3 * np.sign(head.weights), head.bias + 1.0)
    return rewritten(bundle, folder, graph.bytes(), valid=rows)


@pytest.mark.parametrize(
    ("task", "family"),
    [
        ("image-classification", "logistic"),
        pytest.param("text-classification", "bilstm", marks=pytest.mark.heavy),
        pytest.param("image-classification", "cnn", marks=pytest.mark.heavy),
        pytest.param("tabular-regression", "mlp", marks=pytest.mark.heavy),
    ],
)
def test_a_spoiled_head_comes_back(task: str, family: str, learned: Learned, tmp_path: Path) -> None:
    bundle, rows = learned(task, family)
    bad = spoiled(bundle, tmp_path / "bad", rows)
    found = refit_head(bad, tmp_path / "good", teacher=bundle, train=rows, valid=rows)
    good = Bundle.open(tmp_path / "good")
    gaps = [float(np.abs(one.outputs(rows)["logits"] - bundle.outputs(rows)["logits"]).max()) for one in (bad, good)]
    assert gaps[1] < gaps[0] / 10
    if task != "tabular-regression":
        truth = rows[bundle.task.target.name]
        first, second = (surprise(one.predict(rows), truth).mean() for one in (bad, good))
        assert found.kept == (second < first)
        assert found.why == f"log loss on validation rows {first:.4f} before, {second:.4f} after"
    else:
        assert found.kept
        assert found.loss_after < found.loss_before
        assert found.why.startswith("mean error on validation rows ")


@pytest.mark.heavy
def test_the_head_stays_as_it_is_in_int8_and_is_found_there(learned: Learned, tmp_path: Path) -> None:
    bundle, rows = learned("text-classification", "bilstm")
    small = quantised(bundle, tmp_path / "int8", train=rows, valid=rows)
    before, after = (find_head(Graph.of(one)) for one in (bundle, small))
    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(before.weights, after.weights)
    np.testing.assert_array_equal(before.bias, after.bias)


def test_a_table_of_ngrams_has_no_head(learned: Learned, tmp_path: Path) -> None:
    bundle, rows = learned("text-classification", "ngram-linear")
    found = refit_head(bundle, tmp_path / "head", teacher=bundle, train=rows, valid=rows)
    assert (found.kept, found.why) == (False, NO_HEAD)
    assert not (tmp_path / "head").exists()
