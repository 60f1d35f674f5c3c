"""Labels from a file, the queue, decisions and the hand brake, on a real store with a real journal."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lingqu.contract.answers import LabelScores
from lingqu.errors import DataError, RequestError, UnknownNameError
from lingqu.feedback.add import add_labels
from lingqu.feedback.freeze import freeze, frozen, thaw
from lingqu.feedback.queue import audit_queue, review_queue
from lingqu.feedback.voice import settle, voices
from lingqu.registry import Registry
from lingqu.serve.inbox import Inbox
from lingqu.serve.journal import Entry, Journal, new_id
from lingqu.serve.keys import ANYONE
from lingqu.serve.shadow import shadow_id
from lingqu.spec.running import ServeSettings
from lingqu.store import Store

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
    blind = audit_queue(store, "m", share=1.0, most=3)
    assert [item.prediction for item in blind] == [None, None, None]


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
    rows = [{"prediction_id": ids[0], "label": "spam"}]
    assert add_labels(store, "m", rows, who="anna", target="label").taken == 1
    assert add_labels(store, "m", rows, who="anna", target="label").known == 1
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


def test_a_person_decides_and_the_history_tells(served):
    store, ids = served
    told = Inbox(store, ServeSettings()).receive({"prediction_id": ids[2], "label": "spam"}, ANYONE)
    assert settle(store, "m", {told.feedback_id: ("accepted", "seen")}, who="anna") == 1
    assert settle(store, "m", {told.feedback_id: ("accepted", "seen")}, who="anna") == 0
    with pytest.raises(UnknownNameError, match="Expected the id of feedback on m, found 'nobody'"):
        settle(store, "m", {"nobody": ("accepted", "")}, who="anna")
    assert "review of m (anna)" in Registry(store).history("m")[-1].sentence()


def test_the_brake_holds_until_it_is_released(served):
    store, _ = served
    assert frozen(store, "m") == ""
    assert freeze(store, "m", who="anna", why="a strange week")
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
