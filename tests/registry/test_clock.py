"""HARDENING T12: a clock that jumps by a day, an hour or a minute puts nothing in another order and takes no id."""

from __future__ import annotations

import datetime
import random
from collections.abc import Callable, Iterator

import pytest

from lingqu.cli.journey import _version
from lingqu.registry import Registry, Version

JUMPS = (-86_400, 86_400, -3_600, 3_600, -60, -0.5, 0.0, 0.0, 0.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A clock that goes where it likes; what it told."""
    draw, told = random.Random(0), []

    class Jumping(datetime.datetime):
        ahead = 0.0

        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            cls.ahead += draw.choice(JUMPS)
            moment = datetime.datetime.now(tz) + datetime.timedelta(seconds=cls.ahead)
            told.append(moment.isoformat())
            return moment

    monkeypatch.setattr("lingqu.store.history.datetime", Jumping)
    monkeypatch.setattr("lingqu.store.locks.datetime", Jumping)
    return iter([told])


@pytest.mark.parametrize("times", [2, pytest.param(20, marks=pytest.mark.heavy)])
def test_order_and_ids_hold_whatever_the_clock_says(
    times: int, clock: Iterator[list[str]], local: Registry, register: Callable[..., Version]
) -> None:
    told = next(clock)
    for run in range(times):
        name = f"router-{run}"
        acts: list[tuple[str, int]] = []
        for number in (1, 2, 3):
            assert register(local, f"{run}-{number}", name, data=f"d{number}").number == number
            assert _version(local, None).reference == f"{name}@{number}"
            local.promote(name, number, who="anna", why="newer")
            acts += [("register", number), ("promote", number)]
        local.rollback(name, who="anna", why="worse")
        acts.append(("rollback", 2))
        assert [(event.action, event.version) for event in local.history(name)] == acts
        assert local.alias(name, "champion") == (2, 4)
        spent = [local.next_alpha(name, "g") for _ in range(2)]
        assert spent[0] == spent[1]
        local.spend(name, "g", spent[0].round, spent[0].alpha, 0.5, "keep")
        assert local.next_alpha(name, "g").round == 2
    assert [event.seq for event in local.history()] == list(range(1, 8 * times + 1))
    assert local.verify_history() == []
    assert local.store.fsck() == []
    assert told != sorted(told), "the clock never went back"
