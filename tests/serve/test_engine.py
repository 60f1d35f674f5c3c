"""The engine: answers, batches, deadlines, overload, cancellation."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from lingqu.contract import LabelScores, NumberValue, Refusal, Rows
from lingqu.errors import DataError, DeadlineError, OverloadError, Problem, UnknownNameError
from lingqu.serve.cost import Estimate
from lingqu.serve.service import Engine, Reply, Service
from lingqu.spec.running import ServeSettings
from lingqu.tasks import find_task
from tests.serve.bundles import echo

if TYPE_CHECKING:
    from lingqu.serve.batch import Request


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    echo(tmp_path / "echo", 3)
    return tmp_path / "echo"


def load(folder: Path, **settings: object) -> Service:
    return Service.load([folder], settings=ServeSettings.model_validate(settings))


async def ask(engine: Engine, *values: object, seconds: float = 5.0, **more: str) -> Reply:
    deadline = asyncio.get_running_loop().time() + seconds
    return await engine.answer(Rows({"x": list(values)}), deadline=deadline, **more)


def values(reply: Reply) -> list[float]:
    return [answer.value for answer in reply.answers if isinstance(answer, NumberValue)]


def test_a_request_is_answered_row_by_row_in_order(folder: Path) -> None:
    async def go() -> Reply:
        async with load(folder) as service:
            assert service.state == "ready"
            return await ask(service.engine("echo"), 1, "two", 3)

    reply = asyncio.run(go())
    assert values(reply) == [1.75, 3.75]
    assert reply.answers[1] == Refusal("Expected a number in 'x', found 'two'.")
    assert (reply.version.reference, reply.role) == ("echo", "champion")
    assert reply.queue_seconds >= 0
    assert 0 < reply.compute_seconds < 1


def test_many_rows_are_answered_in_parts(folder: Path) -> None:
    async def go() -> Reply:
        async with load(folder) as service:
            return await ask(service.engine("echo"), *range(1000))

    assert values(asyncio.run(go())) == [x + 0.75 for x in range(1000)]


def test_requests_at_once_get_their_own_answers_and_share_batches(folder: Path) -> None:
    async def go() -> tuple[list[Reply], str]:
        async with load(folder, queue=500) as service:
            replies = await asyncio.gather(*(ask(service.engine("echo"), x) for x in range(400)))
            return replies, service.metrics.text().decode()

    replies, text = asyncio.run(go())
    assert [values(reply) for reply in replies] == [[x + 0.75] for x in range(400)]
    (batches,) = (line for line in text.splitlines() if line.startswith("lingqu_batch_size_count"))
    assert float(batches.split()[-1]) < 400


@pytest.mark.parametrize("cheap", [True, False])
def test_each_request_of_a_batch_has_its_share_of_the_time(folder: Path, cheap: bool) -> None:
    """Together the requests are charged the seconds that their batches took, in the event loop as in a thread."""

    async def go() -> tuple[list[Reply], str]:
        async with load(folder, queue=500) as service:
            engine = service.engine("echo")
            if not cheap:
                # A model that has shown no effort yet is computed in a thread.
                engine._current.effort.seconds = lambda cost: 0.0
            asked = (ask(engine, *range(1 + x % 3)) for x in range(300))
            return await asyncio.gather(*asked), service.metrics.text().decode()

    replies, text = asyncio.run(go())
    took, batches = (
        float(next(line for line in text.splitlines() if line.startswith(name)).split()[-1])
        for name in ("lingqu_inference_duration_seconds_sum", "lingqu_batch_size_count")
    )
    assert batches < 200
    assert sum(reply.own_seconds for reply in replies) == pytest.approx(took, rel=1e-6)
    assert all(0 < reply.own_seconds <= reply.compute_seconds for reply in replies)


def test_a_refused_row_takes_no_share_of_a_batch() -> None:
    from lingqu.serve.batch import Piece, shares

    pieces = [Piece(cast("Request", None), range(rows), cost) for rows, cost in ((2, 3.0), (3, 2.0), (4, 1.0))]
    one, none = NumberValue(1.0, 0.0, 2.0), Refusal("no")
    assert shares(pieces, [[one, one], [one, none, none], [one] * 4]) == pytest.approx([0.5, 1 / 6, 1 / 3])
    assert shares(pieces, [[none] * 2, DataError(Problem("a", "b")), [one] * 4]) == [0.0, 0.0, 1.0]
    assert shares(pieces, [[none] * 2, [none] * 3, [none] * 4]) == [0.0, 0.0, 0.0]


def test_no_rows_are_no_answers(folder: Path) -> None:
    async def go() -> Reply:
        async with load(folder) as service:
            return await ask(service.engine("echo"))

    assert asyncio.run(go()).answers == []


def test_a_request_without_a_column_fails_alone(folder: Path) -> None:
    async def go() -> list[Reply | BaseException]:
        async with load(folder) as service:
            engine, deadline = service.engine("echo"), asyncio.get_running_loop().time() + 5
            wrong = engine.answer(Rows({"y": [1]}), deadline=deadline)
            return await asyncio.gather(ask(engine, 1), wrong, ask(engine, 2), return_exceptions=True)

    before, wrong, after = asyncio.run(go())
    assert isinstance(before, Reply)
    assert isinstance(after, Reply)
    assert isinstance(wrong, DataError)
    assert str(wrong) == "Expected a column 'x', found columns y. Known: y."
    assert values(after) == [2.75]


def test_an_unknown_version_is_told(folder: Path) -> None:
    async def go() -> None:
        async with load(folder) as service:
            assert (await ask(service.engine("echo"), 1, version="champion")).role == "asked"
            await ask(service.engine("echo"), 1, version="7")

    with pytest.raises(UnknownNameError, match=r"a version of echo that is loaded, found .7.\. Loaded: 1, champion\."):
        asyncio.run(go())
    with pytest.raises(UnknownNameError, match=r"a model that is served here, found .ecko.\. Did you mean .echo."):
        load(folder).engine("ecko")


def test_too_many_requests_are_refused_at_once(folder: Path) -> None:
    async def go() -> list[Reply | BaseException]:
        async with load(folder, queue=3) as service:
            asked = (ask(service.engine("echo"), x) for x in range(50))
            return await asyncio.gather(*asked, return_exceptions=True)

    found = asyncio.run(go())
    refused = [one for one in found if isinstance(one, OverloadError)]
    assert 40 < len(refused) < 50
    assert 0 < refused[0].retry_after <= 1
    assert str(refused[0]) == (
        "Expected less than 3 requests before this one, found 3 that wait. "
        "Come again in 1 s, or let more processes answer."
    )
    assert len(refused) + sum(isinstance(one, Reply) for one in found) == 50


def test_a_deadline_that_has_passed_is_an_error(folder: Path) -> None:
    async def go() -> None:
        async with load(folder) as service:
            await ask(service.engine("echo"), *range(20_000), seconds=0.0005)

    with pytest.raises((DeadlineError, OverloadError), match="an answer of echo before the deadline"):
        asyncio.run(go())


def test_company_in_a_batch_changes_no_answer_by_more_than_rounding(bundles: dict[str, Path]) -> None:
    rows = find_task("text-classification").toy(60)

    async def go() -> tuple[list[Reply], list[Reply]]:
        async with Service.load([bundles["topics"]], settings=ServeSettings(queue=100)) as service:
            engine, deadline = service.engine("topics"), asyncio.get_running_loop().time() + 10
            alone = [await engine.answer(rows.take([place]), deadline=deadline) for place in range(60)]
            asked = (engine.answer(rows.take([place]), deadline=deadline) for place in range(60))
            return alone, await asyncio.gather(*asked)

    alone, together = asyncio.run(go())
    for one, other in zip(alone, together, strict=True):
        (first,), (second,) = one.answers, other.answers
        assert isinstance(first, LabelScores)
        assert isinstance(second, LabelScores)
        assert first.label == second.label
        assert first.scores == pytest.approx(second.scores, abs=1e-6)


def test_a_request_of_many_slow_rows_keeps_a_thread_for_a_second_at_most() -> None:
    from lingqu.serve.batch import MOST_ROWS, _most_rows

    estimate = Estimate()
    assert _most_rows(estimate, 100.0) == MOST_ROWS
    for rows in (1, 4):
        estimate.saw(rows * 100.0, rows * 0.1)
    assert _most_rows(estimate, 100.0) == 10
    assert _most_rows(estimate, 10_000.0) == 1
