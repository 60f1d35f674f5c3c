"""The cascade is made only where it is faster and a test on rows that chose nothing sees no cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lingqu.bundle.cascade import calibrated
from lingqu.bundle.read import Bundle
from lingqu.compress.cascade import cascade
from lingqu.errors import SpecError
from lingqu.loop import check
from lingqu.tasks import find_task
from tests.bundle.two_members import member, members, rows
from tests.compress.conftest import Learned
from tests.conformance import suite
from tests.conftest import write_csv


@pytest.mark.heavy
def test_most_rows_stay_with_the_cheap_member_and_no_answer_gets_worse(tmp_path: Path) -> None:
    cheap, dear = members(tmp_path, work=500)
    valid = rows(400)
    found = cascade(dear, tmp_path / "both", cheap=cheap, valid=valid)
    assert found.kept, found.why
    assert found.rows == 200
    assert found.escalated is not None
    assert 0.1 < found.escalated < 0.9
    assert found.ms_after < found.ms_before
    both = Bundle.open(tmp_path / "both")
    assert both.cascade is not None
    fresh = rows(400, seed=1)
    wrong = sum(a.label != b for a, b in zip(both.predict(fresh), fresh["label"], strict=True))
    assert wrong <= 8
    share = f"{found.escalated:.0%} of the rows go on to dear, the rest stay with cheap"
    assert found.why.endswith(f"no cost that the test can see (p = {found.p:.3g}); {share}")


def test_a_cheap_member_that_is_sure_and_wrong_answers_nothing(tmp_path: Path) -> None:
    cheap = member(tmp_path / "wrong", border=0.3, steep=-9.0)
    _, dear = members(tmp_path)
    found = cascade(dear, tmp_path / "both", cheap=cheap, valid=rows(400))
    assert not found.kept
    assert found.why == "the cheap model is not sure enough of any answer"
    assert not (tmp_path / "both").exists()


def test_nothing_is_gained_where_the_dear_member_is_as_cheap(tmp_path: Path) -> None:
    cheap, _ = members(tmp_path)
    dear = member(tmp_path / "same", border=0.3, steep=50.0)
    found = cascade(dear, tmp_path / "both", cheap=cheap, valid=rows(400))
    assert (found.kept, found.why.split(";")[0]) == (False, "it is not faster")


def test_numbers_have_no_confidence(learned: Learned, tmp_path: Path) -> None:
    bundle, given = learned("tabular-regression", "linear")
    found = cascade(bundle, tmp_path / "both", cheap=bundle, valid=given)
    assert found.why == "a cascade needs labels with scores, which say how sure a model is"


def test_other_labels_are_another_question(learned: Learned, tmp_path: Path) -> None:
    cheap, dear = members(tmp_path)
    other = Bundle(
        cheap.path,
        cheap.manifest,
        {**cheap.memory, "labels": ["yes", "no"]},
        cheap.task,
        (cheap.path / "model.onnx").read_bytes(),
    )
    found = cascade(dear, tmp_path / "both", cheap=other, valid=rows(40))
    assert found.why == "the two models do not answer with the same labels"


@pytest.mark.heavy
def test_sets_of_labels_go_on_where_one_decision_is_unsure(learned: Learned, tmp_path: Path) -> None:
    """The cheap member has seen few rows, and is unsure where the dear one knows."""
    task = find_task("multi-label-text-classification")
    cheap = suite.learn(task, "ngram-linear", task.toy(16), tmp_path / "few")
    dear, _ = learned("multi-label-text-classification", "textcnn")
    valid = task.toy(300, seed=7)
    found = cascade(dear, tmp_path / "both", cheap=cheap, valid=valid)
    assert found.why != "the cheap model is not sure enough of any answer"
    assert found.escalated is not None
    both = Bundle.open(tmp_path / "both")
    assert both.cascade is not None
    fresh = task.toy(200, seed=8)
    logits = calibrated(cheap, fresh)
    unsure = both.cascade.unsure(logits)
    assert unsure.mean() == pytest.approx(found.escalated, abs=0.15)
    np.testing.assert_array_equal(
        both.outputs(fresh)["logits"], np.where(unsure[:, None], calibrated(dear, fresh), logits)
    )
    wrong = [
        sum(a.cells()["prediction"] != b for a, b in zip(one.predict(fresh), fresh["labels"], strict=True))
        for one in (both, dear)
    ]
    assert wrong[0] <= wrong[1] + 4


def test_a_cascade_of_numbers_is_refused_before_any_work(tmp_path: Path) -> None:
    write_csv(tmp_path / "rows.csv", find_task("tabular-regression").toy(60))
    spec = "name: a\ntask: tabular-regression\ndata: {source: rows.csv}\ncompress: {cascade: true}\n"
    (tmp_path / "lingqu.yaml").write_text(spec)
    with pytest.raises(SpecError) as caught:
        check(tmp_path / "lingqu.yaml")
    assert str(caught.value) == (
        "Expected compress.cascade for a task that answers with labels, found tabular-regression, whose answers are as "
        "sure for every row. Leave it out."
    )
