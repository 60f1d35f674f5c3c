"""Explanations: what was planted is found, what is irrelevant weighs nothing, and colours are no decoration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lingqu.bundle.read import Bundle
from lingqu.contract import NumberValue, Refusal, Rows
from lingqu.errors import RequestError
from lingqu.evaluate.explain import explain
from lingqu.evaluate.explain.deletion import deletion
from lingqu.evaluate.explain.importance import effects, permutation, phrases, telling_words
from lingqu.evaluate.explain.scores import odds
from lingqu.evaluate.explain.summary import explanations
from lingqu.evaluate.judged import judge
from lingqu.evaluate.page import write_page
from lingqu.tasks import find_task
from tests.clock import fewest_seconds
from tests.conftest import Lingqu, as_json
from tests.evaluate.conftest import TASKS
from tests.evaluate.test_page import read
from tests.evaluate.tiny_bundle import noisy

pytestmark = pytest.mark.heavy


def test_log_odds_are_those_of_the_softmax() -> None:
    logits = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert odds(logits, 2) == pytest.approx(np.log(p[:, 2] / (1 - p[:, 2])), abs=1e-5)
    # A probability would have been rounded to 1 long ago.
    assert odds(np.array([[60.0, 0.0]]), 0)[0] == pytest.approx(60.0)


@pytest.mark.heavy
def test_words_that_were_learned_speak_and_numbers_do_not(bundles: dict[str, Bundle]) -> None:
    [one] = explain(bundles["text-classification"], [{"text": "the soup tastes salty with bread 731"}])
    assert one.label == "food"
    weights = {part.what: part.weight for part in one.parts}
    assert weights["soup"] > 0.1
    assert abs(weights["731"]) < weights["soup"] / 5 if "731" in weights else True
    for part in one.parts:
        start, end = (int(place) for place in part.place)
        assert "the soup tastes salty with bread 731"[start:end] == part.what
    [other] = explain(bundles["text-classification"], [{"text": "the soup"}], label="sport")
    assert other.score == pytest.approx(
        -explain(bundles["text-classification"], [{"text": "the soup"}])[0].score, abs=1e-4
    )


def test_chinese_is_taken_apart_by_characters(bundles: dict[str, Bundle]) -> None:
    [one] = explain(bundles["text-classification"], [{"text": "足球队 赢了比赛"}])
    assert one.label == "sport"
    assert {part.what for part in one.parts} == set("足球队赢了比赛")


def test_a_long_text_is_taken_apart_in_runs(bundles: dict[str, Bundle]) -> None:
    text = "the soup tastes salty " * 100
    [one] = explain(bundles["text-classification"], [{"text": text}])
    assert len(one.parts) <= 96
    assert sum(int(part.place[1] - part.place[0]) for part in one.parts) > 0.9 * len(text.replace(" ", ""))


def test_the_line_of_a_picture_weighs_more_than_its_ground(bundles: dict[str, Bundle]) -> None:
    bundle = bundles["image-classification"]
    [one] = explain(bundle, find_task("image-classification").toy(1).select(["image"]))
    assert len(one.parts) == 64
    first, last = one.parts[0], one.parts[-1]
    assert abs(first.weight) > 10 * abs(last.weight)
    assert first.place[2] - first.place[0] == pytest.approx(1 / 8)


def test_columns_give_way_to_those_of_other_rows(bundles: dict[str, Bundle]) -> None:
    bundle = bundles["tabular-classification"]
    background = noisy("tabular-classification", 60, seed=3)
    row = {"income": 60.0, "job": "nurse"}
    for others in (None, background):
        [one] = explain(bundle, [row], background=others)
        assert {part.column: part.weight > 0 for part in one.parts} == {"income": True, "job": True}
    [number] = explain(bundles["tabular-regression"], find_task("tabular-regression").toy(1), background=None)
    assert isinstance(number.answer, NumberValue)
    assert number.label is None
    assert number.score == pytest.approx(number.answer.value)


def test_a_refused_row_is_explained_by_its_refusal(bundles: dict[str, Bundle]) -> None:
    good, bad = explain(bundles["text-classification"], [{"text": "the soup"}, {"text": None}])
    assert good.parts
    assert isinstance(bad.answer, Refusal)
    assert bad.parts == ()


def test_a_label_that_is_not_there_is_named(bundles: dict[str, Bundle]) -> None:
    with pytest.raises(RequestError) as refused:
        explain(bundles["text-classification"], [{"text": "the soup"}], label="foot")
    assert str(refused.value) == "Expected a label of this model, found 'foot'. Did you mean 'food'?"
    with pytest.raises(RequestError) as refused:
        explain(bundles["tabular-regression"], find_task("tabular-regression").toy(1), label="food")
    assert str(refused.value) == "Expected no label, for this model answers with a number, found 'food'."


def test_a_column_that_is_noise_has_no_importance(bundles: dict[str, Bundle]) -> None:
    rows = noisy("tabular-classification", 200, seed=4)
    found = permutation(bundles["tabular-classification"], rows)
    assert {one["column"] for one in found} == {"income", "job"}
    assert found[0]["low"] is not None
    assert found[0]["low"] > 0
    drawn = effects(bundles["tabular-classification"], rows, rows, ["income", "job"])
    assert [one["column"] for one in drawn] == ["income", "job"]
    rise = np.diff(drawn[0]["scores"])
    assert (rise > 0).all()


def test_words_and_phrases_are_told_by_label(bundles: dict[str, Bundle]) -> None:
    bundle, rows = bundles["text-classification"], noisy("text-classification", 40, seed=5)
    told = telling_words(explain(bundle, rows.take(range(12))), ["text"])
    assert {one["label"] for one in told} == {"food", "sport"}
    assert all(word["weight"] > 0 for one in told for word in one["words"])
    alone = {one["label"]: [word["word"] for word in one["words"]] for one in phrases(bundle, rows["text"], "text")}
    assert {"soup", "salty", "bread", "tastes"} & set(" ".join(alone["food"]).split())
    assert not {"soup", "salty"} & set(" ".join(alone["sport"]).split())


@pytest.mark.parametrize("name", TASKS)
def test_the_order_of_an_explanation_beats_chance(name: str, bundles: dict[str, Bundle]) -> None:
    rows = find_task(name).toy(16, 9)
    found = deletion(bundles[name], rows, background=noisy(name, 40, seed=6))
    assert found["rows"] == 16
    assert found["gain"]["value"] > 0
    if name != "tabular-regression":  # Two columns have hardly an order.
        assert found["gain"]["low"] > 0


@pytest.mark.heavy
@pytest.mark.parametrize("name", TASKS)
def test_a_report_explains_itself_in_both_languages(
    name: str, bundles: dict[str, Bundle], reports: dict[str, dict[str, Any]]
) -> None:
    rows = noisy(name, 120, seed=2)
    bundle = bundles[name]
    judged = judge(rows[bundle.task.target.name], bundle.predict(rows), bundle.memory.get("labels", ()))
    told = explanations(bundle, rows, judged, background=noisy(name, 60, seed=1))
    report = {**reports[name], "explanations": json.loads(json.dumps(told))}
    assert {one["right"] for one in told["examples"]} == {True, False}
    page = write_page(report)
    text = read(page).text
    assert "Why these answers" in text
    assert "None" not in text
    assert "为何如此回答" in read(write_page(report, "zh")).text
    assert len(page.encode()) < 2_000_000
    assert fewest_seconds(lambda: explain(bundle, rows.take([0])), enough=1.0) < 1.0


@pytest.mark.heavy
def test_the_command_line_explains(finished: Path, lingqu: Lingqu) -> None:
    (finished / "new.csv").write_text("text\nthe soup tastes salty <b>\n\n")
    told = lingqu("explain", "kinds", "new.csv")
    assert told.returncode == 0, told.stderr
    assert "Row 1: food" in told.stdout
    assert "soup" in told.stdout
    found = as_json(lingqu("explain", "kinds@1", "new.csv", "--json", "--label", "sport"))
    assert found["rows"][0]["label"] == "sport"
    assert lingqu("explain", "kinds", "new.csv", "-o", "why.html", "--language", "en").returncode == 0
    text = read((finished / "why.html").read_text()).text
    assert "the soup tastes salty <b>" in text
    assert lingqu("explain", "kinds", "new.csv", "-o", "why.jsonl").returncode == 0
    assert json.loads((finished / "why.jsonl").read_text().splitlines()[0])["answer"]["prediction"] == "food"
    # A row that could not be read keeps its place, and costs no other row its number.
    (finished / "bad.csv").write_text("number,text\n1,\n2\n3,the soup\n")
    done = lingqu("explain", "kinds", "bad.csv", "--json")
    rows = json.loads(done.stdout)["rows"]
    assert [(one["row"], one["answer"].get("error", "")) for one in rows[1:]] == [
        (1, "1 cell where the header names 2"),
        (2, ""),
    ]
    assert (done.returncode, "error" in rows[0]["answer"]) == (1, True)
    assert lingqu("explain", "kinds", "bad.csv", "-o", "why.html").returncode == 1
    assert "1 cell where the header names 2" in read((finished / "why.html").read_text()).text
    (finished / "none.csv").write_text("number,text\n2\n")
    assert lingqu("explain", "kinds", "none.csv", "-o", "why.html").returncode == 1


def test_rows_are_mappings_or_rows(bundles: dict[str, Bundle]) -> None:
    row = {"text": "the runner scored"}
    bundle = bundles["text-classification"]
    assert explain(bundle, [row]) == explain(bundle.path, Rows.from_dicts([row]))
