"""Answers that are sets of labels: each label is a question of its own, and is explained by itself."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from lingqu.bundle.read import Bundle
from lingqu.bundle.trust import MANIFEST
from lingqu.contract import LabelSet, Rows
from lingqu.evaluate.explain import explain, explain_labels
from lingqu.evaluate.explain.deletion import deletion
from lingqu.evaluate.explain.scores import score
from lingqu.evaluate.explain.summary import explanations
from lingqu.evaluate.judged import judge
from lingqu.evaluate.page import write_page
from lingqu.evaluate.report import evaluate
from lingqu.tasks import find_task
from tests.conformance import suite
from tests.conftest import Lingqu, as_json
from tests.evaluate.test_page import read

pytestmark = pytest.mark.heavy

TASK = find_task("multi-label-text-classification")
BOTH = "the parcel came late, far too expensive"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return suite.learn(TASK, "ngram-linear", TASK.toy(120), tmp_path_factory.mktemp("tags"))


def test_a_labels_score_is_its_own_log_odds(bundle: Bundle) -> None:
    rows = TASK.toy(12).select(["text"])
    answers = bundle.predict(rows)
    for label in bundle.memory["labels"]:
        found = score(bundle, rows, label)
        said = [answer.scores[label] for answer in answers if isinstance(answer, LabelSet)]
        np.testing.assert_allclose(found.read, said, atol=1e-6)
        np.testing.assert_allclose(found.values, np.log(found.read / (1 - found.read)), atol=1e-6)


def test_each_label_rests_on_its_own_words(bundle: Bundle) -> None:
    told = explain_labels(bundle, [{"text": "thank you 谢谢"}, {"text": BOTH}])
    assert [(place, one.label) for place, one in told][1:] != []
    assert [place for place, _ in told] == [0, 1, 1]
    by_label = {one.label: {part.what: part.weight for part in one.parts} for place, one in told if place == 1}
    assert set(by_label) == {"delivery", "价格"}
    assert max(by_label["delivery"], key=lambda word: by_label["delivery"][word]) in {"parcel", "came", "late"}
    assert max(by_label["价格"], key=lambda word: by_label["价格"][word]) in {"far", "too", "expensive"}
    # What speaks for one label says nothing, or the contrary, about the other.
    assert by_label["价格"]["parcel"] < by_label["delivery"]["parcel"] / 3


def test_a_label_that_was_not_said_can_be_asked_about(bundle: Bundle) -> None:
    [one] = explain(bundle, [{"text": BOTH}], label="质量")
    assert one.label == "质量"
    assert one.read < 0.5
    [likeliest] = explain(bundle, [{"text": BOTH}])
    assert isinstance(likeliest.answer, LabelSet)
    assert likeliest.read == pytest.approx(max(likeliest.answer.scores.values()), abs=1e-5)


def test_the_colours_are_faithful_and_on_the_page(bundle: Bundle) -> None:
    rows = TASK.toy(60, seed=3)
    # Some labels are wrong, so that there is something to show among the mistakes.
    cells = ["质量" if i % 9 == 0 else cell for i, cell in enumerate(rows["labels"])]
    rows = rows.with_columns({"labels": cells})
    assert deletion(bundle, rows.select(["text"]).take(range(24)))["gain"]["low"] > 0.5
    judged = judge(cells, bundle.predict(rows.select(["text"])), bundle.memory["labels"])
    told = explanations(bundle, rows, judged, background=rows)
    assert {one["label"] for one in told["words"]} == {"delivery", "价格", "质量"}
    assert {one["right"] for one in told["examples"]} == {True, False}
    phrases = [word["word"] for one in told["phrases"] for word in one["words"]]
    assert {"parcel came", "too expensive", "很差"} <= set(phrases)
    assert [phrase for phrase in phrases if "," in phrase] == []
    assert all(one["truth"] == cells[one["row"]] for one in told["examples"])
    report = evaluate(bundle, rows, background=rows, bootstrap=50)
    json.dumps(report)
    text = read(write_page(report)).text
    assert "Why these answers" in text
    assert "Close to the truth" not in text


def test_the_command_line_explains_every_label(bundle: Bundle, tmp_path: Path, lingqu: Lingqu) -> None:
    (tmp_path / "in.csv").write_text(f'text\n"{BOTH}"\n谢谢\n', encoding="utf-8")
    done = lingqu("explain", str(bundle.path), "in.csv", "--json")
    rows = json.loads(done.stdout)["rows"]
    assert [one["row"] for one in rows] == [0, 0, 1]
    assert lingqu("explain", str(bundle.path), "in.csv", "-o", "why.html").returncode == 0
    page = (tmp_path / "why.html").read_text(encoding="utf-8")
    assert "what speaks for delivery" in page
    assert "what speaks for 价格" in page
    assert page.count("row 1<") == 2
    assert page.count("row 2<") == 1


def test_gradients_of_a_set(tmp_path: Path) -> None:
    from lingqu.evaluate.explain.gradients import integrated_gradients
    from lingqu.store import Store
    from lingqu.train.rung import restore

    bundle = suite.learn(TASK, "textcnn", TASK.toy(96), tmp_path)
    network, memory = restore(json.loads((tmp_path / suite.RUNG).read_text()), Store.open(tmp_path / "store"))
    row = Rows({"text": [BOTH]})
    for label in ("delivery", "价格"):
        found = integrated_gradients(network, memory, bundle, row, label)
        assert found.score == pytest.approx(found.bundle_score, abs=1e-3)
        assert found.gap < 0.05 * max(1.0, abs(found.score - found.baseline))


def test_columns_are_called_as_the_user_calls_them(bundle: Bundle, tmp_path: Path, lingqu: Lingqu) -> None:
    shutil.copytree(bundle.path, tmp_path / "own")
    whole = json.loads((bundle.path / MANIFEST).read_text())
    whole["columns"][0]["source"] = "消息"
    (tmp_path / "own" / MANIFEST).chmod(0o600)
    (tmp_path / "own" / MANIFEST).write_text(json.dumps(whole))
    (tmp_path / "in.csv").write_text(f'消息\n"{BOTH}"\n', encoding="utf-8")
    parts = [part for one in as_json(lingqu("explain", "own", "in.csv", "--json"))["rows"] for part in one["parts"]]
    assert {part["column"] for part in parts} == {"消息"}
    shown = lingqu("explain", "own", "in.csv", "--language", "zh").stdout
    assert shown.count("消息") > 3
    # On the terminal all is Chinese, but what to type and what the row and its labels say.
    names = " ".join([BOTH, *bundle.memory["labels"], "why.html"])
    assert [word for word in re.findall(r"[A-Za-z]{3,}", shown) if word not in names] == []
    # The page colours the words of a text, so it has to find the parts of its column.
    assert lingqu("explain", "own", "in.csv", "-o", "why.html").returncode == 0
    assert "<mark" in (tmp_path / "why.html").read_text(encoding="utf-8")
