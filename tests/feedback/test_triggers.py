"""HARDENING F11 and F14: signals that flap, triggers that come twice, and people who are obeyed at once."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path

import pytest

from lingqu.feedback.freeze import freeze, thaw
from lingqu.feedback.trigger import DAY, HOUR, consider
from lingqu.registry import Registry
from lingqu.store import Store


def test_a_signal_that_flaps_for_a_year_changes_nothing_twice_within_a_cool_down() -> None:
    """An alarm that comes and goes every hour, labels that keep coming, and people who now and then change the champion."""
    draw, changes, by_people = random.Random(11), [-10.0 * DAY], 0
    last_round: float | None = None
    for hour in range(365 * 24):
        now = hour * HOUR + draw.uniform(0, HOUR)
        if draw.random() < 0.002:
            changes.append(now)
            by_people += 1
        due = consider(
            accepted=draw.randint(0, 400),
            needed=200,
            since_last=None if last_round is None else now - last_round,
            pause=DAY,
            since_change=now - changes[-1],
            alarm=draw.choice(["", "drift alarm", "risk alarm"]),
        )
        if due.go:
            assert now - changes[-1] >= DAY
            last_round = now
            if draw.random() < 0.7:
                changes.append(now)
    assert len(changes) - by_people > 100
    assert by_people > 5


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.feedback import kill_lab

    folder = tmp_path_factory.mktemp("made")
    assert kill_lab.child(kill_lab.make, folder) == 0
    return folder


def turn(path: Path) -> None:
    from lingqu.loop import improve

    improve(path, store=Store.open(path.parent / ".lingqu"), asked=False)


def turn_that_is_frozen(path: Path) -> None:
    from lingqu.loop import improve

    store = Store.open(path.parent / ".lingqu")

    def tell(stage: str, _done: float, _sentence: str) -> None:
        if stage.startswith("train"):
            freeze(store, "router", who="anna", why="a strange week")

    told = improve(path, store=store, asked=False, tell=tell)
    assert (told["gate"]["decision"], told["version"], told["champion"]) == ("promote", 2, 1), told
    # It is told again after a restart, and until somebody thaws.
    again = improve(path, store=Store.open(path.parent / ".lingqu"))
    assert (again["decision"], again["why"]) == ("wait", "frozen: a strange week (anna)")


@pytest.mark.heavy
def test_two_triggers_at_once_are_one_round(made: Path, tmp_path: Path) -> None:
    from tests.feedback import kill_lab

    folder = tmp_path / "twice"
    shutil.copytree(made, folder)
    path = folder / "lingqu.yaml"
    path.write_text(path.read_text().replace("100000 per day", "1 per day"))

    first, second = kill_lab.begin(turn, path), kill_lab.begin(turn, path)
    first.join()
    second.join()
    assert (first.exitcode, second.exitcode) == (0, 0)
    history = Registry(Store.open(folder / ".lingqu")).history("router")
    assert [event.version for event in history if event.action == "improve"] == [2]
    assert sum(event.action == "rollout" for event in history) == 1
    assert sum(event.action == "gate" for event in history) == 2


@pytest.mark.heavy
def test_who_freezes_while_a_round_runs_is_obeyed_at_its_end(made: Path, tmp_path: Path) -> None:
    from tests.feedback import kill_lab

    folder = tmp_path / "frozen"
    shutil.copytree(made, folder)
    path = folder / "lingqu.yaml"
    path.write_text(path.read_text().replace("promote: auto", "promote: auto, shadow: never"))

    assert kill_lab.child(turn_that_is_frozen, path) == 0
    store = Store.open(folder / ".lingqu")
    assert Registry(store).aliases("router") == {"champion": 1, "challenger": 2}
    began = time.monotonic()
    assert thaw(store, "router", who="anna")
    Registry(store).promote("router", 2, who="anna", why="looks well")
    assert Registry(store).aliases("router")["champion"] == 2
    assert time.monotonic() - began < 1
