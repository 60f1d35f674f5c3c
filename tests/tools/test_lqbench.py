"""The load client against small servers that answer, stall, lie and hang up."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tools.connections import Request
from tools.lqbench import Report, expects, fixed, load, main, poisson

pytestmark = pytest.mark.heavy

Answer = Callable[[int, bytes], Awaitable[bytes]]


def reply(body: bytes, *, status: int = 200, version: str = "1", close: bool = False) -> bytes:
    ending = b"Connection: close\r\n" if close else b""
    return b"HTTP/1.1 %d X\r\nX-Model-Version: %s\r\n%sContent-Length: %d\r\n\r\n%s" % (
        status, version.encode(), ending, len(body), body
    )  # fmt: skip


class Server:
    """Raw HTTP on loopback, in a thread: `answer` is given the number of the request, in order of arrival."""

    def __init__(self) -> None:
        self.answer: Answer = self.echo
        self.count = 0
        self.connections = 0
        self.loop = asyncio.new_event_loop()
        self.writers: set[asyncio.StreamWriter] = set()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        opened = asyncio.run_coroutine_threadsafe(asyncio.start_server(self.serve, "127.0.0.1", 0), self.loop)
        self.server = opened.result()
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def echo(self, number: int, body: bytes) -> bytes:
        return reply(b'{"predictions": [{"prediction": %s}]}' % json.dumps(body.decode()).encode())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                body = await reader.readexactly(size)
                self.count += 1
                data = await self.answer(self.count - 1, body)
                if not data:
                    break
                writer.write(data)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            self.writers.discard(writer)

    async def stop(self) -> None:
        self.server.close()
        for writer in list(self.writers):
            writer.close()
        mine = asyncio.current_task()
        await asyncio.gather(*(task for task in asyncio.all_tasks() if task is not mine), return_exceptions=True)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self.stop(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


@pytest.fixture
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.close()


TEXTS = [Request("/predict", text.encode()) for text in ("a", "b", "c")]


def test_every_request_is_sent_once_in_turn_and_judged(server: Server) -> None:
    found = load(server.url, TEXTS, arrivals=fixed(1000, 0.06), oracle=expects({"1": ["a", "b", "c"]}))
    assert [one.number for one in found.replies] == list(range(60))
    assert server.count == 60 and not found.faults and found.versions == {"1": 60}
    assert found.statuses == {200: 60} and 0 < found.latency(0.5) <= found.latency(0.999) < 1
    # How many it takes depends on who else has the machine.
    assert found.connections == server.connections <= 60 and found.client_cpu > 0


def test_a_wrong_answer_an_unknown_version_and_a_status_are_faults(server: Server) -> None:
    async def answer(number: int, body: bytes) -> bytes:
        good = await server.echo(number, b"a")
        return [good, reply(b"{}"), reply(b"{}", status=500), reply(b"{}", version="9"), good][number]

    server.answer = answer
    found = load(server.url, TEXTS[:1], arrivals=fixed(50, 0.1), oracle=expects({"1": ["a"]}))
    assert found.faults == {"no prediction in the answer": 1, "status 500": 1, "the unknown version '9'": 1}
    assert len(found.good) == 2 and found.versions == {"1": 4, "9": 1}
    assert not load(server.url, [Request("/", b"x")], arrivals=[], oracle=None).replies


def test_a_stall_is_not_hidden_from_the_latencies_of_those_behind_it(server: Server) -> None:
    """One connection only: a closed loop would show one slow answer; here all that were due meanwhile are late."""

    async def answer(number: int, body: bytes) -> bytes:
        await asyncio.sleep(0.25 if number == 10 else 0)
        return reply(b"{}")

    server.answer = answer
    found = load(server.url, TEXTS, arrivals=fixed(200, 0.3), connections=1)
    late = [one for one in found.replies if one.latency > 0.05]
    assert len(late) >= 30 and found.connections == 1 and not found.faults


def test_a_connection_that_is_cut_or_too_slow_is_a_fault_and_the_rest_goes_on(server: Server) -> None:
    async def answer(number: int, body: bytes) -> bytes:
        if number == 2:
            await asyncio.sleep(0.5)
        return b"" if number == 1 else reply(b"{}")

    server.answer = answer
    found = load(server.url, TEXTS, arrivals=fixed(50, 0.1), connections=1, timeout=0.2)
    assert found.faults == {"closed without an answer": 1, "timeout": 1}
    assert found.statuses == {200: 3, 0: 2} and found.connections == 3


def test_a_resting_connection_that_was_closed_is_tried_again_when_asked(server: Server) -> None:
    async def answer(number: int, body: bytes) -> bytes:
        return b"" if number == 1 else reply(b"{}", close=number == 3)

    server.answer = answer
    found = load(server.url, TEXTS, arrivals=fixed(40, 0.125), connections=1, retries=1)
    assert not found.faults and found.retried == 1 and server.count == 6 and found.connections == 3


def test_nobody_there_is_a_fault_of_each_request(server: Server) -> None:
    url = server.url
    asyncio.run_coroutine_threadsafe(server.stop(), server.loop).result(10)
    found = load(url, TEXTS, arrivals=fixed(100, 0.05))
    assert found.faults == {"no connection: ConnectionRefusedError": 5} and found.summary()["failed"] == 5


def test_a_closed_loop_keeps_as_many_in_flight_as_asked(server: Server) -> None:
    flying = most = 0

    async def answer(number: int, body: bytes) -> bytes:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0.005)
        flying -= 1
        return reply(b"{}")

    server.answer = answer
    found = load(server.url, TEXTS, connections=4, seconds=0.1)
    assert most == 4 and found.connections == 4 and not found.faults
    assert len(found.replies) == server.count >= 8 and found.rate == pytest.approx(len(found.good) / found.seconds)


def test_arrivals_have_the_rate_that_was_asked_for() -> None:
    moments = poisson(1000, 10, seed=3)
    distances = sorted(late - early for early, late in pairwise(moments))
    assert len(moments) == 10_000 and moments[-1] == pytest.approx(10, rel=0.05) and moments == poisson(1000, 10, 3)
    # Of exponential distances, 1 - 1/e are below the mean.
    assert sum(one < 0.001 for one in distances) / 9_999 == pytest.approx(0.632, abs=0.02)


def test_the_command_line_reads_rows_checks_answers_and_prints_numbers(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def answer(number: int, body: bytes) -> bytes:
        return reply(b'{"predictions": [{"prediction": "%s"}]}' % json.loads(body)["row"]["text"].encode())

    server.answer = answer
    rows, answers = tmp_path / "rows.jsonl", tmp_path / "answers.json"
    rows.write_text('{"text": "a"}\n{"text": "b"}\n')
    answers.write_text('{"1": ["a", "wrong"]}')
    asked = [f"{server.url}/predict", "--rows", str(rows), "--rate", "100", "--seconds", "0.1", "--arrivals", "fixed"]
    assert main(asked) == 0
    assert json.loads(capsys.readouterr().out)["failed"] == 0
    assert main([*asked, "--answers", str(answers)]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["faults"] == {"version 1 answered 'b', expected 'wrong'": 5} and told["p50_ms"] > 0
    with pytest.raises(SystemExit):
        main([*asked, "--connections", "2"])


def test_a_report_of_nothing_tells_zeros() -> None:
    told = Report([], 0.0, 0.0, 0, 0).summary()
    assert told["requests"] == 0 and told["requests_per_second"] == 0.0 and "p50_ms" not in told
