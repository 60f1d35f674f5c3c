"""Canaries that stick, challengers that answer unseen, and circuits that open before anybody suffers for long."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from lingqu.bundle.read import Bundle
from lingqu.contract import NumberValue, Rows
from lingqu.errors import BundleError, ServiceError
from lingqu.registry import Registry
from lingqu.serve.breaker import Breaker
from lingqu.serve.engine import CHALLENGER, PREVIOUS
from lingqu.serve.loaded import Loaded
from lingqu.serve.reply import Reply, Served
from lingqu.serve.service import Service
from lingqu.spec.running import ServeSettings
from lingqu.store import Store
from tests.serve.bundles import echo, failing_graph, loop_graph, register, versions

FAILS = 1000.0


def loaded(folder: Path, number: int, model: bytes | None = None) -> Loaded:
    return Loaded(Served("echo", number), Bundle.open(echo(folder / str(number), number, model=model).path))


def service_of(champion: Loaded, **settings: Any) -> Service:
    from lingqu.serve.engine import Engine
    from lingqu.serve.metrics import Metrics

    metrics, given = Metrics(), ServeSettings.model_validate(settings)
    return Service([Engine("echo", champion, given, metrics)], given, metrics)


async def ask(service: Service, *values: float, user: str | None = None) -> Reply:
    deadline = asyncio.get_running_loop().time() + 10
    return await service.engine("echo").answer(Rows({"x": list(values)}), deadline=deadline, user=user)


def value(reply: Reply) -> float:
    (answer,) = reply.answers
    assert isinstance(answer, NumberValue)
    return answer.value


def count(service: Service, start: str) -> float:
    lines = [line for line in service.metrics.text().decode().splitlines() if line.startswith(start)]
    return sum(float(line.split()[-1]) for line in lines)


def test_a_user_stays_with_the_canary_or_with_the_champion(tmp_path: Path) -> None:
    async def go() -> tuple[list[str], list[str], str]:
        async with service_of(loaded(tmp_path, 1), canary=0.3) as service:
            service.engine("echo").install({CHALLENGER: loaded(tmp_path, 2)}, partly=True)
            first = [(await ask(service, 0, user=f"user {n}")).role for n in range(200)]
            again = [(await ask(service, 0, user=f"user {n}")).role for n in range(200)]
            return first, again, (await ask(service, 0)).role

    first, again, nobody = asyncio.run(go())
    assert first == again
    assert 35 < first.count("canary") < 85
    assert nobody == "champion"


def test_a_canary_that_fails_costs_nobody_an_answer_and_is_asked_no_more(tmp_path: Path) -> None:
    async def go() -> tuple[set[float], list[str], float]:
        async with service_of(loaded(tmp_path, 1), canary=1.0) as service:
            engine = service.engine("echo")
            engine.install({CHALLENGER: loaded(tmp_path, 2, failing_graph(2, FAILS))}, partly=True)
            assert value(await ask(service, 0, user="anna")) == 0.5
            answers = {value(await ask(service, FAILS + 1, user="anna")) for _ in range(40)}
            assert value(await ask(service, 0, user="anna")) == 0.25
            states = [state for served, _, state in engine.versions() if served.number == 2]
            return answers, states, count(service, "lingqu_rollback_total")

    assert asyncio.run(go()) == ({FAILS + 1.25}, ["broken"], 1.0)


@pytest.mark.heavy
def test_a_canary_that_is_slow_is_asked_no_more(tmp_path: Path) -> None:
    async def go() -> str:
        async with service_of(loaded(tmp_path, 1), canary=1.0) as service:
            engine = service.engine("echo")
            # What is slow is told by the champion's own mean: over so many, one answer that the machine held up changes it little.
            for _ in range(100):
                await ask(service, 0)
            engine.install({CHALLENGER: loaded(tmp_path, 2, loop_graph(2, steps_per_row=60_000))}, partly=True)
            for _ in range(25):
                if (await ask(service, 0, user="anna")).role == "champion":
                    break
            return (await ask(service, 0, user="anna")).role

    assert asyncio.run(go()) == "champion"


def test_a_challenger_answers_unseen_when_nobody_waits(tmp_path: Path) -> None:
    heard: list[Reply] = []

    async def go() -> tuple[float, float]:
        async with service_of(loaded(tmp_path, 1), shadow=1.0) as service:
            engine = service.engine("echo")
            engine.install({CHALLENGER: loaded(tmp_path, 2)}, partly=True)
            for x in range(20):
                assert value(await ask(service, x)) == x + 0.25
                engine.shadow(Rows({"x": [x]}), heard.append)
                await asyncio.sleep(0.01)
            # While anything waits, nothing is computed for nobody; now and then all of it is answered by then.
            before = after = count(service, 'lingqu_shadow_total{model="echo",result="dropped"}')
            for _ in range(20):
                # A challenger that is still busy would not take it either.
                while len(heard) < count(service, 'lingqu_shadow_total{model="echo",result="computed"}'):
                    await asyncio.sleep(0.01)
                waiting = [asyncio.create_task(ask(service, x)) for x in range(50)]
                await asyncio.sleep(0)
                engine.shadow(Rows({"x": [1]}), heard.append)
                after = count(service, 'lingqu_shadow_total{model="echo",result="dropped"}')
                await asyncio.gather(*waiting)
                if after > before:
                    break
            return before, after

    before, after = asyncio.run(go())
    assert after == before + 1
    assert len(heard) > 5
    assert {(reply.role, reply.version.number) for reply in heard} == {("shadow", 2)}
    assert all(value(reply) % 1 == 0.5 for reply in heard)


def test_a_champion_that_fails_gives_way_to_the_one_before(tmp_path: Path) -> None:
    async def go() -> tuple[int, float]:
        async with service_of(loaded(tmp_path, 2, failing_graph(2, FAILS))) as service:
            service.engine("echo").install({PREVIOUS: loaded(tmp_path, 1)}, partly=True)
            failed = 0
            for _ in range(60):
                try:
                    answered = value(await ask(service, FAILS + 1))
                except BundleError:
                    failed += 1
                else:
                    return failed, answered
            return failed, 0.0

    assert asyncio.run(go()) == (20, FAILS + 1.25)


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("deadline", "patience", "tries", "champion"),
    # Under the service's own deadline, one that had to wait for a processor is not counted: more are asked than it takes.
    [("10 s", 0.003, 25, 2), ("0.02 s", 0.02, 200, 1)],
)
def test_a_deadline_tells_of_the_model_where_it_is_the_services_own(
    deadline: str, patience: float, tries: int, champion: int, tmp_path: Path
) -> None:
    async def go(left: int = tries) -> int | None:
        before, now = (loaded(tmp_path, number, loop_graph(number, steps_per_row=100)) for number in (1, 2))
        async with service_of(now, deadline=deadline) as service:
            engine, loop = service.engine("echo"), asyncio.get_running_loop()
            engine.install({PREVIOUS: before}, partly=True)
            while engine.current.number == 2 and (left := left - 1) >= 0:
                with pytest.raises(ServiceError):
                    await engine.answer(Rows({"x": [0.0] * 500}), deadline=loop.time() + patience, version="champion")
                while not engine._batcher.idle:
                    await asyncio.sleep(0.001)
            return engine.current.number

    assert asyncio.run(go()) == champion


@pytest.mark.heavy
def test_a_fall_back_is_written_into_the_registry(tmp_path: Path) -> None:
    store = Store.open(tmp_path / ".lingqu")
    versions(store, tmp_path / "good", 1)
    echo(tmp_path / "bad", 2, model=failing_graph(2, FAILS))
    registry, number = Registry(store), register(store, tmp_path / "bad").number
    registry.promote("echo", number, who="test", why="looks well")

    async def go() -> None:
        async with Service.load(["echo"], settings=ServeSettings(), store=store) as service:
            engine = service.engine("echo")
            while PREVIOUS not in engine.standing():
                await asyncio.sleep(0.05)
            assert engine.current.number == 2
            for _ in range(25):
                await asyncio.gather(ask(service, FAILS + 1), return_exceptions=True)
            assert engine.current.number == 1
            while registry.aliases("echo")["champion"] != 1:
                await asyncio.sleep(0.05)
            # Promoted anew, it has another try.
            registry.promote("echo", number, who="test", why="again")
            while engine.current.number != 2:
                await asyncio.sleep(0.05)

    asyncio.run(asyncio.wait_for(go(), 60))
    event = next(event for event in registry.history("echo") if event.action == "rollback")
    assert (event.who, event.why) == ("lingqu", "the circuit breaker of the service opened (errors)")


def test_a_breaker_keeps_its_rate_of_false_alarms_and_finds_what_is_broken() -> None:
    import random

    draw = random.Random(0)

    def alarms(rate: float, requests: int, runs: int) -> list[int]:
        found = []
        for _ in range(runs):
            breaker = Breaker(rate=0.01)
            at = next((n for n in range(requests) if breaker.saw(failed=draw.random() < rate)), -1)
            found.append(at)
        return found

    # At the very edge of what is allowed, and in 500 requests: at most one in a hundred, with room for chance.
    assert sum(at >= 0 for at in alarms(0.01, 500, 100)) <= 4
    assert all(at < 200 for at in alarms(0.3, 1000, 20))
    assert all(-1 < at < 600 for at in alarms(0.1, 1000, 20))
