"""Labels from a file, the queue, decisions and the hand brake, on a real store with a real journal."""

from __future__ import annotations

import csv
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lingqu.contract.answers import LabelScores, NumberValue, Refusal
from lingqu.data.readers import stream
from lingqu.errors import DataError, RequestError, UnknownNameError
from lingqu.feedback.add import Added, add_labels
from lingqu.feedback.freeze import freeze, frozen, thaw
from lingqu.feedback.queue import audit_queue, review_queue
from lingqu.feedback.round import ROUND
from lingqu.feedback.voice import settle, voices
from lingqu.registry import Registry
from lingqu.serve.inbox import Inbox
from lingqu.serve.journal import Entry, Journal, new_id
from lingqu.serve.keys import ANYONE
from lingqu.serve.shadow import shadow_id
from lingqu.spec.running import ServeSettings
from lingqu.store import Store
from lingqu.store.history import append
from tests.serve.bundles import versions

SURENESS = [0.51, 0.99, 0.7, 0.95, 0.6, 0.9, 0.85, 0.8]


@pytest.fixture
def served(tmp_path: Path) -> tuple[Store, list[str]]:
    store, ids = Store.open(tmp_path / ".lingqu"), [new_id() for _ in SURENESS]
    with Journal(store, ServeSettings().journal) as journal:
        for place, (id, sure) in enumerate(zip(ids, SURENESS, strict=True)):
            answer = LabelScores.of({"ham": sure, "spam": 1 - sure})
            row = {"text": f"message {place}"}
            journal.record(Entry(id, "r", time.time(), "m", 1, "champion", ANYONE, None, row, answer, 1.0))
    return store, ids


def test_the_queue_asks_what_users_doubt_then_what_the_model_doubts(served):
    store, ids = served
    Inbox(store, ServeSettings()).receive({"prediction_id": ids[1], "label": "spam"}, ANYONE)
    asked = review_queue(store, "m", most=4)
    assert [ids.index(item.prediction_id) for item in asked] == [1, 0, 4, 2]
    assert asked[0].said == ("spam",)
    assert asked[1].why == "the model was 51 % sure"
    with Journal(store, ServeSettings().journal) as journal:
        unseen = LabelScores.of({"ham": 0.2, "spam": 0.8})
        about = ("r", time.time(), "m", 2, "shadow", ANYONE, None, None, unseen, 1.0)
        journal.record(Entry(shadow_id(ids[5], 2), *about))
    asked = review_queue(store, "m", most=4)
    assert [ids.index(item.prediction_id) for item in asked] == [1, 5, 0, 4]
    assert asked[1].why == "a challenger answers spam"
    with Journal(store, ServeSettings().journal) as journal:
        about = ("r", time.time(), "m", 1, "champion", ANYONE, None, {"text": ""}, Refusal("no text"), 1.0)
        journal.record(Entry(new_id(), *about))
    blind = audit_queue(store, "m", share=1.0)
    assert [(item.prediction_id, item.prediction) for item in blind] == [(id, None) for id in ids]


def test_a_file_spells_a_number_as_its_program_does_and_users_who_say_the_same_agree(tmp_path):
    store = Store.open(tmp_path / ".lingqu")
    spelled = ["1e-05", "3", "1,234.5", "1.5E+07"]
    ids = [new_id() for _ in spelled]
    with Journal(store, ServeSettings().journal) as journal:
        for id in ids:
            said = NumberValue(3.0, 2.0, 4.0)
            journal.record(Entry(id, "r", time.time(), "m", 1, "champion", ANYONE, None, {"x": 1}, said, 1.0))
    Inbox(store, ServeSettings()).receive({"prediction_id": ids[1], "label": "3.0"}, ANYONE)
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("prediction_id", "y"), *zip(ids, spelled, strict=True)])
    (batch,) = stream(tmp_path / "labels.csv")
    add_labels(store, "m", batch.rows, who="anna", target="y")
    kept = {voice.prediction_id: voice.value for voice in voices(store, "m") if voice.source == "file"}
    assert [kept[id] for id in ids] == [1e-05, 3.0, 1234.5, 1.5e7]
    assert {voice.label for voice in voices(store, "m") if voice.prediction_id == ids[1]} == {"3.0"}
    for wrong in ("three", "N/A", "nan", "1e999"):
        with pytest.raises(DataError) as error:
            add_labels(store, "m", [{"prediction_id": ids[0], "y": wrong}], who="anna", target="y")
        told = f"row 1: Expected a label in 'y', found '{wrong}'. Leave the row out, or say what is right."
        assert str(error.value) == told


def test_a_number_within_the_range_contradicts_nobody_and_the_farthest_comes_first(tmp_path):
    store, said = Store.open(tmp_path / ".lingqu"), [(3.4,), (5.0,), (), (2.5, 3.5), (30.0,), (3.9, 6.0)]
    ids = [new_id() for _ in said]
    with Journal(store, ServeSettings().journal) as journal:
        for place, id in enumerate(ids):
            row, answer = {"x": 10.0**place}, NumberValue(3.0, 2.0, 4.0)
            journal.record(Entry(id, "r", time.time(), "m", 1, "champion", ANYONE, None, row, answer, 1.0))
        about = ("r", time.time(), "m", 2, "shadow", ANYONE, None, None, NumberValue(3.1, 2.0, 4.0), 1.0)
        journal.record(Entry(shadow_id(ids[2], 2), *about))
    for id, numbers in zip(ids, said, strict=True):
        for place, number in enumerate(numbers):
            whose = replace(ANYONE, id=f"key{place}")
            Inbox(store, ServeSettings()).receive({"prediction_id": id, "label": number}, whose)
    queue = [(ids.index(item.prediction_id), item.why) for item in review_queue(store, "m", most=4)]
    assert queue == [
        (4, "a user says otherwise"),
        (5, "users contradict each other"),
        (1, "a user says otherwise"),
        (3, "what a user says lies within its range"),
    ]
    whole = {item.prediction_id: item.why for item in review_queue(store, "m")}
    assert [whole[ids[place]] for place in (0, 2)] == ["what a user says lies within its range", "drawn at random"]


def test_what_is_no_label_is_refused_with_its_row_and_a_class_of_that_name_is_taken(served):
    store, ids = served
    for word in (" ", "nan", "-", "n/a", "?", "NULL"):
        rows = [{"prediction_id": ids[0], "label": " spam "}, {"prediction_id": ids[1], "label": word}]
        with pytest.raises(DataError) as error:
            add_labels(store, "m", rows, who="anna", target="label", audit_share=1.0)
        told = f"row 2: Expected a label in 'label', found '{word}'. Leave the row out, or say what is right."
        assert str(error.value) == told
    with pytest.raises(DataError, match="row 1: Expected a label in 'label', found '-'"):
        add_labels(store, "m", [{"text": "a", "label": "-"}], who="anna", target="label")
    assert voices(store, "m") == []
    with Journal(store, ServeSettings().journal) as journal:
        said, about = LabelScores.of({"-": 0.6, "ham": 0.4}), ("r", time.time(), "m", 1, "champion", ANYONE, None)
        journal.record(Entry(id := new_id(), *about, {"text": "a dash"}, said, 1.0))
    taken = [{"prediction_id": id, "label": "-"}, {"prediction_id": ids[2], "label": " spam "}]
    add_labels(store, "m", taken, who="anna", target="label")
    assert {voice.value for voice in voices(store, "m")} == {"-", "spam"}


def test_rows_of_ones_own_hold_numbers_where_the_answer_is_one(tmp_path):
    store = Store.open(tmp_path / ".lingqu")
    versions(store, tmp_path / "bundles", 1)
    for word in ("n/a", "x", "-", " "):
        with pytest.raises(DataError) as error:
            add_labels(store, "echo", [{"x": 1, "y": "2"}, {"x": 1, "y": word}], who="anna", target="y")
        told = f"row 2: Expected a number in 'y', found '{word}'. Leave the row out, or say what is right."
        assert str(error.value) == told
    add_labels(store, "echo", [{"x": 1, "y": "1,234.5"}], who="anna", target="y")
    assert [voice.value for voice in voices(store, "echo")] == [1234.5]


def test_ten_near_copies_take_one_place_and_what_has_become_frequent_comes_first(tmp_path):
    """The least sure answers are all one question; a new kind of question fills the later half of the journal."""
    store = Store.open(tmp_path / ".lingqu")
    others = ["parcel lost", "refund please", "login broken", "card declined", "screen black", "invoice twice"]
    asked = [(f"where is order number {n}", 0.51) for n in range(10)]
    asked += [(text, 0.6 + place / 100) for place, text in enumerate(others)]
    asked += [("zzz qqq", 0.95)] * 14 + [
        (f"请问我上个星期买的东西什么时候能送到我家里来呢 {n}", 0.97) for n in range(30)
    ]
    with Journal(store, ServeSettings().journal) as journal:
        for text, sure in asked:
            answer = LabelScores.of({"ham": sure, "spam": 1 - sure})
            told = (new_id(), "r", time.time(), "m", 1, "champion", ANYONE, None, {"text": text}, answer, 1.0)
            journal.record(Entry(*told))
    queue = review_queue(store, "m", most=10)
    texts = [item.row["text"] for item in queue]
    chosen = [text for place, text in enumerate(texts, 1) if place % 5]
    assert chosen[0].startswith("请问")
    assert queue[0].why == "the model was 97 % sure; one of 30 like it among the last 30 answers, after 0 of 30"
    assert [text.startswith("where is order") for text in chosen].count(True) == 1
    rest = [text for text in others if text in chosen or text not in texts]
    assert chosen[2 : 2 + len(rest)] == rest
    assert len(rest) >= 4


def test_labels_of_a_file_count_once_and_audit_labels_only_of_drawn_rows(served):
    store, ids = served
    empty = [{"prediction_id": id, "label": cell} for id, cell in zip(ids[1:], ("", None), strict=False)]
    with pytest.raises(DataError, match=r"^1\. row 1: Expected a label in 'label', found none"):
        add_labels(store, "m", empty, who="anna", target="label")
    with pytest.raises(DataError, match=r"^row 3: Expected a label in 'label', found '-'"):
        add_labels(store, "m", [*empty, {"prediction_id": ids[0], "label": "-"}], who="anna", target="label")
    rows = [*empty, {"prediction_id": ids[0], "label": "spam"}]
    assert add_labels(store, "m", rows, who="anna", target="label") == Added(1, 0, unfilled=2)
    assert add_labels(store, "m", rows, who="anna", target="label") == Added(0, 1, unfilled=2)
    assert [(v.status, v.value, v.input, v.reviewed) for v in voices(store, "m")] == [
        ("accepted", "spam", {"text": "message 0"}, True)
    ]
    with pytest.raises(DataError) as error:
        add_labels(store, "m", rows, who="anna", target="label", audit_share=0.0)
    assert str(error.value) == (
        f"Expected an answer that was drawn for the audit, found {ids[0]}. "
        "Only rows of `lingqu feedback queue --audit` may judge."
    )
    with pytest.raises(RequestError, match="Expected a column prediction_id for audit labels, found none"):
        add_labels(store, "m", [{"text": "a", "label": "ham"}], who="anna", target="label", audit_share=1.0)
    with pytest.raises(DataError, match="row 2: Expected a label in 'label', found none"):
        add_labels(store, "m", [{"text": "a", "label": "ham"}, {"text": "b"}], who="anna", target="label")
    with pytest.raises(DataError, match="Expected the id of an answer of m, found 'p0'"):
        add_labels(store, "m", [{"prediction_id": "p0", "label": "ham"}], who="anna", target="label")


def test_whoever_errs_brings_another_label_and_a_file_holds_one_an_answer(served):
    store, ids = served

    def brought(*labels: str, who: str = "anna") -> tuple[int, int, int]:
        rows = [{"prediction_id": id, "label": label} for id, label in zip(ids, labels, strict=False)]
        added = add_labels(store, "m", rows, who=who, target="label", audit_share=1.0)
        return added.taken, added.known, added.corrected

    assert brought("spam", "ham", "ham") == (3, 0, 0)
    wrong, right, _ = voices(store, "m")
    assert brought("ham", "ham", "spam", "ham") == (3, 1, 2)
    assert Registry(store).history("m")[-1].evidence == {"accepted": 3, "source": "audit", "corrected": 2}
    assert {voice.prediction_id: voice.value for voice in voices(store, "m")} == dict(
        zip(ids, ("ham", "ham", "spam", "ham"), strict=False)
    )
    assert right.id in {voice.id for voice in voices(store, "m")}
    assert wrong.id not in {voice.id for voice in voices(store, "m")}
    # A row that has judged keeps its id, by which the next gate knows it.
    with store.database.writing() as connection:
        append(connection, name="m", who="lingqu", action=ROUND, evidence={"joined": [], "retired": [right.id]})
    assert brought("ham", "spam") == (1, 1, 1)
    assert {voice.id: voice.value for voice in voices(store, "m")}[right.id] == "spam"
    assert brought("ham", "ham") == (1, 1, 1)
    assert brought("ham", who="ben") == (1, 0, 0)
    twice = [{"prediction_id": ids[5], "label": label} for label in ("ham", "spam", "ham")]
    with pytest.raises(DataError) as error:
        add_labels(store, "m", twice, who="anna", target="label")
    assert str(error.value) == (
        "row 2: Expected one label of an answer, found 'ham' in row 1 and 'spam'. Keep the one that is right."
    )
    assert add_labels(store, "m", twice[::2], who="anna", target="label").taken == 1


def test_a_person_decides_and_the_history_tells(served):
    store, ids = served
    told = Inbox(store, ServeSettings()).receive({"prediction_id": ids[2], "label": "spam"}, ANYONE)
    assert settle(store, "m", {told.feedback_id: ("accepted", "seen")}, who="anna") == 1
    assert settle(store, "m", {told.feedback_id: ("accepted", "seen")}, who="anna") == 0
    with pytest.raises(UnknownNameError, match="Expected the id of feedback on m, found 'nobody'"):
        settle(store, "m", {"nobody": ("accepted", "")}, who="anna")
    assert Registry(store).history("m")[-1].sentence().endswith(": review of m (anna): 1 accepted.")


def test_the_brake_holds_until_it_is_released(served):
    store, _ = served
    assert frozen(store, "m") == ""
    assert freeze(store, "m", who="anna", why="a strange week")
    with pytest.raises(RequestError) as refused:
        thaw(store, "m", who="anna", why="over\udcff")
    assert str(refused.value) == "Expected a reason in UTF-8, found 'over\\udcff'. Write it in another way."
    assert not freeze(store, "m", who="ben")
    assert frozen(Store.open(store.folder), "m") == "a strange week (anna)"
    assert thaw(store, "m", who="anna")
    assert frozen(store, "m") == ""


@pytest.mark.parametrize("source", ["audit", "Audit", "disputed", "file"])
def test_nobody_who_volunteers_may_judge(served, source):
    store, ids = served
    with pytest.raises(DataError) as error:
        Inbox(store, ServeSettings()).receive({"prediction_id": ids[0], "label": "spam", "source": source}, ANYONE)
    assert "Expected a source of your own, found" in str(error.value)
    assert voices(store, "m") == []
