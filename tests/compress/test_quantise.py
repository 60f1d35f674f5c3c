"""HARDENING T15: int8 is kept only when a paired test sees no cost, and every try leaves its before-and-after row."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lingqu.bundle.folder import write_folder
from lingqu.bundle.read import Bundle
from lingqu.compress.comparison import bundle_bytes, compare, losses
from lingqu.compress.quantise import quantise
from lingqu.contract import NumberValue, Refusal
from tests.compress.conftest import Learned


@pytest.mark.parametrize(
    ("task", "family"),
    [
        ("text-classification", "ngram-linear"),
        pytest.param("text-classification", "bilstm", marks=pytest.mark.heavy),
        pytest.param("image-classification", "cnn", marks=pytest.mark.heavy),
        pytest.param("tabular-regression", "mlp", marks=pytest.mark.heavy),
    ],
)
def test_int8_is_smaller_answers_alike_and_is_written_down(
    task: str, family: str, learned: Learned, tmp_path: Path
) -> None:
    bundle, rows = learned(task, family)
    found = quantise(bundle, tmp_path / "int8", train=rows, valid=rows)
    assert found.rows == 96
    assert found.bytes_before == bundle_bytes(bundle) > (bundle.path / "model.onnx").stat().st_size
    assert found.ms_before > 0
    assert found.ms_after > 0
    smaller = Bundle.open(tmp_path / "int8")
    assert smaller.manifest["precision"] == "int8"
    if found.kept:
        assert found.bytes_after < found.bytes_before
        assert found.p is not None
        assert found.p >= 0.05
        first, second = (losses(one.predict(rows), rows[bundle.task.target.name]) for one in (bundle, smaller))
        assert second.mean() <= first.mean() + 0.01 * max(1.0, float(first.mean()))
    else:
        assert found.why.startswith(("it is not smaller", "the paired test sees a cost", "it loses"))


def test_a_forest_has_nothing_to_quantise(learned: Learned, tmp_path: Path) -> None:
    bundle, rows = learned("tabular-classification", "boosting")
    found = quantise(bundle, tmp_path / "int8", train=rows, valid=rows)
    assert (found.kept, found.why) == (False, "nothing in this model can be quantised: it is a forest of thresholds")
    assert not (tmp_path / "int8").exists()


def test_a_cost_that_the_test_can_see_is_refused(learned: Learned, tmp_path: Path) -> None:
    """A twin that says the wrong label on every row, in a smaller file: the paired test must stop it."""
    bundle, rows = learned("text-classification", "ngram-linear")
    swapped = {**bundle.memory, "labels": bundle.memory["labels"][::-1]}
    model = (bundle.path / "model.onnx").read_bytes()
    worse = write_folder(tmp_path / "worse", dict(bundle.manifest), model, swapped)
    manifest = json.loads((worse.path / "manifest.json").read_text())
    assert manifest["files"]["model.onnx"] == bundle.manifest["files"]["model.onnx"]
    found = compare(bundle, worse, rows)
    assert not found.kept
    assert (found.loss_before, found.loss_after) == (0.0, 1.0)
    assert found.p is not None
    assert found.p < 1e-6


def test_a_refused_row_costs_one_and_a_number_its_distance() -> None:
    assert losses([Refusal("no")], ["a"]).tolist() == [1.0]
    answers = [NumberValue(1.0, 0.0, 2.0), Refusal("no")]
    assert losses(answers, [2.0, 5.0])[0] == 1.0
    assert np.isfinite(losses(answers, [2.0, 5.0])).all()
