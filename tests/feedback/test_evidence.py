"""Whose word counts beside whose: what was rejected is no evidence, nor is what a model says of itself."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from lingqu.contract import Answer, LabelScores, LabelSet, NumberValue, Task
from lingqu.data.version import DataVersion
from lingqu.errors import UnknownNameError
from lingqu.feedback.add import add_labels
from lingqu.feedback.circle import UNTRIED, Circle, for_rules, for_trial, reasons, untried
from lingqu.feedback.far import FAR, far_off
from lingqu.feedback.grow import grow, typed
from lingqu.feedback.round import ROUND, Gathered, decide_by_rule
from lingqu.feedback.suspects import CONTRADICTING, suspected
from lingqu.feedback.trigger import Due
from lingqu.feedback.voice import REJECTED, Voice, labels_of, settle, voices
from lingqu.loop import check
from lingqu.privacy.encrypt import KEY_VARIABLE, new_master_key, spelled
from lingqu.registry import Registry
from lingqu.serve.inbox import Inbox
from lingqu.serve.journal import Entry, Journal, new_id
from lingqu.serve.keys import ANYONE, Principal
from lingqu.serve.shadow import shadow_id
from lingqu.spec.running import ServeSettings
from lingqu.stages import Stages
from lingqu.store import Store
from lingqu.store.tables import FEEDBACK
from lingqu.tasks import find_task

SURE = LabelScores.of({"ham": 0.9, "spam": 0.1})


class Desk:
    """A store whose model has answered, and the people who say something of its answers."""

    def __init__(self, folder: Path) -> None:
        self.store = Store.open(folder / ".lingqu")
        self.inbox = Inbox(self.store, ServeSettings())

    def answered(self, row: dict[str, Any], answer: Answer = SURE, *, id: str = "", role: str = "champion") -> str:
        (given,) = self.all_answered([row], answer, id=id, role=role)
        return given

    def all_answered(
        self, rows: list[dict[str, Any]], answer: Answer, *, id: str = "", role: str = "champion"
    ) -> list[str]:
        ids = [id or new_id() for _ in rows]
        with Journal(self.store, ServeSettings().journal) as journal:
            for one, row in zip(ids, rows, strict=True):
                journal.record(Entry(one, "r", time.time(), "m", 1, role, ANYONE, None, row, answer, 1.0))
        return ids

    def say(self, who: str, id: str, label: Any, **more: Any) -> str:
        whose = Principal(who, who, ANYONE.scopes, "")
        return self.inbox.receive({"prediction_id": id, "label": label, **more}, whose).feedback_id

    def ruled(self, labels: list[str] | None) -> dict[str, tuple[str, str]]:
        decide_by_rule(self.store, "m", labels=labels)
        return {voice.id: (voice.status, voice.reason) for voice in voices(self.store, "m")}


def ingested(folder: Path, store: Store, task: str, columns: str) -> tuple[DataVersion, Task]:
    """The rows of a file as a data version, without a model."""
    told = f"name: m\ntask: {task}\ndata:\n  source: rows.csv\n  {columns}\n"
    (folder / "lingqu.yaml").write_text(told)
    spec = check(folder / "lingqu.yaml")
    return Stages(spec, find_task(spec.task), store, lambda *_: None).data(), find_task(spec.task)


def registered(store: Store, report: dict[str, Any]) -> None:
    """A version with this report, and with a bundle that nobody opens."""
    (store.folder / "work").mkdir(exist_ok=True)
    (folder := store.folder / "work" / "bundle").mkdir()
    (folder / "a").write_text("a")
    Registry(store).register(
        "m", bundle=store.put_folder(folder), data_version="d", run="r", task="tabular-regression", metrics={},
        decision={}, lineage={"report": store.put_json(report)}, spec={},
    )  # fmt: skip


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize("told", ["at the door", "in an old store"])
def test_a_models_label_is_no_second_opinion(desk, told):
    row = desk.answered({"text": "a parcel"})
    lie = desk.say("mallory", row, "spam")
    other = desk.say("bot", row, "spam", origin="model")
    (kept,) = (voice for voice in voices(desk.store, "m") if voice.id == other)
    assert (kept.status, kept.reason, kept.reviewed) == ("rejected", "a model's own answer is no evidence", False)
    if told == "in an old store":
        with desk.store.database.writing() as connection:
            blank = {"status": "quarantined", "reason": "", "decided_by": None}
            connection.execute(update(FEEDBACK).where(FEEDBACK.c.id == other).values(**blank))
    assert desk.ruled(["ham", "spam"]) == {
        lie: ("quarantined", "the model was sure of another answer"),
        other: ("rejected", "a model's own answer is no evidence"),
    }
    # Whoever may decide may also learn from a model.
    settle(desk.store, "m", {other: ("accepted", "")}, who="anna")
    assert desk.ruled(["ham", "spam"])[lie] == ("accepted", "2 principals agree")
    assert [voice.value for voice in labels_of(voices(desk.store, "m", status="accepted"))] == ["spam", "spam"]


def test_what_a_person_has_rejected_stands_in_nobodys_way(desk):
    row = desk.answered({"text": "a parcel"}, LabelScores.of({"ham": 0.6, "spam": 0.4}))
    desk.answered({"text": "another"})
    lie, honest = desk.say("mallory", row, "ham"), desk.say("anna", row, "spam")
    conflict = ("quarantined", "another principal gave the same row another label")
    assert desk.ruled(["ham", "spam"]) == {lie: conflict, honest: conflict}
    settle(desk.store, "m", {lie: (REJECTED, "it is spam")}, who="boss")
    assert desk.ruled(["ham", "spam"])[honest] == ("accepted", "nothing speaks strongly against it")


def test_an_answer_that_nobody_got_takes_no_vote(desk):
    row = desk.answered({"text": "a parcel"})
    unseen = desk.answered({"text": "a parcel"}, id=shadow_id(row, 2), role="shadow")
    desk.say("eve", row, "spam")
    with pytest.raises(UnknownNameError, match=f"Expected the id of a prediction, found '{unseen}'"):
        desk.say("eve", unseen, "spam")


def test_two_who_measure_the_same_row_do_not_contradict_each_other(desk):
    """A range of 90 either side: 300 and 340 are one number, 900 is another."""
    price = NumberValue(300.0, 210.0, 390.0)
    rows = desk.all_answered([{"size": size} for size in (80, 80, 80, 120, 120)], price)
    said = [300.0, 340.0, 295.5, 300.0, 900.0]
    ids = [desk.say(f"user{n}", row, number) for n, (row, number) in enumerate(zip(rows, said, strict=True))]
    ruled = desk.ruled(None)
    assert [ruled[id] for id in ids[:3]] == [("accepted", "3 principals agree")] * 3
    assert {ruled[id][0] for id in ids[3:]} == {"quarantined"}
    # What they said is what will be learned from.
    assert [voice.value for voice in labels_of(voices(desk.store, "m", status="accepted"))] == said[:3]


@pytest.mark.heavy
def test_one_number_out_of_reach_is_left_out_alone(desk, tmp_path):
    (tmp_path / "rows.csv").write_text("size,price\n" + "".join(f"{20 + n},{60 + 3 * n}\n" for n in range(100)))
    base, task = ingested(tmp_path, desk.store, "tabular-regression", "columns: {target: price}")
    rows = desk.all_answered([{"size": 20.5 + n} for n in range(13)], NumberValue(200.0, 150.0, 250.0))
    ids = [desk.say(f"user{n % 6}", row, 61.5 + 3 * n) for n, row in enumerate(rows[:12])]
    wild = desk.say("eve", rows[12], 9e14)
    desk.ruled(None)
    given = labels_of(voices(desk.store, "m", status="accepted"))
    assert len(given) == 13
    grown = grow(base, given, task, desk.store)
    assert {*grown.joined} == {*ids}
    assert grown.left == {wild: "Expected 'price' between -2910 and 3327, found 9e+14. Training rows held 60 to 357."}
    # All of them contradict the answer by the letter, and are no block for that.
    truth = [float(n % 7) for n in range(40)]
    good, bad = ([NumberValue(n + off * (3 + n % 2), 0.0, 9.0) for n in truth] for off in (0.1, 1.0))
    given = [voice for voice in given if voice.id != wild]
    assert len(suspected(given, truth, lambda kept: bad if kept else good)) == 12
    assert suspected(for_trial(given, task), truth, lambda kept: bad if kept else good) == {}


def test_a_number_far_from_all_others_waits_for_a_person_and_a_world_that_moved_does_not(desk):
    """Each is off by what others are; one is off by five times as much, though within the reach of the column."""
    for moved, sign in ((0.0, 1), (500.0, -1)):
        rows = desk.all_answered([{"size": n} for n in range(13)], NumberValue(200.0, 190.0, 210.0))
        ids = [desk.say(f"user{n}", row, 200.0 + moved + 3 * (n - 6)) for n, row in enumerate(rows[:12])]
        wild = desk.say("eve", rows[12], 200.0 + moved + sign * 150)
        given = [voice for voice in voices(desk.store, "m") if voice.id in {*ids, wild}]
        assert [*far_off(given)] == [wild]
        assert far_off([replace(voice, decided_by="anna") for voice in given]) == {}
    assert far_off(given[:1]) == far_off([]) == {}


def test_neither_one_key_nor_a_few_say_alone_what_is_far_and_what_several_say_is_not(desk):
    """A third of all rows has become dearer, and ten people say so; then one key brings more numbers than all others."""
    row = desk.answered({"size": 1}, NumberValue(200.0, 190.0, 210.0))
    desk.say("anna", row, 200.0)
    (one,) = voices(desk.store, "m")

    def said(who: str, *numbers: float) -> list[Voice]:
        return [replace(one, id=f"{who} {n}", principal=who, value=value) for n, value in enumerate(numbers)]

    honest = [voice for n in range(10) for voice in said(f"user{n}", 341.0 + 2 * n, 198.0, 203.0 + n / 5)]
    assert far_off(honest) == {}
    wild = said("cleo", 800.0)
    for count, far in ((6, True), (40, False)):
        flood = said("mallory", *(500.0 + n % 3 for n in range(count)))
        # What is most of the round is left to caps and trial; it makes nobody else far, and nothing usual of the rest.
        assert {*far_off([*honest, *flood, *wild])} == {voice.id for voice in [*(flood if far else ()), *wild]}
        assert far_off([*honest, *flood, *said("eve", 501.0), *said("trudy", 501.5)]) == {}
    # Where all users come by one key, who brings a few by keys of their own makes none of theirs far.
    app = said("app", *(198.0 + n % 5 for n in range(60)))
    for keys, count, far in ((1, 1, True), (2, 1, True), (1, 9, True), (2, 6, False), (2, 10, False)):
        lone = [voice for n in range(keys) for voice in said(f"eve{n}", *(500.0 + n for n in range(count)))]
        assert far_off([*app, *lone]) == (dict.fromkeys((voice.id for voice in lone), FAR) if far else {})


@pytest.mark.heavy
def test_of_a_source_that_does_harm_nothing_trains_that_was_not_tried(desk, tmp_path):
    """Caps let 20 of 35 false numbers in; where the trial drops these, the others do not take their places.

    Those of users who all come by one key do, for where the world has moved nobody else brings news.
    """
    (tmp_path / "rows.csv").write_text("size,price\n" + "".join(f"{20 + n},{60 + 3 * n}\n" for n in range(300)))
    base, task = ingested(tmp_path, desk.store, "tabular-regression", "columns: {target: price}")
    registered(desk.store, {})
    Registry(desk.store).promote("m", 1, who="anna", why="first", evidence={"override": True})
    rows = desk.all_answered([{"size": 20.25 + n} for n in range(67)], NumberValue(150.0, 100.0, 200.0))
    for n, row in enumerate(rows):
        who, more = ("ben", 0) if n < 10 else ("mallory", 90) if n < 45 else (ANYONE.id, 60)
        desk.say(who, row, 60.75 + 3 * n + more)
    given = voices(desk.store, "m")
    with Circle(check(tmp_path / "lingqu.yaml"), task, desk.store) as circle:
        circle.gathered = Gathered(Due(True, "asked"), tuple(given), len(given), (), "")
        circle.grow(base)
    assert circle.grown is not None
    joined = [voice.principal for voice in given if voice.id in circle.grown.joined]
    assert joined == ["ben"] * 10 + [ANYONE.id] * 2
    assert reasons(circle.grown.left)[UNTRIED] == 15
    assert [voice.status for voice in voices(desk.store, "m")] == ["quarantined"] * 67


@pytest.mark.heavy
def test_the_record_of_a_round_repeats_nothing_that_was_left_out(desk, tmp_path, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, spelled(new_master_key()))
    (tmp_path / "rows.csv").write_text("size,price\n" + "".join(f"{20 + n},{60 + 3 * n}\n" for n in range(60)))
    base, task = ingested(tmp_path, desk.store, "tabular-regression", "columns: {target: price}")
    registered(desk.store, {"data": {"columns": {"target": "price"}, "kinds": [["size", "number"], ["target", ""]]}})
    Registry(desk.store).promote("m", 1, who="anna", why="first", evidence={"override": True})
    far = [{"size": 50, "price": 6222026200}, {"size": 51, "price": 7333026200}]
    add_labels(desk.store, "m", [*far, {"size": 13800138042, "price": 90}], who="anna", target="price")
    given = voices(desk.store, "m")
    with Circle(check(tmp_path / "lingqu.yaml"), task, desk.store) as circle:
        circle.gathered = Gathered(Due(True, "asked"), tuple(given), len(given), (), "")
        circle._open = {"round": 1}
        circle.grow(base)
        told = circle.told()["left_out"]
    words = [word for why in told for word in re.findall(r"(?<=, found ).*(?=\. Training rows)", why)]
    assert sorted(words) == ["1.38001e+10", "6.22203e+09", "7.33303e+09"]
    (record,) = [event for event in Registry(desk.store).history("m") if event.action == ROUND]
    assert sorted(record.evidence["left_out"].values()) == [1, 2]
    settle(desk.store, "m", {given[0].id: (REJECTED, "it is 6222026200")}, who="anna", why="it is 6222026200")
    kept = b"".join(path.read_bytes() for path in desk.store.folder.glob("lingqu.db*"))
    assert not [word for word in (*words, "6222026200", "13800138042") if word.encode() in kept]


def test_what_is_like_what_does_harm_is_not_tried_by_the_next_model(desk):
    desk.say("anna", desk.answered({"text": "a parcel"}), "ham")
    (one,) = voices(desk.store, "m")

    def said(who: str, label: str, count: int) -> list[Voice]:
        return [replace(one, id=f"{who} {label} {n}", principal=who, value=label) for n in range(count)]

    told = [*said("mallory", "spam", 12), *said("ben", "spam", 3), *said("ben", "ham", 12)]
    # Of mallory all contradicts the answer, and all that was tried of it was dropped.
    tried, harm = [*told[:10], *told[12:14], *told[15:]], f"{CONTRADICTING}: 12 rows cost 1"
    dropped = {voice.id: harm for voice in tried if voice.value == "spam"}
    reviewed = [replace(voice, decided_by="cleo", id="reviewed") for voice in told[:1]]
    more = said("mallory", "ham", 1)
    assert [*untried([*told, *more, *reviewed], tried, dropped)] == [told[10].id, told[11].id, told[14].id, more[0].id]
    alone = {voice.id: "principal mallory: 10 rows cost 1" for voice in tried[:10]}
    assert [*untried([*told, *more, *reviewed], tried, alone)] == [told[10].id, told[11].id, more[0].id]
    assert untried(told, tried, {}) == {}


@pytest.mark.heavy
def test_a_row_of_a_table_that_is_nearly_one_of_the_gate_does_not_train(desk, tmp_path):
    """A thousandth on one number of 20 to 119 is what another program makes of it; a half is another row."""
    towns = ["ulm", "bonn"]
    lines = [f"{20 + n},{towns[n % 2]},{'ham' if n % 3 else 'spam'}\n" for n in range(100)]
    (tmp_path / "rows.csv").write_text("age,town,label\n" + "".join(lines))
    base, task = ingested(tmp_path, desk.store, "tabular-classification", "")
    test = [*base.rows("test", desk.store)]
    joined = []
    for more in (0.0, 0.001, -0.001, 0.5):
        asked = [{"age": row["age"] + more, "town": row["town"]} for row in test]
        ids = desk.all_answered(asked, SURE)
        given = [desk.say("anna", id, "ham") for id in ids]
        offered = [voice for voice in voices(desk.store, "m") if voice.id in given]
        joined.append(len(grow(base, offered, task, desk.store).joined))
    assert joined[:3] == [0, 0, 0]
    assert joined[3] > 0


@pytest.mark.heavy
def test_sets_of_labels_are_learned_from_and_unknown_names_are_not(desk, tmp_path):
    toy = find_task("multi-label-text-classification").toy(120)
    lines = [f'"{text}",{labels}\n' for text, labels in zip(toy["text"], toy["labels"], strict=True)]
    (tmp_path / "rows.csv").write_text("text,labels\n" + "".join(lines))
    base, task = ingested(tmp_path, desk.store, "multi-label-text-classification", "")
    assert {*base.labels} == {"delivery", "价格", "质量"}
    answer = LabelSet.of({"delivery": 0.6, "价格": 0.4, "质量": 0.4}, 0.5)
    desk.answered({"text": "one that it is sure of"}, LabelSet.of({"delivery": 0.9, "价格": 0.1, "质量": 0.1}, 0.5))
    said = [["质量", "delivery"], "质量|delivery", [], "质量; 价格", "delivery|nonsense", [" "]]
    ids = [desk.say(f"user{n}", desk.answered({"text": f"row {n}"}, answer), one) for n, one in enumerate(said)]
    ruled = desk.ruled(list(for_rules(desk.store, "m", base, task).labels) or None)
    assert [ruled[id][0] for id in ids] == ["accepted"] * 4 + ["rejected"] * 2
    assert ruled[ids[4]][1] == "'nonsense' is no label of this model"
    given = labels_of(voices(desk.store, "m", status="accepted"))
    assert [voice.value for voice in given] == ["delivery|质量", "delivery|质量", "", "价格|质量"]
    assert {*typed(given, base, task, desk.store).rows["labels"]} == {"delivery|质量", "", "价格|质量"}
    # One that came between the look and the rules is left out; what a person has decided may be a new label.
    late = replace(given[0], value="delivery|news")
    assert typed([late], base, task, desk.store).faults == {late.id: "'news' is no label of this model"}
    assert typed([replace(late, decided_by="anna")], base, task, desk.store).faults == {}


@pytest.mark.heavy
def test_a_label_that_is_none_is_a_fault_of_its_row(desk, tmp_path):
    (tmp_path / "rows.csv").write_text("text,label\n" + "".join(f"a {n},ham\nb {n},spam\n" for n in range(30)))
    base, task = ingested(tmp_path, desk.store, "text-classification", "")
    desk.say("anna", desk.answered({"text": "a parcel"}), "nan")
    (voice,) = voices(desk.store, "m")
    assert typed([voice], base, task, desk.store).faults == {voice.id: "its answer 'nan' is no label"}


def test_a_number_out_of_reach_is_rejected_at_the_door_and_told_why(desk):
    """The report of the version says what its training rows held; where there is none, nothing is out of reach."""
    about = {"name": "target", "kind": "number", "low": 24.0, "high": 600.0}
    registered(
        desk.store, {"data": {"target": "target", "columns": {"target": "price"}}, "profile": {"columns": [about]}}
    )
    rows = desk.all_answered([{"size": n} for n in range(2)], NumberValue(200.0, 190.0, 210.0))
    give = {"prediction_id": rows[0], "label": "1e12"}
    receipt = desk.inbox.receive(give, ANYONE, "k")
    assert (receipt.status, receipt.reason) == (
        "rejected", "Expected 'price' between -5736 and 6360, found 1e+12. Training rows held 24 to 600.",
    )  # fmt: skip
    assert desk.inbox.receive(give, ANYONE, "k") == receipt
    assert desk.inbox.receive({"prediction_id": rows[1], "label": 6000}, ANYONE).status == "quarantined"
    assert [voice.value for voice in labels_of(voices(desk.store, "m"))] == [6000.0]
