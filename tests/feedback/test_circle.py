"""One turn of the circle on a real store: labels come in, a challenger is learned from the base, the gate decides."""

from __future__ import annotations

import random
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from lingqu.data.version import DataVersion
from lingqu.evaluate.translation import Words
from lingqu.feedback import idle
from lingqu.feedback.add import add_labels
from lingqu.feedback.freeze import freeze, thaw
from lingqu.feedback.grow import grow, typed
from lingqu.feedback.round import ROUND, gather
from lingqu.feedback.voice import ACCEPTED, REJECTED, settle, voices
from lingqu.loop import check, improve, load, run
from lingqu.registry import Registry
from lingqu.serve.keys import new_key
from lingqu.store import Store
from lingqu.store.history import append
from lingqu.tasks import find_task

NEW = ["refund", "invoice", "charge", "payment"]
OLD = ["crash", "login", "error", "screen"]
LATE = ["card", "wallet", "receipt", "billing"]
FILLER = ["please", "help", "me", "with", "my", "thing", "today", "as", "soon", "as", "you", "can", "thanks"]


def message(rng: random.Random, words: list[str]) -> str:
    parts = [rng.choice(words), *rng.sample(FILLER, 5), f"no{rng.randrange(10**6)}"]
    rng.shuffle(parts)
    return " ".join(parts)


def rows(count: int, seed: int, *, late: float = 0.0) -> list[dict[str, Any]]:
    """Tickets of two queues; a share `late` of those about money uses words that came later."""
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        money = rng.random() < 0.5
        words = (LATE if rng.random() < late else NEW) if money else OLD
        # One label in eight is wrong, as labels are.
        told = money if rng.random() < 0.88 else not money
        found.append({"message": message(rng, words), "queue": "money" if told else "bugs"})
    return found


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Store]:
    folder = tmp_path_factory.mktemp("project")
    lines = ["message,queue", *(f"{row['message']},{row['queue']}" for row in rows(900, 1, late=0.0))]
    (folder / "tickets.csv").write_text("\n".join(lines), encoding="utf-8")
    spec = folder / "lingqu.yaml"
    spec.write_text(
        "name: router\ntask: text-classification\nmodel: ngram-linear\ndata:\n  source: tickets.csv\n"
        "  columns: {text: message, label: queue}\n"
        "improve: {after: 50 new labels, at_most: 1 per day, promote: ask}\n",
        encoding="utf-8",
    )
    store = Store.open(folder / ".lingqu")
    run(spec, store=store)
    return spec, store


@pytest.mark.heavy
def test_a_turn_waits_for_labels_and_says_so(project):
    spec, store = project
    told = improve(spec, store=store, asked=False)
    assert told["decision"] == "wait"
    assert told["why"] == "0 new labels of the 50 that start a round"


@pytest.mark.heavy
def test_a_turn_reads_what_was_said_again_only_where_something_was_said_or_decided(project, tmp_path, monkeypatch):
    shutil.copytree(project[0].parent, tmp_path / "project")
    spec, store = tmp_path / "project" / "lingqu.yaml", Store.open(tmp_path / "project" / ".lingqu")
    looks: list[str] = []

    def turn(**given: Any) -> dict[str, Any]:
        looks.clear()
        return improve(spec, store=store, **{"asked": False, **given})

    def reads(*told: Any) -> None:
        if "feedback.input" in told[2]:
            looks.append(told[2])

    monkeypatch.setattr(idle, "HOUR", 1e12)
    event.listen(Engine, "before_cursor_execute", reads)
    try:
        add_labels(store, "router", rows(5, 7), who="anna", target="queue")
        first = turn()
        assert (first["new"], len(looks)) == (5, 2)
        assert (turn(), looks) == (first, [])
        # A person decides, a file comes, a key is made, a look is an hour old: then it looks again, once.
        one = voices(store, "router")[0].id
        settle(store, "router", {one: (REJECTED, "no")}, who="anna")
        assert (turn()["new"], turn()["new"], looks) == (4, 4, [])
        settle(store, "router", {one: (ACCEPTED, "yes")}, who="anna")
        add_labels(store, "router", rows(10, 8), who="anna", target="queue")
        assert (turn()["new"], len(looks)) == (15, 2)
        new_key(store, "app", scopes=["feedback"])
        assert (turn()["new"], len(looks)) == (15, 2)
        assert (turn()["new"], looks) == (15, [])
        monkeypatch.setattr(idle, "HOUR", 1e9)
        assert (turn()["new"], len(looks)) == (15, 2)
        # Time and the brake are looked at in any case.
        freeze(store, "router", who="anna", why="holiday")
        turn()
        assert (turn()["why"], looks) == ("frozen: holiday (anna)", [])
        thaw(store, "router", who="anna", why="back")
        turn()
        assert (turn(alarm="drift")["decision"] == "wait", len(looks)) == (False, 2)
    finally:
        event.remove(Engine, "before_cursor_execute", reads)


@pytest.mark.heavy
def test_new_words_are_learned_and_the_base_stays(project):
    spec, store = project
    champion = load("router", store=store)
    late = rows(80, 7, late=1.0)
    added = add_labels(store, "router", late, who="anna", target="queue")
    assert (added.taken, added.known) == (80, 0)
    assert add_labels(store, "router", late, who="anna", target="queue").known == 80

    started = time.perf_counter()
    told = improve(spec, store=store, asked=False)
    assert told["decision"] in ("promote", "keep", "not-enough-rows"), told
    assert told["joined"] == 80
    assert time.perf_counter() - started < 30
    version = Registry(store).get(f"router@{told['version']}")
    assert version.number == 2

    fresh = rows(200, 9, late=1.0)
    answers = [load(f"router@{n}", store=store).predict([{"message": row["message"]} for row in fresh]) for n in (1, 2)]
    right = [sum(a.label == row["queue"] for a, row in zip(given, fresh, strict=True)) for given in answers]
    assert right[1] >= right[0]
    assert champion.predict([{"message": "crash"}])
    event = Registry(store).history("router")
    assert any(one.action == "improve" for one in event)

    again = improve(spec, store=store, asked=False)
    assert again["decision"] == "wait"
    assert again["why"].startswith("the last round was 1 min ago, and the spec wants 24 h")


@pytest.mark.heavy
def test_no_row_that_judges_ever_trains(project):
    """F9: a thousand copies of gate rows, and texts that are nearly the same, are offered as labels: none of them joins."""
    _, store = project
    task = find_task("text-classification")
    data = DataVersion.from_dict(store.get_json(Registry(store).get("router@1").lineage["report"])["data"])
    gate = [*data.rows("test", store)]
    forms = ["{}", "{} !", "  {}", '"{}"', "{}...", "({})", "{}?", "-- {}"]
    near = [
        {"message": forms[n // len(gate)].format(row["text"].upper() if n % 2 else row["text"]), "queue": "bugs"}
        for n, row in enumerate((gate * len(forms))[:1000])
    ]
    other = [{"message": f"an entirely other matter {n} about roses", "queue": "bugs"} for n in range(3)]
    add_labels(store, "router", [*near, *other], who="mallory", target="queue")
    offered = [voice for voice in voices(store, "router") if voice.decided_by == "mallory"]
    grown = grow(data, offered, task, store)
    assert len(grown.joined) == 3
    assert len(near) == len(grown.left) == 1000
    assert Words("zh").told(str(grown.data.findings[-1])) == "训练数据中有 3 行来自被接受的反馈。"
    assert set(grown.left.values()) <= {"it is a row of the gate, or nearly so", "a newer voice speaks of the same row"}
    assert grow(data, offered[::-1], task, store).data.id == grown.data.id
    assert typed([], data, task, store).ids == []
    strange = replace(offered[0], input={"subject": "a letter of another model"})
    told = "Expected a text in 'message', found nothing. Training rows had no missing value there."
    assert typed([strange], data, task, store).faults == {strange.id: told}
    # A column may go by its role in one row and by the user's own name in the next.
    by_role = replace(offered[1], input={"text": "called by its role"})
    assert [*typed([offered[0], by_role], data, task, store).rows["text"]][1] == "called by its role"
    # A store may hold such labels from before they were refused.
    blank = replace(offered[0], value=" ")
    assert typed([blank], data, task, store).faults == {blank.id: "its answer ' ' is no label"}
    assert grow(data, [blank], task, store).left == {blank.id: "its answer ' ' is no label"}
    for split in ("validation", "test"):
        assert grown.data.row_ids(split, store) == data.row_ids(split, store)
    assert grown.data.counts["train"] == data.counts["train"] + 3
    assert grow(data, offered[:1000], task, store).data is data


@pytest.mark.heavy
def test_what_a_round_left_out_is_no_news_until_the_champion_changes_or_a_person_decides(project):
    path, store = project
    spec, champion = check(path), Registry(store).aliases("router")["champion"]
    data = DataVersion.from_dict(store.get_json(Registry(store).get("router@1").lineage["report"])["data"])
    known = {voice.id for voice in voices(store, "router")}
    add_labels(store, "router", rows(30, 77), who="ben", target="queue")
    left = [voice.id for voice in voices(store, "router") if voice.id not in known]

    def round_of(version: int) -> None:
        with store.database.writing() as connection:
            evidence = {"version": version, "joined": [], "left": left, "gate_set": ""}
            append(connection, name="router", who="lingqu", action=ROUND, version=version, evidence=evidence)

    news = gather(store, spec, data).new
    round_of(99)
    assert gather(store, spec, data).new == news - 30
    settle(store, "router", {left[0]: (REJECTED, "")}, who="anna")
    settle(store, "router", {left[0]: (ACCEPTED, "it is right")}, who="anna")
    assert gather(store, spec, data).new == news - 29
    round_of(champion)
    assert gather(store, spec, data).new == news
