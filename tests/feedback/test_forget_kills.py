"""Forgetting that is broken off, or meets others at work: the same request finishes it, and tells it whole."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from lingqu.cli import call
from lingqu.data.forgotten import remembered
from lingqu.errors import ConflictError, StoreError
from lingqu.evaluate.unseen import data_of
from lingqu.feedback.add import add_labels
from lingqu.feedback.forget import Forgotten, forget, sweep, tables
from lingqu.feedback.forget.wanted import Wanted
from lingqu.registry import Registry
from lingqu.serve.inbox import Inbox
from lingqu.serve.journal import recorded
from lingqu.serve.keys import ANYONE
from lingqu.spec import ServeSettings
from lingqu.store import Store, write_bytes
from tests.feedback.test_circle import rows
from tests.feedback.test_forget import NAME, PERSON, PLAIN, SPEC, entry, places_of

MINE = "mallory wants the moon"
REQUESTS = {
    "a person": ((PERSON, NAME), None, (PERSON, NAME)),
    "a source": ((), "file:mallory", (MINE,)),
}
"""Of each request: the texts, the source, and what no file may hold any more."""


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learned rows of a person, and labels of anna and of mallory, who also sent what others had sent."""
    from lingqu.loop import improve, run

    folder = tmp_path_factory.mktemp("grown")
    given = [(row["message"], row["queue"]) for row in rows(600, 1)]
    given[31] = (f"please write {PERSON} about the login", given[31][1])
    given[400] = (f"({PERSON}) {NAME}", given[400][1])
    with (folder / "rows.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("message", "queue"), *given])
    write_bytes(folder / "lingqu.yaml", SPEC.replace("  group: user\n", "").encode())
    store = Store.open(folder / ".lingqu")
    run(folder / "lingqu.yaml", store=store)
    Registry(store).promote("router", 1, who="anna", why="first", evidence={"override": True})
    train = data_of(Registry(store).get("router@1"), store).rows("train", store)
    same = zip(train["text"][:20], train["label"][:20], strict=True)
    brought = [{"message": text, "queue": label} for text, label in same if PERSON not in text]
    brought += [{"message": f"{MINE} {number}", "queue": "bugs"} for number in range(5)]
    good = [*rows(60, 7, late=1.0), {"message": f"{PERSON} says the card is broken", "queue": "bugs"}]
    add_labels(store, "router", good, who="anna", target="queue")
    add_labels(store, "router", brought, who="mallory", target="queue")
    assert improve(folder / "lingqu.yaml", store=store)["joined"] == len(good) + len(brought)
    return folder


@pytest.fixture
def project(grown: Path, tmp_path: Path) -> Path:
    shutil.copytree(grown, tmp_path / "project")
    store = Store.open(tmp_path / "project" / ".lingqu")
    answered = entry(store, f"call {PERSON}")
    Inbox(store, ServeSettings(journal=PLAIN)).receive({"prediction_id": answered, "label": "sales"}, ANYONE)
    return tmp_path / "project"


def let_go(folder: Path, what: str, kill_at: int = 0) -> None:
    """Forget; killed before this durable step, counted from 1. Writes how many there were, and what it came to."""
    from tests.feedback.kill_lab import Steps

    texts, source, _ = REQUESTS[what]
    store = Store.open(folder / ".lingqu")
    steps = Steps(kill_at, "replace", "rename", "unlink", "rmdir")
    found = forget(*texts, source=source, store=store)
    assert found.done and found.left == [] and found.compacted
    (folder / "steps").write_text(str(steps.count))
    (folder / "came-to").write_text(json.dumps(came_to(store, found), sort_keys=True))


def came_to(store: Store, found: Forgotten) -> list[Any]:
    """What was told of models, and how many rows each version is left with."""
    left = [data_of(version, store).counts for version in Registry(store).versions()]
    told = [{name: value for name, value in one.items() if name != "data"} for one in found.models]
    return [told, left]


@pytest.mark.heavy
@pytest.mark.parametrize("what", [*REQUESTS])
@pytest.mark.parametrize("kills", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_a_request_that_was_killed_anywhere_is_finished_by_the_next(
    project: Path, tmp_path: Path, what: str, kills: int, record_property: Any
) -> None:
    from tests.feedback.kill_lab import child

    calm = tmp_path / "calm"
    shutil.copytree(project, calm)
    assert child(let_go, calm, what) == 0
    steps = int((calm / "steps").read_text())
    assert steps > 20
    draw, killed = random.Random(21), tmp_path / "killed"
    for place in sorted(draw.sample(range(1, steps + 1), min(kills, steps))):
        shutil.rmtree(killed, ignore_errors=True)
        shutil.copytree(project, killed)
        assert child(let_go, killed, what, place) == -signal.SIGKILL
        assert child(let_go, killed, what) == 0
        assert all(places_of(killed / ".lingqu", needle) == [] for needle in REQUESTS[what][2]), place
        assert (killed / "came-to").read_text() == (calm / "came-to").read_text(), place
        assert Store.open(killed / ".lingqu").fsck() == [], place
    told = f"{min(kills, steps)} kills among {steps} durable steps, each finished by the next request"
    record_property("measured", told)


@pytest.mark.heavy
@pytest.mark.parametrize("what", [*REQUESTS])
@pytest.mark.parametrize("step", ["affected_stages", "clear_caches"])
def test_what_was_broken_off_takes_no_more_and_tells_no_less(
    project: Path, tmp_path: Path, what: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, source, needles = REQUESTS[what]
    shutil.copytree(project, tmp_path / "calm")
    calm = Store.open(tmp_path / "calm" / ".lingqu")
    store = Store.open(project / ".lingqu")
    assert not forget(*texts, source=source, store=calm, dry_run=True).begun
    expected = came_to(calm, forget(*texts, source=source, store=calm))
    assert [one["version"] for one in expected[0]] == ([1, 2] if texts else [2])

    def broken(*_: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(sweep, step, broken)
        forget(*texts, source=source, store=store)
    found = forget(*texts, source=source, store=store, dry_run=True)
    assert found.begun and not found.nothing
    assert came_to(store, forget(*texts, source=source, store=store)) == expected
    assert [places_of(store.folder, needle) for needle in needles] == [[]] * len(needles)
    assert store.fsck() == []


@pytest.mark.heavy
def test_models_that_were_learned_again_are_told_no_more(project: Path) -> None:
    from lingqu.loop import improve

    store = Store.open(project / ".lingqu")
    for _ in range(2):
        assert [one["version"] for one in forget(source="file:mallory", store=store).models] == [2]
    assert improve(project / "lingqu.yaml", store=store)["version"] == 3
    found = forget(source="file:mallory", store=store, dry_run=True)
    assert found.nothing and found.begun


def test_a_source_is_cleared_from_the_log_once_nobody_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path / ".lingqu")
    monkeypatch.setattr("lingqu.store.database.COMPACT_SECONDS", 0.2)
    labels = [{"message": f"{MINE} {number}", "queue": "bugs"} for number in range(5)]
    asked = ["forget", "--source", "file:mallory", "--home", str(store.folder)]
    add_labels(store, "router", labels, who="mallory", target="queue")
    assert store.database.path is not None
    reader = sqlite3.connect(store.database.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM feedback").fetchone()
    assert call([*asked, "--yes"]) == 1
    assert "stop it and run the same command again to clear its log" in capsys.readouterr().out
    reader.execute("COMMIT")
    assert any(name.startswith("lingqu.db") for name in places_of(store.folder, MINE))
    before = len(Registry(store).history())
    # Nothing is left that anybody could miss, so nobody is asked.
    assert call(asked) == 0
    assert capsys.readouterr().out.startswith("Forgotten: nothing more.\n")
    assert places_of(store.folder, MINE) == []
    assert len(Registry(store).history()) == before
    reader.close()


def test_what_the_service_writes_meanwhile_goes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, real = Store.open(tmp_path / ".lingqu"), sweep.affected_stages
    first, other = entry(store, "first", user=PERSON), entry(store, "somebody else")
    inbox = Inbox(store, ServeSettings(journal=PLAIN))

    def meanwhile(*given: Any) -> Any:
        entry(store, "second, while rows are written anew", user=PERSON)
        for answer, comment in ((first, "late"), (entry(store, f"of {PERSON}"), ""), (other, f"{PERSON} says so")):
            inbox.receive({"prediction_id": answer, "label": "sales", "comment": comment}, ANYONE)
        return real(*given)

    monkeypatch.setattr(sweep, "affected_stages", meanwhile)
    found = forget(PERSON, store=store)
    assert (found.predictions, found.feedback, found.left) == (3, 3, [])
    assert [one.id for one in recorded(store)] == [other]
    assert tables.of_person(store, Wanted((PERSON,), None, bytes(32))).feedback == {}


def test_a_stray_file_stops_nothing(tmp_path: Path) -> None:
    store = Store.open(tmp_path / ".lingqu")
    entry(store, f"my address is {PERSON}")
    orphan = store.path(store.put_json(["nothing refers to this"]))
    strays = [store.folder / "blobs" / name for name in (".nfs0000abc", ".DS_Store", "ab/notes.txt")]
    for stray in strays:
        write_bytes(stray, b"x")
    for path in (*strays, orphan):
        os.utime(path, (1, 1))
    found = forget(PERSON, store=store)
    assert found.done and found.left == [] and not orphan.exists()
    assert all(stray.exists() for stray in strays)


def test_while_a_run_goes_on_nothing_is_forgotten(tmp_path: Path) -> None:
    store, holds, ends = Store.open(tmp_path / ".lingqu"), threading.Event(), threading.Event()

    def run() -> None:
        with store.at_work("run-router"):
            holds.set()
            ends.wait(30)

    thread = threading.Thread(target=run)
    thread.start()
    assert holds.wait(10)
    with pytest.raises(ConflictError) as error:
        forget(PERSON, store=store)
    ends.set()
    thread.join(10)
    said = (
        r"Expected run-router to be free, found it held by process \d+ since [\d: -]+ UTC\. Wait until that has ended\."
    )
    assert re.fullmatch(said, str(error.value))
    assert forget(PERSON, store=store).done


def test_a_store_whose_secret_is_gone_says_so_and_nobody_comes_back(tmp_path: Path) -> None:
    store = Store.open(tmp_path / ".lingqu")
    forget(PERSON, store=store)
    kept = store.folder / "secrets" / "forgotten"
    secret = kept.read_bytes()
    kept.unlink()
    for ask in (lambda: remembered(store), lambda: forget("ben@example.org", store=store)):
        with pytest.raises(StoreError) as error:
            ask()
        assert str(error.value) == (
            f"Expected the file {kept}, which says who was forgotten, found no such file. "
            "Restore it from a backup of the store: without it those who were forgotten would come back."
        )
    assert not kept.exists()
    write_bytes(kept, secret)
    rules = remembered(store)
    assert rules is not None and rules.in_text(PERSON)
