"""What a running service does of a rollout: it shadows, obeys the share of its step and the brake, and drops what breaks."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lingqu.errors import StoreError
from lingqu.feedback.freeze import freeze, thaw
from lingqu.registry import Registry
from lingqu.registry.rollouts import DEMOTED, Rollout, begin, move, rollout
from lingqu.serve.journal import recorded
from lingqu.serve.loaded import share_of
from lingqu.serve.service import Service
from lingqu.serve.shadow import shadow_id
from lingqu.serve.trial import tried
from lingqu.spec.running import ServeSettings
from lingqu.store import Store
from tests.serve.bundles import echo, failing_graph, register, versions
from tests.serve.process import running
from tests.serve.test_candidates import candidate
from tests.serve.test_challengers import FAILS, ask

pytestmark = pytest.mark.heavy

OBEYED = 1.0
"""Seconds within which a service does what was decided."""


def on_its_way(store: Store, version: int) -> Rollout:
    registry = Registry(store)
    _, epoch = registry.alias("echo", "champion") or (None, 0)
    begin(store, registry.get(f"echo@{version}"), against=1, epoch=epoch, why="its gate was passed", evidence={})
    return standing(store)


def standing(store: Store) -> Rollout:
    found = rollout(store, "echo")
    assert found is not None
    return found


async def until(holds: Callable[[], bool], seconds: float = OBEYED) -> None:
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds
        await asyncio.sleep(0.01)


def test_each_step_reaches_its_share_of_users_and_the_brake_reaches_all(tmp_path: Path) -> None:
    store = Store.open(tmp_path / ".lingqu")
    versions(store, tmp_path / "bundles", 2)
    registry = Registry(store)

    async def go() -> None:
        async with Service.load(["echo"], settings=ServeSettings(), store=store) as service:
            engine = service.engine("echo")

            async def roles() -> list[str]:
                return [(await ask(service, 0, user=f"user {n}")).role for n in range(300)]

            now = on_its_way(store, 2)
            await until(lambda: "challenger" in engine.standing(), 20)
            assert set(await roles()) == {"champion"}
            now = move(store, now, "canary", 0.05, why="better", evidence={})
            await until(lambda: engine.canary == 0.05)
            few = await roles()
            move(store, now, "canary", 0.25, why="held", evidence={})
            await until(lambda: engine.canary == 0.25)
            more = await roles()
            assert 4 <= few.count("canary") <= 32
            assert 45 <= more.count("canary") <= 110
            # Whoever had the canary keeps it.
            assert {n for n, role in enumerate(few) if role == "canary"} < {
                n for n, role in enumerate(more) if role == "canary"
            }
            freeze(store, "echo", who="anna")
            await until(lambda: engine.canary == 0.0)
            assert set(await roles()) == {"champion"}
            thaw(store, "echo", who="anna")
            await until(lambda: engine.canary == 0.25)
            registry.promote("echo", 2, who="anna", why="looks well")
            await until(lambda: engine.current.number == 2)
            assert set(await roles()) == {"champion"}
            # Rolled back, it answers unseen again, and nobody is answered by it.
            registry.rollback("echo", who="lingqu", why="it errs")
            _, epoch = registry.alias("echo", "champion") or (None, 0)
            begin(store, registry.get("echo@2"), against=1, epoch=epoch, why="who erred", evidence={}, step=DEMOTED)
            await until(lambda: engine.standing() == {"champion": 1, "challenger": 2})
            assert engine.canary == 0.0
            assert set(await roles()) == {"champion"}

    asyncio.run(asyncio.wait_for(go(), 60))


def test_a_canary_whose_circuit_opens_is_dropped_from_the_registry_at_once(tmp_path: Path) -> None:
    store = Store.open(tmp_path / ".lingqu")
    versions(store, tmp_path / "good", 1)
    echo(tmp_path / "bad", 2, model=failing_graph(2, FAILS))
    register(store, tmp_path / "bad")
    move(store, on_its_way(store, 2), "canary", 0.25, why="better", evidence={})

    async def go() -> None:
        async with Service.load(["echo"], settings=ServeSettings(), store=store) as service:
            engine = service.engine("echo")
            await until(lambda: "challenger" in engine.standing() and engine.canary == 0.25, 20)
            for n in range(300):
                # Nobody hears of its failures.
                assert (await ask(service, FAILS + 1, user=f"user {n}")).version.number == 1
            await until(lambda: rollout(store, "echo") is None)

    asyncio.run(asyncio.wait_for(go(), 60))
    last = Registry(store).history("echo")[-1]
    assert last.sentence().split(" UTC: ")[1] == (
        "version 2 of echo was dropped (lingqu): the circuit breaker of the service opened (errors)."
    )
    assert Registry(store).aliases("echo") == {"champion": 1}


def test_a_challenger_that_cannot_be_served_is_dropped(tmp_path: Path) -> None:
    store = Store.open(tmp_path / ".lingqu")
    versions(store, tmp_path / "good", 1)
    on_its_way(store, candidate(store, tmp_path / "bad", "other answers"))

    async def go() -> None:
        async with Service.load(["echo"], settings=ServeSettings(), store=store):
            await until(lambda: rollout(store, "echo") is None, 20)

    asyncio.run(asyncio.wait_for(go(), 60))
    last = Registry(store).history("echo")[-1].sentence().split(" UTC: ")[1]
    assert last.startswith("version 2 of echo was dropped (lingqu): the service refuses it: Expected ")
    assert "golden" in last


def test_a_trouble_of_the_machine_refuses_and_drops_nothing_and_what_was_decided_is_done_after_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store.open(tmp_path / ".lingqu")
    versions(store, tmp_path / "bundles", 3)
    (tmp_path / "trials").write_text("in the way of a folder")

    def told() -> list[str]:
        return [message.partition(", found ")[0] for message in caplog.messages if "tried again" in message]

    async def go() -> None:
        async with Service.load(["echo"], settings=ServeSettings(), store=store, shared=tmp_path / "trials") as service:
            engine = service.engine("echo")
            Registry(store).promote("echo", 2, who="test", why="looks well")
            _, epoch = Registry(store).alias("echo", "champion") or (None, 0)
            begin(store, Registry(store).get("echo@3"), against=2, epoch=epoch, why="its gate was passed", evidence={})
            await until(lambda: len(told()) == 2, 20)
            (tmp_path / "trials").unlink()
            await until(lambda: engine.standing() == {"champion": 2, "previous": 1, "challenger": 3}, 20)
            assert engine.refusals == {}

    asyncio.run(asyncio.wait_for(go(), 60))
    assert standing(store).version == 3
    assert told() == [
        f"echo@{number} is tried again until it can be loaded, echo@1 goes on: Expected to write {tmp_path}/trials"
        for number in (2, 3)
    ]


def test_a_bundle_that_cannot_be_read_just_now_has_not_failed_its_trial() -> None:
    with pytest.raises(StoreError, match=", found file name too long"):
        tried(Path("/" + 300 * "x"))


def test_what_a_challenger_answers_unseen_is_kept_beside_what_was_answered(tmp_path: Path) -> None:
    store = Store.open(tmp_path / ".lingqu")
    versions(store, tmp_path / "bundles", 2)
    on_its_way(store, 2)
    with running(tmp_path / ".lingqu", "echo", spec="{shadow: 1.0}") as service:
        deadline = time.monotonic() + 30
        while not (unseen := [one for one in recorded(store, "echo") if one.role == "shadow"]):
            status, told = service.predict(3)
            assert (status, told["version"]) == (200, "1")
            assert time.monotonic() < deadline
            time.sleep(0.05)
    given = {shadow_id(one.id, 2): one for one in recorded(store, "echo") if one.role == "champion"}
    for one in unseen:
        assert (one.number, one.answer["prediction"], one.input) == (2, 3.5, None)
        assert given[one.id].answer["prediction"] == 3.25


def test_a_worker_that_is_killed_comes_back_to_where_the_rollout_stands(tmp_path: Path) -> None:
    store = Store.open(tmp_path / ".lingqu")
    versions(store, tmp_path / "bundles", 2)
    move(store, on_its_way(store, 2), "canary", 0.25, why="better", evidence={})
    headers: dict[str, Any] = {
        "x-user-id": next(f"user-{n}" for n in range(100) if share_of(f"user-{n}", "echo") < 0.25)
    }
    with running(tmp_path / ".lingqu", "echo") as service:

        def answered_by(version: str) -> None:
            deadline = time.monotonic() + 30
            while True:
                with suppress(OSError):
                    status, told = service.predict(3, **headers)
                    if (status, told.get("version")) == (200, version):
                        return
                assert time.monotonic() < deadline
                time.sleep(0.05)

        answered_by("2")
        os.kill(service.workers()[0], signal.SIGKILL)
        answered_by("2")
        freeze(store, "echo", who="anna")
        os.kill(service.workers()[0], signal.SIGKILL)
        answered_by("1")
        # Between the promotion and the swap.
        Registry(store).promote("echo", 2, who="anna", why="looks well")
        os.kill(service.workers()[0], signal.SIGKILL)
        answered_by("2")
