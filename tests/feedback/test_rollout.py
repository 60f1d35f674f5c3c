"""A challenger on its way to users: unseen, for some of them, for all; dropped by evidence, by time, or by a person."""

from __future__ import annotations

import io
import re
import shutil
import time
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lingqu.contract import NumberValue
from lingqu.data.version import DataVersion
from lingqu.errors import ConflictError, DataError
from lingqu.feedback import round as rounds
from lingqu.feedback.add import Added, add_labels
from lingqu.feedback.aftermath import risk_since
from lingqu.feedback.freeze import freeze, thaw
from lingqu.feedback.paired import compared
from lingqu.feedback.progress import Progress, progress
from lingqu.feedback.queue import audit_queue, disputed_queue
from lingqu.feedback.rollout import advance
from lingqu.feedback.voice import ACCEPTED, settle, voices
from lingqu.monitor.chinese import spoken, told
from lingqu.monitor.observed import labelled
from lingqu.registry import Registry
from lingqu.registry.rollouts import Rollout, begin, drop, move, proved, rollout
from lingqu.serve.inbox import Inbox
from lingqu.serve.journal import Entry, Journal, new_id
from lingqu.serve.keys import ANYONE
from lingqu.serve.shadow import shadow_id
from lingqu.spec import Spec
from lingqu.spec.running import JournalSettings, ServeSettings
from lingqu.store import Store
from lingqu.store.history import append
from tests.conftest import Lingqu
from tests.serve.bundles import STEP, versions

PLAIN = JournalSettings(inputs="plain")


def spec_of(**improve: Any) -> Spec:
    given = {"promote": "auto", "canary": 20, "at_most": "1000 per day", **improve}
    return Spec.model_validate(
        {"name": "echo", "task": "tabular-regression", "data": {"source": "x.csv"}, "improve": given}
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions, of which the first leads."""
    folder = tmp_path_factory.mktemp("made")
    versions(Store.open(folder / ".lingqu"), folder / "bundles", 2)
    return folder / ".lingqu"


@pytest.fixture
def store(tmp_path: Path, made: Path) -> Store:
    """Version 1 leads, version 2 answers unseen: it says x + 2 steps where version 1 says x + 1."""
    shutil.copytree(made, tmp_path / ".lingqu")
    copy = Store.open(tmp_path / ".lingqu")
    registry = Registry(copy)
    begin(copy, registry.get("echo@2"), against=1, epoch=1, why="its gate was passed", evidence={})
    time.sleep(0.002)  # Ids of answers tell the millisecond, and only younger ones count.
    return copy


def standing(store: Store) -> Rollout:
    found = rollout(store, "echo")
    assert found is not None
    return found


def said(number: float) -> NumberValue:
    return NumberValue(number, number - 1, number + 1)


def answered(
    store: Store, numbers: Iterable[int], *, shadowed: bool = False, took: float = 1.0, first: int = 0
) -> list[str]:
    """Answers of these versions, each to a user of its own; `shadowed` keeps the other's answer beside each."""
    ids = []
    with Journal(store, PLAIN) as journal:
        for place, number in enumerate(numbers, first):
            ids.append(id := new_id())
            role = "champion" if number == 1 else "canary"
            about = ("r", time.time(), "echo")
            value = said(place + number * STEP)
            given = {"x": place}
            journal.record(Entry(id, *about, number, role, ANYONE, f"user {place}", given, value, took))
            if shadowed:
                unseen = said(place + 2 * STEP)
                journal.record(Entry(shadow_id(id, 2), *about, 2, "shadow", ANYONE, None, None, unseen, 1.0))
    return ids


def audited(store: Store, ids: list[str], right: int, *, first: int = 0) -> Added:
    """Labels of the audit that say what this version answers."""
    labels = [{"prediction_id": id, "y": place + right * STEP} for place, id in enumerate(ids, first)]
    return add_labels(store, "echo", labels, who="auditor", target="y", audit_share=1.0)


def test_a_better_challenger_goes_unseen_then_to_some_then_to_all(store: Store) -> None:
    spec = spec_of()
    told = advance(store, spec)
    assert told is not None
    assert told["decision"] == "shadow"
    assert told["why"] == (
        "no label of a trusted person has come (lingqu feedback queue --disputed, or --audit); "
        "e = 1 of the 20 that prove it"
    )
    # Half of the labels find an answer of the shadow in the journal, for the others both bundles answer again.
    audited(store, answered(store, [1] * 4, shadowed=True), right=2)
    audited(store, answered(store, [1] * 4, first=4), right=2, first=4)
    told = advance(store, spec)
    assert told is not None
    assert (told["decision"], told["moved"], told["champion"]) == ("canary", True, 1)
    assert told["rollout"]["share"] == 0.05
    seen = progress(store, "echo", spec)
    assert seen is not None
    assert seen.sentence().split(" since ")[1][16:] == ": 0 of 20 answers; its guardrails hold."
    proof = "Of 7 rows on which exactly one model is right, the challenger won 7: p = 0.04, valid at any look."
    assert told["why"] == proof
    for share, next_step in ((0.05, "canary"), (0.25, "promote")):
        told = advance(store, spec)
        assert (told["decision"], told["moved"], told["rollout"]["share"]) == ("canary", False, share)  # type: ignore[index]
        assert told["why"] == "0 of 0 answers were the challenger's; 20 are wanted"  # type: ignore[index]
        answered(store, [1, 2] * 20)
        told = advance(store, spec)
        assert (told["decision"], told["moved"]) == (next_step, True)  # type: ignore[index]
    registry = Registry(store)
    assert registry.aliases("echo") == {"champion": 2, "previous": 1}
    assert advance(store, spec) is None
    assert registry.verify_history() == []
    told_as = [event.sentence().split(" UTC: ")[1] for event in registry.history("echo")[3:] if event.who == "lingqu"]
    assert [one for one in told_as if "review" not in one] == [
        "version 2 of echo answers unseen beside version 1 (lingqu): its gate was passed.",
        f"version 2 of echo answers 5 % of the users (lingqu): {proof}",
        "version 2 of echo answers 25 % of the users (lingqu): 20 of 40 answers were the challenger's, and its guardrails held.",
        "version 2 became champion of echo (lingqu): 20 of 40 answers were the challenger's, and its guardrails held.",
        "the rollout of version 2 of echo is over (lingqu).",
    ]


def test_a_worse_challenger_is_dropped_by_the_same_evidence(store: Store) -> None:
    audited(store, answered(store, [1] * 8), right=1)
    seen = progress(store, "echo")
    assert seen is not None
    assert (seen.step, seen.labels, seen.wins, seen.losses, seen.needed) == ("shadow", 8, 0, 8, None)
    told = advance(store, spec_of())
    assert told is not None
    assert (told["decision"], told["rollout"]) == ("drop", None)
    assert progress(store, "echo") is None
    assert told["why"] == (
        "Of 7 rows on which exactly one model is right, the champion won 7: p = 0.04, valid at any look"
    )
    assert Registry(store).aliases("echo") == {"champion": 1}
    assert Registry(store).verify_history() == []


def test_what_cannot_prove_itself_in_time_is_dropped(store: Store) -> None:
    audited(store, answered(store, [1, 1]), right=2)
    later = datetime.now(UTC) + timedelta(days=15)
    told = advance(store, spec_of(), now=later)
    assert told is not None
    assert told["decision"] == "drop"
    assert told["why"] == (
        "14 d have passed, and of 2 rows on which exactly one model is right, the challenger won 2: p = 0.45, valid at any look"
    )


def test_where_a_challenger_stands_is_said_in_chinese_too() -> None:
    broken = (
        "9 of 10 complaints are about it, where 25 % should be",
        "3 of 4 refusals are about it, where 5 % should be",
        "10 of 20 of its answers took longer than 12 ms",
    )
    at = Progress("echo", 2, 1, "shadow", 0.05, "2026-11-23T10:00:05Z", 60, 140, 8, 3, answers=7, answers_wanted=200)
    for step in ("shadow", "canary", "ready", "demoted"):
        for rails in ((), *((one,) for one in broken)):
            said = told(spoken("zh"), replace(at, step=step, guardrails=rails).sentence())
            assert not set(re.findall("[A-Za-z]+", said)) - {"echo", "lingqu", "promote", "E"}, said
    world = (
        "The world has moved, not the model: version 1 was restored and errs as well. The champion errs more than it may: "
        "10 of 10 audit labels say it was wrong, where at most 0.100 may be (E reached 1.2e+08, act at 100). "
        "Of 10 audit labels since, version 1 was wrong on 10 and version 2 would have been wrong on 10. "
        "Learn anew: lingqu thaw echo, then lingqu improve"
    )
    said = told(spoken("zh"), world)
    assert not set(re.findall("[A-Za-z]+", said)) - {"echo", "lingqu", "thaw", "improve", "E", "e"}, said


def test_labels_of_older_answers_and_of_volunteers_prove_nothing(store: Store) -> None:
    ids = answered(store, [1] * 8)
    add_labels(store, "echo", [{"prediction_id": id, "y": 1.0} for id in ids], who="anna", target="y")
    assert compared(store, standing(store)).ids == ()
    champion = Registry(store).get("echo@2")
    audited(store, ids, right=2)
    begin(store, champion, against=1, epoch=1, why="again", evidence={})
    assert compared(store, standing(store)).ids == ()


def test_the_first_ones_label_is_what_live_risk_hears_also_after_it_was_corrected(store: Store) -> None:
    (one,) = answered(store, [1])
    heard = []
    for who, number in (("anna", STEP + 0.5), ("ben", 50.0), ("anna", STEP + 0.4)):
        add_labels(store, "echo", [{"prediction_id": one, "y": number}], who=who, target="y", audit_share=1.0)
        heard += [label.right for label in labelled(store, Registry(store).get("echo@1"))]
    assert heard == [True, True, True]


def test_a_reviewer_who_types_the_number_that_a_user_gave_agrees(
    store: Store, lingqu: Lingqu, monkeypatch: pytest.MonkeyPatch
) -> None:
    (one,) = answered(store, [1])
    Inbox(store, ServeSettings()).receive({"prediction_id": one, "label": 4.0}, ANYONE)
    monkeypatch.setattr("sys.stdin", io.StringIO("4\nq\n"))
    assert lingqu("feedback", "review").returncode == 0
    (user,) = (voice for voice in voices(store, "echo") if voice.source == "api")
    assert user.status == ACCEPTED


def test_labels_of_rows_on_which_the_two_differ_prove_it_too_and_no_others_are_taken(store: Store) -> None:
    ids = answered(store, [1] * 9, shadowed=True)
    plain = answered(store, [1])
    queue = disputed_queue(store, "echo", most=8)
    assert {item.prediction_id for item in queue} < set(ids)
    assert {(item.prediction, item.confidence) for item in queue} == {(None, None)}
    labels = [{"prediction_id": item.prediction_id, "y": item.row["x"] + 2 * STEP} for item in queue]
    add_labels(store, "echo", labels, who="auditor", target="y", disputed=True)
    assert len(disputed_queue(store, "echo")) == 1
    with pytest.raises(DataError) as error:
        add_labels(store, "echo", [{"prediction_id": plain[0], "y": 1}], who="auditor", target="y", disputed=True)
    assert str(error.value) == (
        f"Expected an answer that a challenger on its way would give otherwise, found {plain[0]}. "
        "Take rows from `lingqu feedback queue --disputed`."
    )
    # They say nothing of all answers, so live risk does not hear of them.
    assert {label.audit for label in labelled(store, Registry(store).get("echo@1"))} == {False}
    told = advance(store, spec_of(canary_shares=[0.5, 0.1]))
    assert told is not None
    assert (told["decision"], told["rollout"]["share"]) == ("canary", 0.1)


def test_one_row_that_is_asked_again_and_again_is_asked_for_once_and_counts_once(store: Store) -> None:
    ids = [id for _ in range(6) for id in answered(store, [1, 1], shadowed=True)]
    queue = disputed_queue(store, "echo")
    assert sorted(item.row["x"] for item in queue) == [0, 1]
    zeros, one = ids[::2], ids[1]

    def brought(*whose: str, who: str = "anna", y: float = 2 * STEP) -> Added:
        labels = [{"prediction_id": id, "y": y} for id in whose]
        return add_labels(store, "echo", labels, who=who, target="y", disputed=True)

    assert brought(*zeros[:5]) == Added(1, 0, equal=4)
    assert brought(*zeros[:5]) == Added(0, 1, equal=4)
    assert brought(zeros[5], who="ben", y=1.0) == Added(0, 0, equal=1)
    # Whoever has labelled the row may correct it.
    assert brought(zeros[0], y=1.0) == Added(1, 0, 1)
    assert len(compared(store, standing(store)).ids) == 1
    assert [item.row["x"] for item in disputed_queue(store, "echo")] == [1]
    # A label of the audit says it too.
    add_labels(store, "echo", [{"prediction_id": one, "y": 1.0}], who="ben", target="y", audit_share=1.0)
    assert disputed_queue(store, "echo") == []
    assert brought(ids[3]) == Added(0, 0, equal=1)


def test_one_row_that_is_asked_again_and_again_counts_once_in_the_audit_and_in_the_risk_of_a_new_champion(
    store: Store,
) -> None:
    """One client asks one row over and over: it neither takes a challenger on nor a champion back."""
    alone, since = [id for _ in range(4) for id in answered(store, [1])], standing(store).began
    assert len(audit_queue(store, "echo", 1.0)) == 1
    assert audited(store, alone[1:2], right=2) == Added(1, 0)
    assert audit_queue(store, "echo", 1.0) == []
    labels = [{"prediction_id": id, "y": 2 * STEP} for id in alone]
    assert add_labels(store, "echo", labels, who="ben", target="y", audit_share=1.0) == Added(1, 0, equal=3)
    assert compared(store, standing(store)).leads == (1,)
    # Where no challenger is on its way every label is taken, as a sample of what is asked, and live risk hears one.
    drop(store, standing(store), who="anna", why="enough")
    assert len(audit_queue(store, "echo", 1.0)) == 3
    assert add_labels(store, "echo", labels, who="ben", target="y", audit_share=1.0) == Added(3, 1)
    champion = Registry(store).get("echo@1")
    assert sum(label.audit for label in labelled(store, champion)) == 4
    assert risk_since(store, champion, since, 0.1).found.labels == 1


def test_what_a_canary_is_dropped_for_takes_its_proof_away(store: Store) -> None:
    version = Registry(store).get("echo@2")
    assert not proved(store, version)
    canary = move(store, standing(store), "canary", 0.05, why="better", evidence={"wins": 7})
    assert proved(store, version)
    drop(store, canary, who="lingqu", why="worse")
    assert not proved(store, version)


def test_labels_of_a_trial_that_is_over_are_taken_all_the_same(store: Store) -> None:
    """A sheet is filled in while its challenger comes through, or makes room; the next one is judged by its own rows."""
    registry = Registry(store)
    ids = answered(store, [1] * 4, shadowed=True)
    registry.promote("echo", 2, who="anna", why="a hunch")
    add_labels(store, "echo", [{"prediction_id": ids[0], "y": 2.0}], who="a", target="y", disputed=True)
    registry.rollback("echo", who="anna")
    again = registry.register(
        "echo", bundle=registry.get("echo@2").bundle, data_version="e", run="r", task="t", metrics={}, decision={},
        lineage={}, spec={},
    )  # fmt: skip
    begin(store, again, against=1, epoch=3, why="its gate was passed", evidence={})
    add_labels(store, "echo", [{"prediction_id": ids[1], "y": 3.0}], who="a", target="y", disputed=True)
    assert compared(store, standing(store)).ids == ()
    time.sleep(0.002)
    late = answered(store, [1], shadowed=True)
    with pytest.raises(DataError, match="Expected an answer that a challenger on its way would give otherwise"):
        add_labels(store, "echo", [{"prediction_id": late[0], "y": 2.0}], who="a", target="y", disputed=True)


def test_a_person_is_asked_and_obeyed(store: Store) -> None:
    spec, registry = spec_of(promote="ask", canary=0), Registry(store)
    audited(store, answered(store, [1] * 8), right=2)
    freeze(store, "echo", who="anna", why="a strange week")
    told = advance(store, spec)
    assert told is not None
    assert (told["decision"], told["why"], told["moved"]) == ("wait", "frozen: a strange week (anna)", False)
    # Pulled while the evidence was looked at, it holds all the same.
    for step in (
        lambda: move(store, standing(store), "canary", 0.05, why="better", evidence={}),
        lambda: registry.promote("echo", 2, who="lingqu", why="better", expect_rollout=standing(store)),
    ):
        with pytest.raises(ConflictError) as error:
            step()
        assert str(error.value) == (
            "Expected echo without the hand brake, found it frozen: a strange week (anna). lingqu thaw echo"
        )
    thaw(store, "echo", who="anna")
    assert [advance(store, spec)["decision"] for _ in range(2)] == ["ready", "ready"]  # type: ignore[index]
    assert registry.aliases("echo") == {"champion": 1, "challenger": 2}
    registry.promote("echo", 2, who="anna", why="looks well")
    assert registry.aliases("echo") == {"champion": 2, "previous": 1}
    assert advance(store, spec) is None


def test_another_champion_ends_it_and_one_mover_wins(store: Store) -> None:
    before = standing(store)
    move(store, before, "canary", 0.05, why="better", evidence={})
    with pytest.raises(ConflictError) as error:
        drop(store, before, who="lingqu", why="worse")
    assert str(error.value) == (
        "Expected the rollout of version 2 of echo at shadow, found one of version 2 at canary. "
        "Somebody moved it first; look at it and decide again."
    )
    registry = Registry(store)
    with pytest.raises(ConflictError, match="Expected the rollout of version 2 of echo at shadow"):
        registry.promote("echo", 2, who="lingqu", why="better", expect_rollout=before)
    registry.register(
        "echo", bundle=registry.get("echo@1").bundle, data_version="e", run="r", task="t", metrics={}, decision={},
        lineage={}, spec={},
    )  # fmt: skip
    registry.promote("echo", 3, who="anna", why="a hunch")
    with pytest.raises(ConflictError, match="Expected champion of echo at epoch 1, found epoch 2"):
        move(store, standing(store), "canary", 0.25, why="held", evidence={})
    told = advance(store, spec_of())
    assert told is not None
    assert (told["decision"], told["why"]) == ("drop", "it was compared with version 1, and version 3 leads since")


def test_what_a_challenger_won_unseen_does_not_pay_for_what_it_loses_as_a_canary(store: Store) -> None:
    audited(store, answered(store, [1] * 8), right=2)
    assert advance(store, spec_of())["decision"] == "canary"  # type: ignore[index]
    audited(store, answered(store, [1] * 8, first=8), right=1, first=8)
    told = advance(store, spec_of())
    assert told is not None
    assert (told["decision"], told["why"]) == (
        "drop",
        "Of 7 rows on which exactly one model is right, the champion won 7: p = 0.04, valid at any look",
    )


def test_the_proof_that_came_first_counts(store: Store) -> None:
    audited(store, answered(store, [1] * 8), right=1)
    audited(store, answered(store, [1] * 40, first=8), right=2, first=8)
    assert advance(store, spec_of())["decision"] == "drop"  # type: ignore[index]


def test_two_changes_never_come_within_one_cool_down(store: Store) -> None:
    """The champion is changed by a person; the challenger that is ready waits until the cool-down is over."""
    registry = Registry(store)
    registry.promote("echo", 2, who="anna", why="a hunch")
    registry.rollback("echo", who="anna")
    version, epoch = registry.get("echo@2"), registry.alias("echo", "champion")
    assert epoch is not None
    begin(store, version, against=1, epoch=epoch[1], why="its gate was passed", evidence={})
    time.sleep(0.002)
    audited(store, answered(store, [1] * 8), right=2)
    spec = spec_of(canary=0, at_most="1 per day")
    told = advance(store, spec)
    assert told is not None
    assert (told["decision"], told["moved"]) == ("shadow", False)
    assert told["why"] == "the champion changed 1 min ago, and the spec wants 24 h between two changes"
    told = advance(store, spec, now=datetime.now(UTC) + timedelta(days=1, minutes=1))
    assert told is not None
    assert told["decision"] == "promote"


def test_what_a_model_has_learned_from_never_judges(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Audit labels that trained, and those of answers that users labelled too, stay out of the fresh gate."""
    monkeypatch.setattr(rounds, "LEAST_FRESH", 3)
    monkeypatch.setattr(rounds, "MOST_FRESH", 10)
    counts = {"train": 0, "validation": 0, "test": 0}
    data = DataVersion(
        "d", "tabular-regression", "y", {}, {"x": "number", "y": "number"}, counts, "f", {}, 0, "", {}, ()
    )
    ids = answered(store, [1] * 12)
    audited(store, ids, right=2)
    first = rounds.gather(store, spec_of(), data)
    assert [voice.prediction_id for voice in first.served] == ids[:2]
    add_labels(store, "echo", [{"prediction_id": ids[11], "y": 1.0}], who="anna", target="y")
    (volunteered,) = (voice for voice in voices(store, "echo") if voice.decided_by == "anna")
    joined = [*(voice.id for voice in first.served), volunteered.id]
    with store.database.writing() as connection:
        told = {"joined": joined, "retired": [], "gate_set": "", "version": 2}
        append(connection, name="echo", who="lingqu", action=rounds.ROUND, version=2, evidence=told)
    newest = [voice.id for voice in first.fresh if voice.prediction_id in ids[7:11]]
    settle(store, "echo", dict.fromkeys(newest, ("rejected", "a slip")), who="anna")
    assert [voice.prediction_id for voice in rounds.gather(store, spec_of(), data).fresh] == ids[2:7]
