"""The report of real bundles: every number has an interval or says why not, and it is plain JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lingqu.contract import LabelScores, NumberValue, Refusal, Rows
from lingqu.errors import DataError
from lingqu.evaluate.judged import Judged, judge
from lingqu.evaluate.languages import languages
from lingqu.evaluate.measures import measure
from lingqu.evaluate.report import evaluate
from lingqu.evaluate.slices import measure_slices, quarters, slice_columns
from lingqu.tasks import find_task
from tests.evaluate.tiny_bundle import make_bundle, noisy

Reports = dict[str, dict[str, Any]]


def numbers_with_intervals(value: Any) -> list[dict[str, Any]]:
    """Every {value, low, high} anywhere in the report."""
    if isinstance(value, dict):
        own = [value] if {"value", "low", "high"} <= set(value) else []
        return own + [one for part in value.values() for one in numbers_with_intervals(part)]
    return [one for part in value for one in numbers_with_intervals(part)] if isinstance(value, list) else []


def test_every_number_has_an_interval_or_says_why_not(reports: Reports) -> None:
    for report in reports.values():
        found = numbers_with_intervals(report)
        assert len(found) > 5
        for one in found:
            assert one.get("why") or one["low"] <= one["value"] <= one["high"], one


def test_reports_are_plain_json_and_say_the_same_twice(reports: Reports, tmp_path: Path) -> None:
    for report in reports.values():
        assert json.loads(json.dumps(report, allow_nan=False)) == report
    bundle, rows = make_bundle("tabular-regression", tmp_path / "bundle"), noisy("tabular-regression", 60, seed=3)
    first, second = (evaluate(bundle, rows, bootstrap=50) for _ in range(2))
    for clocked in ("latency", "size"):
        assert first.pop(clocked)
        assert second.pop(clocked)
    assert first == second


def test_numbers_come_from_the_bundle_on_the_given_rows(tmp_path: Path) -> None:
    bundle, rows = make_bundle("tabular-classification", tmp_path / "bundle"), noisy("tabular-classification", 80, 4)
    report = evaluate(bundle, rows, bootstrap=50)
    said = [answer.label for answer in bundle.predict(rows) if isinstance(answer, LabelScores)]
    right = sum(one == true for one, true in zip(said, rows["label"], strict=True))
    assert report["metrics"]["accuracy"]["value"] == right / 80
    matrix = np.array(report["confusion"]["matrix"])
    assert (matrix.sum(), np.trace(matrix)) == (80, right)
    assert sum(one["rows"] for one in report["by_label"]) == 80
    assert sum(one["rows"] for one in report["calibration"]) == 80
    assert report["size"]["bytes"] == sum(file.stat().st_size for file in bundle.path.iterdir())
    assert 0 < report["latency"]["p50_ms"] <= report["latency"]["p95_ms"]


def test_baselines_stand_beside_the_model(reports: Reports) -> None:
    majority = reports["text-classification"]["baselines"]["majority"]
    assert majority["metrics"]["accuracy"]["value"] == pytest.approx(0.5, abs=0.05)
    assert majority["better_by"]["low"] > 0.3
    mean = reports["tabular-regression"]["baselines"]["mean"]
    # A smaller error is better, and the lead is still above zero.
    assert mean["better_by"]["low"] > 0


def test_mistakes_are_the_surest_wrong_answers_with_their_inputs(reports: Reports) -> None:
    for name in ("text-classification", "image-classification", "tabular-classification"):
        mistakes = reports[name]["mistakes"]
        assert all(one["truth"] != one["prediction"] for one in mistakes)
        assert [one["confidence"] for one in mistakes] == sorted((o["confidence"] for o in mistakes), reverse=True)
        pairs = [(one["truth"], one["prediction"]) for one in mistakes]
        assert max(pairs.count(pair) for pair in pairs) <= 3
    image = reports["image-classification"]["mistakes"][0]["input"][0]
    assert image["kind"] == "image"
    assert image["value"].startswith("data:image/png;base64,")
    errors = [abs(one["truth"] - one["prediction"]) for one in reports["tabular-regression"]["mistakes"]]
    assert errors == sorted(errors, reverse=True)


def test_ranges_of_numbers_are_held_against_the_truth(reports: Reports) -> None:
    coverage = reports["tabular-regression"]["coverage"]
    assert coverage["promised"] == 0.9
    assert coverage["low"] <= coverage["value"] <= coverage["high"]
    assert len(reports["tabular-regression"]["errors"]["points"]) == 240


def test_slices_follow_from_the_columns(reports: Reports) -> None:
    columns = {one["column"] for one in reports["text-classification"]["slices"]}
    assert columns == {"text length", "source"}
    rows = Rows(
        {
            "age": [*range(40), None],
            "ship": [i % 2 == 0 for i in range(41)],
            "name": [f"person {i} {'x' * 70}" for i in range(41)],
            "same": ["a"] * 41,
            "label": ["x"] * 41,
        }
    )
    task = find_task("tabular-classification")
    slices = slice_columns(task, rows)
    assert set(slices) == {"age", "ship", "name", "label"}
    assert slices["age"][:1] + slices["age"][-2:] == ["up to 9", "above 29", "missing"]
    assert len(slices["name"][0] or "") == 60
    assert "name" not in slice_columns(task, Rows({"name": [str(i) for i in range(51)], "label": ["x"] * 51}))
    assert slice_columns(task, Rows({"a": [None, None], "label": ["x", "y"]})).keys() == {"label"}


def test_a_slice_that_is_worse_is_marked_and_clean_slices_are_not() -> None:
    rng = np.random.default_rng(0)
    truth = [str(value) for value in rng.integers(0, 2, 1000)]
    part = ["night" if value else "day" for value in rng.random(1000) < 0.2]
    wrong = [rng.random() < (0.4 if where == "night" else 0.1) for where in part]
    answers = [
        LabelScores.of({t: 0.2, str(1 - int(t)): 0.8} if w else {t: 0.8}) for t, w in zip(truth, wrong, strict=True)
    ]
    noise = [str(value) for value in rng.integers(0, 10, 1000)]
    found = measure_slices(judge(truth, answers), {"time": part, "noise": noise}, "f1")
    assert {one["slice"] for one in found if one["worse"]} == {"night"}
    assert [one["slice"] for one in found if one["column"] == "noise"] == [str(i) for i in range(10)]


def test_quarters_of_few_values() -> None:
    assert quarters([1, 1, 1]) == ["1", "1", "1"]
    assert quarters([None, None]) == ["missing", "missing"]
    assert quarters([0, 0, 0, 5]) == ["up to 0", "up to 0", "up to 0", "above 0"]


def test_a_perfect_model_is_not_certain() -> None:
    judged = judge(["a", "b"] * 25, [LabelScores.of({"a": 1.0, "b": 0.0}), LabelScores.of({"a": 0.0, "b": 1.0})] * 25)
    found = measure(judged, ["accuracy", "f1"])
    assert found["accuracy"]["low"] == pytest.approx(0.929, abs=0.001)
    assert found["f1"] == {
        "value": 1.0,
        "low": None,
        "high": None,
        "method": "none",
        "why": "all 50 right: too few to tell more",
    }


def test_a_calibration_error_has_no_interval() -> None:
    # Honest confidences: the true error is 0, and no resample of 60 rows would come near it.
    draw = np.random.default_rng(0)
    sure = draw.uniform(0, 1, 60)
    honest = Judged("labels", ("a", "b"), (draw.random(60) < sure).astype(int), np.stack([1 - sure, sure], 1))
    found = measure(honest, ["ece", "log_loss"])
    assert found["ece"]["value"] > 0.1
    assert (found["ece"]["low"], found["ece"]["high"]) == (None, None)
    assert found["ece"]["why"] == "resampling makes such errors larger"
    assert found["log_loss"]["low"] < found["log_loss"]["value"] < found["log_loss"]["high"]


def test_undefined_metrics_say_why() -> None:
    judged = judge(["a"] * 30, [LabelScores.of({"a": 0.7, "b": 0.3})] * 30)
    assert measure(judged, ["roc_auc"])["roc_auc"]["why"] == "it needs rows of at least two labels"
    judged = judge(["a"] * 30 + ["b"], [LabelScores.of({"a": 0.7, "b": 0.3})] * 31)
    why = measure(judged, ["roc_auc"])["roc_auc"]["why"]
    assert why.endswith("% of resamples leave it undefined: too few rows of some kind")


def test_a_refused_row_counts_as_wrong() -> None:
    labels = judge(["a", "b", "a"], [LabelScores.of({"a": 0.9, "b": 0.1}), Refusal("no"), Refusal("no")])
    assert (labels.right.tolist(), labels.refused) == ([True, False, False], 2)
    numbers = judge([1.0, 5.0], [NumberValue(1.0, 0.0, 2.0), Refusal("no")])
    assert numbers.prediction.tolist() == [1.0, 1.0]


def test_labels_that_the_model_does_not_know_are_wrong_and_not_a_crash() -> None:
    judged = judge(["a", "new"], [LabelScores.of({"a": 0.9, "b": 0.1})] * 2)
    assert judged.labels == ("a", "b", "new")
    assert np.isfinite([one["value"] for one in measure(judged, ["f1", "log_loss", "ece"], repeats=9).values()]).all()


def test_groups_widen_intervals() -> None:
    rng = np.random.default_rng(0)
    right, groups = np.repeat(rng.random(60) < 0.7, 5), np.repeat(np.arange(60), 5)
    answers = [LabelScores.of({"a": 0.8, "b": 0.2} if ok else {"a": 0.2, "b": 0.8}) for ok in right]
    judged = judge(["a"] * 300, answers)
    alone, grouped = (measure(judged, ["accuracy"], groups=g)["accuracy"] for g in (None, groups))
    assert grouped["high"] - grouped["low"] > 1.7 * (alone["high"] - alone["low"])
    assert (alone["method"], grouped["method"]) == ("exact", "bootstrap")


def test_languages_of_other_scripts_stay_unsaid() -> None:
    assert languages(["こんにちは、元気ですか。今日は天気がいい。"] * 3) == []
    assert languages(["El servicio fue muy lento y la comida estaba fría."] * 3) == []
    assert languages([]) == []


def test_error_texts(tmp_path: Path) -> None:
    bundle = make_bundle("tabular-regression", tmp_path / "bundle", steps=1)
    with pytest.raises(DataError) as empty:
        evaluate(bundle, Rows({"rooms": [], "town": [], "target": []}))
    assert str(empty.value) == (
        "Expected test rows with a column 'target', found no rows. Check data.split and data.columns."
    )
    with pytest.raises(DataError) as missing:
        evaluate(bundle, Rows({"rooms": [1.0]}))
    assert "found columns rooms." in str(missing.value)
    with pytest.raises(DataError) as lengths:
        judge(["a"], [])
    assert str(lengths.value) == "Expected an answer for each row, found 0 answers and 1 rows."
    with pytest.raises(DataError) as mixed:
        judge(["a", 1.0], [LabelScores("a", 1.0), NumberValue(1.0, 1.0, 1.0)])
    assert str(mixed.value) == (
        "Expected answers that are all labels or all numbers, found LabelScores, NumberValue. "
        "Such a task brings its own report."
    )
