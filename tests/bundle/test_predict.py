"""One bad row costs itself; a model that computes nothing is refused."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from lingqu.bundle.files import predict_file
from lingqu.contract import NumberValue, Refusal, Rows
from lingqu.errors import BundleError
from tests.bundle.conftest import Make

NOT_FINITE = (
    "Expected finite numbers from the model for this row, found not-a-number or infinity. "
    "Look for extreme values in it."
)
NEVER_FINITE = "Expected finite numbers from the model, found not-a-number or infinity. Roll back."


def test_a_row_without_a_finite_answer_is_refused_alone(make: Make) -> None:
    answers = make().predict([{"x": 1}, {"x": -1}, {"x": "old"}, {"x": 0}, {"x": math.e}])
    assert answers[0] == NumberValue(0.0, 0.0, 0.0)
    assert isinstance(answers[4], NumberValue)
    assert answers[4].value == pytest.approx(1.0)
    assert answers[1] == answers[3] == Refusal(NOT_FINITE)
    assert answers[2] == Refusal("Expected a number in 'x', found 'old'.")


def test_only_a_model_that_never_answers_is_an_error(make: Make) -> None:
    bundle = make()
    with pytest.raises(BundleError) as caught:
        bundle.predict([{"x": -1}, {"x": 0}, {"x": "old"}])
    assert str(caught.value) == NEVER_FINITE
    assert bundle.predict([{"x": "old"}]) == [Refusal("Expected a number in 'x', found 'old'.")]
    with pytest.raises(BundleError) as caught:
        bundle.outputs(Rows({"x": [1.0, -1.0]}))
    assert str(caught.value) == NEVER_FINITE


def test_a_file_is_judged_as_a_whole(make: Make, tmp_path: Path) -> None:
    """Its last part may be one bad row; only a file without any answer is an error, and then nothing is written."""
    (tmp_path / "in.csv").write_text("x\n" + "1\n" * 1000 + "-1\n")
    answered = predict_file(make(), tmp_path / "in.csv", tmp_path / "out.csv")
    assert (answered.rows, answered.refused) == (1001, 1)
    assert (tmp_path / "out.csv").read_text().endswith(f'-1,,,,"{NOT_FINITE}"\n')
    (tmp_path / "bad.csv").write_text("x\n" + "-1\n" * 1001)
    with pytest.raises(BundleError) as caught:
        predict_file(make(), tmp_path / "bad.csv", tmp_path / "none.csv")
    assert str(caught.value) == NEVER_FINITE
    assert not (tmp_path / "none.csv").exists()
