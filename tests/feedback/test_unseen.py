"""`improve.proof: unseen`: a challenger that does no harm on the test rows has its proof from today's traffic alone."""

from __future__ import annotations

import shutil
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lingqu.cli import call
from lingqu.cli.improve import _tell
from lingqu.contract import LabelScores
from lingqu.errors import SpecError
from lingqu.evaluate.gate import decide
from lingqu.feedback.add import add_labels
from lingqu.feedback.freeze import freeze, thaw
from lingqu.feedback.rollout import gives_way
from lingqu.feedback.voice import REJECTED, settle, voices
from lingqu.loop import improve, load, run
from lingqu.registry import Registry
from lingqu.registry.alpha import alpha_of
from lingqu.registry.rollouts import Rollout, rollout
from lingqu.serve.journal import Entry, Journal, new_id
from lingqu.serve.keys import ANYONE
from lingqu.spec import Spec
from lingqu.spec.running import ImproveSettings, JournalSettings
from lingqu.stages import Tell, silent
from lingqu.statistics import SignTest, sign_evalues
from lingqu.store import Store
from lingqu.tasks import find_task
from tests.feedback.test_circle import rows

SPEC = (
    "name: router\ntask: text-classification\nmodel: ngram-linear\nbudget: 30 s\n"
    "data:\n  source: tickets.csv\n  columns: {text: message, label: queue}\n"
    "gates: {margin: 0.2}\n"
    "improve: {after: 50 new labels, at_most: 999999 per day, promote: auto, canary: 0, proof: unseen}\n"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unseen")
    lines = ["message,queue", *(f"{row['message']},{row['queue']}" for row in rows(600, 1))]
    (folder / "tickets.csv").write_text("\n".join(lines), encoding="utf-8")
    (folder / "lingqu.yaml").write_text(SPEC, encoding="utf-8")
    run(folder / "lingqu.yaml", store=Store.open(folder / ".lingqu"))
    return folder


@pytest.fixture
def project(made: Path, tmp_path: Path) -> tuple[Path, Store]:
    shutil.copytree(made, tmp_path / "project")
    return tmp_path / "project" / "lingqu.yaml", Store.open(tmp_path / "project" / ".lingqu")


def standing(store: Store) -> Rollout:
    found = rollout(store, "router")
    assert found is not None
    return found


def audited(store: Store, number: int, given: Sequence[dict[str, Any]]) -> None:
    """The champion answers these rows, and trusted people label them because the audit asks."""
    time.sleep(0.002)  # Ids of answers tell the millisecond, and only younger ones count.
    answers = load(f"router@{number}", store=store).predict([{"message": row["message"]} for row in given])
    labels = []
    with Journal(store, JournalSettings(inputs="plain")) as journal:
        for row, answer in zip(given, answers, strict=True):
            about = ("r", time.time(), "router", number, "champion", ANYONE, None)
            journal.record(Entry(id := new_id(), *about, {"message": row["message"]}, answer, 1.0))
            labels.append({"prediction_id": id, "queue": row["queue"]})
    add_labels(store, "router", labels, who="auditor", target="queue", audit_share=1.0)


def labelled(store: Store, number: int, given: Sequence[dict[str, Any]]) -> list[str]:
    """What a version says to these rows."""
    found = load(f"router@{number}", store=store).predict([{"message": row["message"]} for row in given])
    return [answer.label for answer in found if isinstance(answer, LabelScores)]


def learned(spec: Path, store: Store, seed: int, tell: Tell = silent) -> dict[str, Any]:
    """A turn after sixty new labels."""
    add_labels(store, "router", rows(60, seed, late=1.0), who="anna", target="queue")
    return improve(spec, store=store, asked=False, tell=tell)


@pytest.mark.heavy
def test_todays_traffic_proves_what_the_test_rows_cannot(project: tuple[Path, Store], capsys: Any) -> None:
    spec, store = project
    audited(store, 1, rows(120, 3, late=1.0))

    # Somebody pulls the brake while it is learned: nothing begins by itself, and the round waits for them.
    def brake(stage: str, _done: float, _sentence: str) -> None:
        if stage == "gate":
            freeze(store, "router", who="anna")

    told = learned(spec, store, 7, brake)
    assert (told["decision"], told["why"], told["rollout"]) == ("wait", "frozen: by anna", None)
    assert rollout(store, "router") is None
    thaw(store, "router", who="anna")
    told = improve(spec, store=store, asked=False)
    # No fresh gate is kept back: the audit labels of before train as well.
    assert (told["decision"], told["fresh"], told["joined"]) == ("unseen", 0, 180)
    told_first = told
    gate = told["gate"]
    assert (gate["decision"], gate["gate_set"], gate["round"], gate["exhausted"]) == ("unseen", "unseen-v1", 1, False)
    assert "better" not in {check["name"] for check in gate["checks"]}
    now = standing(store)
    assert (now.version, now.step, now.alpha) == (2, "shadow", pytest.approx(0.025))

    home = ["--home", str(store.folder)]
    assert call(["promote", "router@2", *home]) == 1
    assert capsys.readouterr().err == (
        "Expected a passed gate for router@2, found the decision 'unseen'. Let trusted people label what is asked for "
        "(lingqu feedback queue --disputed), or overrule it: --override --why REASON\n"
    )

    waiting = improve(spec, store=store, asked=False)
    assert waiting["decision"] == "shadow"
    assert waiting["why"].endswith("e = 1 of the 40 that prove it")
    before = {one.id for one in voices(store, "router")}
    audited(store, 1, rows(60, 11, late=1.0))
    told = improve(spec, store=store, asked=False)
    assert (told["decision"], told["champion"]) == ("promote", 2), told
    sentences = [event.sentence() for event in Registry(store).history("router")]
    why = "it does no harm on the test rows, and today's traffic has to prove it, at alpha 0.025"
    assert any(
        sentence.endswith(f"version 2 of router answers unseen beside version 1 (lingqu): {why}.")
        for sentence in sentences
    )
    (crowned,) = (one for one in sentences if "version 2 became champion" in one)
    assert crowned.endswith("valid at any look."), crowned
    assert Registry(store).verify_history() == []
    page = Path(told_first["report"]).read_text("utf-8")
    assert "where it only has to do no harm" in page
    assert "Luck alone passes this gate" not in page

    # The same labels give the same model: it is told, and no copy of the champion answers unseen beside it.
    newer = {one.id for one in voices(store, "router")} - before
    settle(store, "router", dict.fromkeys(newer, (REJECTED, "a slip")), who="anna")
    again = improve(spec, store=store)
    _tell(Namespace(json=False), again)
    assert "router@2 answers nobody: the same labels gave version 2 again" in " ".join(capsys.readouterr().out.split())
    assert (again["decision"], again["version"], again["rollout"]) == ("wait", 2, None)
    assert again["why"] == "the same labels gave version 2 again, which leads already"
    spec.write_text(SPEC.replace("margin: 0.2", "margin: 0.21"), encoding="utf-8")
    again = improve(spec, store=store)
    assert (again["decision"], again["rollout"]) == ("keep", None)
    assert [check["name"] for check in again["gate"]["checks"] if not check["passed"]] == ["another model"]


@pytest.mark.heavy
def test_a_round_is_finished_by_the_proof_with_which_it_was_begun(project: tuple[Path, Store]) -> None:
    spec, store = project
    spec.write_text(SPEC.replace(", proof: unseen", ""), encoding="utf-8")
    audited(store, 1, rows(120, 3, late=1.0))

    def killed(stage: str, *_: Any) -> None:
        if stage == "gate":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learned(spec, store, 7, killed)
    spec.write_text(SPEC, encoding="utf-8")
    told = improve(spec, store=store, asked=False)
    assert (told["fresh"], told["gate"]["gate_set"][:6]) == (120, "audit-")


@pytest.mark.heavy
def test_one_that_is_behind_makes_room_and_the_next_pays_more(project: tuple[Path, Store]) -> None:
    spec, store = project
    told = learned(spec, store, 21)
    assert told["decision"] == "unseen", told
    first = standing(store)
    # It is not behind yet, so it stays, though there is enough to learn from.
    assert learned(spec, store, 22)["decision"] == "shadow"
    assert standing(store).version == first.version

    many = rows(3000, 23, late=0.5)
    old, new = (labelled(store, n, many) for n in (1, first.version))
    differ = [{**row, "queue": a} for row, a, b in zip(many, old, new, strict=True) if a != b]
    assert len(differ) >= 3
    audited(store, 1, differ[:3])
    told = improve(spec, store=store, asked=False)
    assert told["decision"] == "unseen", told
    second = standing(store)
    assert second.version == first.version + 1
    assert second.alpha == pytest.approx(first.alpha and first.alpha / 3)
    assert any("takes its place" in event.sentence() for event in Registry(store).history("router"))

    # One that says what the champion says is not behind, and would stand in the way for ever.
    same = rows(400, 25)
    both = zip(same, *(labelled(store, n, same) for n in (1, second.version)), strict=True)
    agreed = [{**row, "queue": old} for row, old, new in both if old == new][:200]
    audited(store, 1, agreed)
    told = learned(spec, store, 26)
    assert told["decision"] == "unseen", told
    assert (len(agreed), standing(store).version) == (200, second.version + 1)


def test_who_shows_no_harm_is_left_to_todays_traffic_and_who_does_harm_is_not() -> None:
    task = find_task("text-classification")
    truth = ["a", "b"] * 300

    def answers(wrong: int) -> list[LabelScores]:
        return [
            LabelScores.of({"a": 0.9, "b": 0.1} if (t == "a") is (i >= wrong) else {"a": 0.1, "b": 0.9})
            for i, t in enumerate(truth)
        ]

    equal = decide(task, truth, answers(60), answers(60), alpha=0.025, margin=0.05, prove=False)
    assert equal.decision == "unseen"
    assert equal.sentence().startswith("No harm on the test rows; today's traffic has to prove it: ")
    assert " p = " not in equal.sentence()
    assert equal.to_json()["p"] is None
    assert decide(task, truth, answers(60), answers(60), alpha=0.025, margin=0.05).decision == "keep"
    worse = decide(task, truth, answers(60), answers(120), alpha=0.025, margin=0.05, prove=False)
    assert worse.decision == "keep"


def test_thirty_equal_challengers_one_after_the_other_are_rarely_promoted() -> None:
    """All that try against one champion share one budget: P(any promotion) <= 0.05, however often one looks."""
    rng = np.random.default_rng(3)
    promoted = np.zeros(400, dtype=bool)
    for number in range(1, 31):
        highest = sign_evalues(rng.random((400, 100)) < 0.5).max(axis=-1)
        promoted |= highest >= -np.log(alpha_of(number))
    assert 0 < promoted.sum() <= 20


def test_a_challenger_makes_room_when_it_is_behind_or_slow_and_sooner_under_an_alarm() -> None:
    behind, few, many, far = SignTest(4, 5), SignTest(5, 3), SignTest(15, 10), SignTest(15, 5)
    assert [gives_way(one, 0.05) for one in (SignTest(), behind, few, many, far)] == [False, True, False, True, False]
    sooner = [gives_way(one, 0.05, alarm=True) for one in (SignTest(), behind, few, many, far)]
    assert sooner == [True, True, True, True, False]
    assert gives_way(SignTest(0, 5000), 0.05)


def test_a_proof_that_nobody_would_see_is_no_spec() -> None:
    with pytest.raises(SpecError) as error:
        Spec.model_validate(
            {"name": "a", "task": "t", "data": {"source": "a.csv"}, "improve": {"proof": "unseen", "shadow": "never"}}
        )
    assert str(error.value) == (
        "Expected a challenger that may answer unseen for improve, found proof: unseen with shadow: never. "
        "Leave shadow out, or set proof: gate."
    )
    assert ImproveSettings().proof == "gate"
