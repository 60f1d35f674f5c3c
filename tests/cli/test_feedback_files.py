"""Files of labels out of lingqu and back, for every task; and no word of a command line is dropped."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lingqu.contract import Answer
from lingqu.contract.answers import LabelScores, LabelSet, NumberValue
from lingqu.data.pictures import encode_png
from lingqu.feedback.voice import settle, voices
from lingqu.registry import Registry
from lingqu.serve.inbox import Inbox
from lingqu.serve.journal import Entry, Journal, new_id
from lingqu.serve.keys import ANYONE
from lingqu.spec.running import JournalSettings, ServeSettings
from lingqu.store import Store, write_bytes
from lingqu.store.canonical import canonical_json
from lingqu.tasks import find_task, task_names
from tests.conftest import Lingqu

SAID: dict[str, tuple[Answer, str, Any]] = {
    "label": (LabelScores.of({"food": 0.9, "sport": 0.1}), "sport", "sport"),
    "labels": (LabelSet.of({"food": 0.9, "sport": 0.1}, 0.5), "[]", ""),
    "number": (NumberValue(3.0, 2.0, 4.0), "2.5", 2.5),
}


def answered(
    folder: Path,
    task: str,
    row: Mapping[str, Any],
    count: int = 1,
    target: str = "answer",
    said: Answer | None = None,
) -> list[str]:
    """A store whose model of this task has answered such rows; its rows call the right answer by the name of `target`."""
    store = Store.open(folder / ".lingqu")
    made = find_task(task)
    (folder / "bundle").mkdir(parents=True)
    kinds = {column.name: column.kind for column in made.columns}
    names = [[name, kinds.get(name, "number")] for name in row]
    data = {"kinds": [*names, [made.target.name, ""]], "labels": {"food": 1, "sport": 1}}
    # Its name was found in the rows: the spec does not tell it.
    report = store.put_json({"data": {**data, "columns": {made.target.name: target}}})
    about = {"run": "r", "metrics": {}, "decision": {}, "lineage": {"report": report}}
    bundle = store.put_folder(folder / "bundle")
    Registry(store).register("m", bundle=bundle, data_version="d", task=task, spec={}, **about)
    ids = [new_id() for _ in range(count)]
    with Journal(store, JournalSettings(inputs="plain")) as journal:
        for id in ids:
            answer = said or SAID[made.target.kind][0]
            journal.record(Entry(id, "r", time.time(), "m", 1, "champion", ANYONE, None, dict(row), answer, 1.0))
    return ids


def told(folder: Path) -> dict[str, tuple[Any, str, str]]:
    given = voices(Store.open(folder / ".lingqu"), "m")
    return {voice.prediction_id: (voice.value, voice.source, voice.reason) for voice in given}


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [*csv.DictReader(file)]


def filled(path: Path, label: str) -> list[dict[str, str]]:
    rows = [{**row, "label": label} for row in read(path)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0]])
        writer.writeheader()
        writer.writerows(rows)
    return rows


@pytest.mark.heavy
@pytest.mark.parametrize("task", task_names())
def test_the_file_of_the_queue_and_the_export_come_back(task: str, tmp_path: Path, lingqu: Lingqu) -> None:
    made = find_task(task)
    toy = made.toy(8).select(name for name in made.toy(8).names if name != made.target.name)
    (id,) = answered(tmp_path, task, next(iter(toy)))
    _, label, value = SAID[made.target.kind]
    assert lingqu("feedback", "queue", "-o", "q.csv").returncode == 0
    filled(tmp_path / "q.csv", label)
    done = lingqu("feedback", "add", "q.csv", "--who", "anna")
    assert done.stdout.startswith("1 labels of m taken, 0 were there before."), done.stderr
    assert told(tmp_path) == {id: (value, "file", "brought by anna")}
    assert lingqu("feedback", "export", "-o", "e.csv").returncode == 0
    done = lingqu("feedback", "add", "e.csv", "--who", "ben")
    assert done.stdout.startswith("0 labels of m taken, 1 were there before."), done.stderr
    assert told(tmp_path) == {id: (value, "file", "brought by anna")}


@pytest.mark.heavy
def test_an_export_that_comes_back_changes_no_standing_and_elsewhere_only_the_accepted_is_taken(
    tmp_path: Path, lingqu: Lingqu
) -> None:
    text = "=1+1 渠"
    ids = answered(tmp_path, "text-classification", {"text": text}, count=3)
    inbox = Inbox(Store.open(tmp_path / ".lingqu"), ServeSettings())
    poison, _ = [inbox.receive({"prediction_id": id, "label": "food"}, ANYONE).feedback_id for id in ids[:2]]
    assert lingqu("feedback", "reject", poison).returncode == 0
    assert lingqu("feedback", "add", ids[2], "--label", "sport").returncode == 0
    before = voices(inbox.store, "m")
    other = tmp_path / "other"
    answered(other, "text-classification", {"text": text}, count=0)
    for name, taken in (("e.csv", 1), ("e.jsonl", 0)):
        assert lingqu("feedback", "export", "-o", name).returncode == 0
        done = lingqu("feedback", "add", name, "--who", "ben")
        assert done.stdout.startswith("0 labels of m taken, 3 were there before.\n"), done.stderr
        assert voices(inbox.store, "m") == before
        # Where nobody knows these ids; and the row is the same one however the file spells it.
        done = lingqu("feedback", "add", f"../{name}", cwd=other)
        said = (
            f"{taken} labels of m taken, {1 - taken} were there before. 2 are not accepted where they were exported.\n"
        )
        assert done.stdout.startswith(said), done.stderr
    (one,) = voices(Store.open(other / ".lingqu"), "m")
    assert (one.input, one.value) == ({"text": text}, "sport")
    mine = next(voice.id for voice in before if voice.value == "sport")
    # A row of one's own below those that were exported.
    (tmp_path / "e.csv").write_text(f"text,label,id,status\n{text},sport,{mine},accepted\nsoup,food,,\n")
    assert lingqu("feedback", "add", "e.csv").stdout.startswith("1 labels of m taken, 1 were there before.\n")
    assert {"text": "soup"} in [voice.input for voice in voices(inbox.store, "m")]
    (tmp_path / "e.csv").write_text(f"text,label,id,status\n{text},food,{mine},accepted\n")
    assert lingqu("feedback", "add", "e.csv").stderr.strip().endswith(
        "row 1: Expected 'sport', as this feedback says here, found 'food'. To say otherwise: "
        f"lingqu feedback reject {mine}, and bring the row without 'id' and 'status'."
    )  # fmt: skip


def test_a_rating_and_a_reward_are_exported_as_no_right_answer(tmp_path: Path, lingqu: Lingqu) -> None:
    ids = answered(tmp_path, "tabular-regression", {"x": 1.0}, count=3)
    inbox = Inbox(Store.open(tmp_path / ".lingqu"), ServeSettings())
    said = ({"label": 2.5}, {"rating": 5}, {"reward": 0.5})
    given = [inbox.receive({"prediction_id": id, **one}, ANYONE) for id, one in zip(ids, said, strict=True)]
    settle(inbox.store, "m", {one.feedback_id: ("accepted", "") for one in given}, who="anna")
    done = lingqu("feedback", "export", "-o", "e.csv")
    assert done.stdout == "1 rows are in e.csv. Ratings and rewards say no right answer: 2 left out.\n", done.stderr
    assert [one["label"] for one in read(tmp_path / "e.csv")] == ["2.5"]
    answered(tmp_path / "other", "tabular-regression", {"x": 1.0}, count=0)
    done = lingqu("feedback", "add", "../e.csv", cwd=tmp_path / "other")
    assert done.stdout.startswith("1 labels of m taken, 0 were there before.\n"), done.stderr


def test_pictures_of_ones_own_are_read_beside_the_file_and_refused_where_there_are_none(
    tmp_path: Path, lingqu: Lingqu
) -> None:
    picture = encode_png(np.zeros((4, 4), "uint8"))
    answered(tmp_path, "image-classification", {"image": picture}, count=0)
    write_bytes(tmp_path / "mine" / "pictures" / "a.png", picture)
    own = tmp_path / "mine" / "own.csv"
    own.write_text("image,answer\npictures/a.png,food\npictures/b.png,food\n,sport\nown.csv,sport\n")
    done = lingqu("feedback", "add", "mine/own.csv")
    advice = "Leave the row out, or say where it is."
    assert done.stderr == (
        "3 problems:\n"
        f"1. row 2: Expected a picture in 'image', found no file 'pictures/b.png' in the folder mine. {advice}\n"
        f"2. row 3: Expected a picture in 'image', found none. {advice}\n"
        f"3. row 4: Expected a picture in 'image', found no JPEG, PNG, WebP or BMP picture. {advice}\n"
    )
    assert told(tmp_path) == {}
    own.write_text("image,answer\npictures/a.png,food\n")
    assert lingqu("feedback", "add", "mine/own.csv").stdout.startswith("1 labels of m taken, 0 were there before.")
    assert [voice.input for voice in voices(Store.open(tmp_path / ".lingqu"), "m")] == [{"image": picture}]


def test_a_word_that_is_no_label_ends_no_review(
    tmp_path: Path, lingqu: Lingqu, monkeypatch: pytest.MonkeyPatch
) -> None:
    (id,) = answered(tmp_path, "tabular-regression", {"x": 1.0})
    for word, reviewed in (("n/a", 0), ("2.5", 1)):
        monkeypatch.setattr("sys.stdin", io.StringIO(f"{word}\n"))
        done = lingqu("feedback", "review")
        assert ("Expected a number in 'label', found 'n/a'." in done.stdout) is (reviewed == 0)
        assert done.stdout.endswith(f"{reviewed} rows reviewed.\n")
    assert told(tmp_path)[id][0] == 2.5


def test_enter_says_that_no_label_is_right_and_the_end_of_the_input_ends_the_review(
    tmp_path: Path, lingqu: Lingqu, monkeypatch: pytest.MonkeyPatch
) -> None:
    none = LabelSet.of({"food": 0.1, "sport": 0.2}, 0.5)
    (id,) = answered(tmp_path, "multi-label-text-classification", {"text": "渠"}, said=none)
    assert f"{id}  渠   []" in lingqu("feedback", "queue").stdout
    for typed, end in (("", "\n0 rows reviewed.\n"), ("\n", "1 rows reviewed.\n")):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        done = lingqu("feedback", "review")
        assert (done.returncode, "answered [] (" in done.stdout) == (0, True), done.stderr
        assert done.stdout.endswith(end), done.stdout
    assert told(tmp_path)[id][0] == ""
    assert " label  []     []          file " in lingqu("feedback").stdout


def test_a_label_that_the_model_does_not_have_is_taken_from_nobody_unseen(
    tmp_path: Path, lingqu: Lingqu, monkeypatch: pytest.MonkeyPatch
) -> None:
    (id,) = answered(tmp_path, "multi-label-text-classification", {"text": "渠"})
    note = "'xyz' yet. It has: food, sport.\n"
    for typed, reviewed in (("xyz\n\n", 0), ("food;xyz\n\nq\n", 0), ("sprot;xyz\ny\n", 1)):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        done = lingqu("feedback", "review")
        assert (note in done.stdout, done.stdout.endswith(f"{reviewed} rows reviewed.\n")) == (True, True), done.stdout
    assert told(tmp_path)[id][0] == "sprot|xyz"
    inbox = Inbox(Store.open(tmp_path / ".lingqu"), ServeSettings())
    vote = inbox.receive({"prediction_id": id, "label": ["xyz", "food"]}, ANYONE).feedback_id
    note = "Note: m has no label 'xyz' yet. A slip? Type: lingqu feedback reject ID\n"
    for action, said in (
        ("reject", "1 of 1 are rejected now.\n"),
        ("reject", "1 of 1 are rejected now, 1 of them as before.\n"),
        ("accept", f"1 of 1 are accepted now.\n{note}"),
    ):
        assert lingqu("feedback", action, vote[:20], vote).stdout == said


def test_names_in_sets_that_no_row_has_had_are_told(tmp_path: Path, lingqu: Lingqu) -> None:
    answered(tmp_path, "multi-label-text-classification", {"text": "渠"})
    sets = ["food|sprot", '["food", "渠"]', "['sport', 'food']", "sport; food", "[]"]
    (tmp_path / "own.jsonl").write_text("".join(f"{json.dumps({'text': cell, 'answer': cell})}\n" for cell in sets))
    done = lingqu("--json", "feedback", "add", "own.jsonl")
    assert json.loads(done.stdout)["unknown_labels"] == ["'food']", "['sport'", "sprot", "渠"], done.stderr


def test_no_column_of_a_request_gives_way_to_one_of_ours_unseen(tmp_path: Path, lingqu: Lingqu) -> None:
    row = {"label": 1.0, "answered": 2.0, "id": 3.0, "status": 4.0, "price": 5.0}
    (id,) = answered(tmp_path, "tabular-regression", row, target="price")
    assert lingqu("feedback", "queue", "-o", "q.csv").returncode == 0
    (asked,) = filled(tmp_path / "q.csv", "7.5")
    assert [asked[f"row_{name}"] for name in ("label", "answered", "price")] == ["1.0", "2.0", "5.0"]
    assert lingqu("feedback", "add", "q.csv").returncode == 0
    assert told(tmp_path)[id][0] == 7.5
    assert lingqu("feedback", "export", "-o", "e.csv").returncode == 0
    (out,) = read(tmp_path / "e.csv")
    assert [out[name] for name in row] == ["1.0", "2.0", "3.0", "4.0", "5.0"]
    assert (out["target"], out["feedback_status"]) == ("7.5", "accepted")
    # A file of rows whose right answer stands in no column has none, whatever a column of the request is called.
    (tmp_path / "own.csv").write_text("label,answered,id,status\n1,2,3,4\n")
    assert "Expected a number in 'price', found none." in lingqu("feedback", "add", "own.csv").stderr


@pytest.mark.heavy
def test_one_answer_is_labelled_as_a_file_would_and_what_does_not_apply_is_refused(
    tmp_path: Path, lingqu: Lingqu
) -> None:
    first, other, third = answered(tmp_path, "text-classification", {"text": "a soup"}, count=3)
    (tmp_path / "lingqu.yaml").write_text(
        "name: m\ntask: text-classification\ndata: {source: rows.csv}\nmonitor: {audit: 1.0}\n"
    )
    done = lingqu("--json", "feedback", "add", first, "--label", "music", "--audit", "--who", "anna")
    assert json.loads(done.stdout)["unknown_labels"] == ["music"], done.stderr
    assert told(tmp_path) == {first: ("music", "audit", "brought by anna")}
    assert lingqu("feedback", "add", other, "--label", "food", "--comment", "it is soup").returncode == 0
    assert [v.comment for v in voices(Store.open(tmp_path / ".lingqu"), "m") if v.prediction_id == other] == [
        "it is soup"
    ]
    for who in ("anna", "ben"):
        assert lingqu("feedback", "add", third, "--rating", "5", "--who", who).returncode == 0
    assert lingqu("feedback", "add", third, "--rating", "4", "--who", "ben").returncode == 1
    (tmp_path / "f.csv").write_text(f"prediction_id,label\n{third},food\n")
    for arguments, said in (
        (["f.csv", "--label", "sport"], "what is said of answers in the file alone, found --label"),
        (["f.csv", "--audit", "--disputed"], "one of --audit and --disputed, found both"),
        ([third, "--rating", "5", "--audit"], "--label alone beside --audit, found rating"),
        (["x" * 32, "--label", "food"], "the id of a prediction, found"),
        ([third, "--label", "food", "--disputed"], "a challenger on its way would give otherwise, found"),
    ):
        done = lingqu("feedback", "add", *arguments)
        assert (done.returncode, f"Expected {said}" in done.stderr or said in done.stderr) == (2, True), done.stderr
    assert canonical_json(sorted(told(tmp_path))) == canonical_json(sorted((first, other, third)))
