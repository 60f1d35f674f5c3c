"""When the service cannot answer: the status says why, and when to come again; who has left costs nothing more."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lingqu.serve.service import Service
from lingqu.spec.running import ServeSettings
from tests.serve.bundles import echo, loop_graph
from tests.serve.live import serving

pytestmark = pytest.mark.heavy

STEPS = 1_000
URL = "/v1/models/echo/predict"


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[tuple[Service, int]]:
    """A model that takes some ten milliseconds for each row, with a short line and a short deadline."""
    bundle = echo(tmp_path / "slow", model=loop_graph(0, steps_per_row=STEPS), golden={})
    settings = ServeSettings(queue=2, deadline="1 s")
    with serving(lambda: Service.load([bundle.path], settings=settings)) as (service, port):
        yield service, port


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[tuple[Service, int]]:
    """A model that takes no time."""
    bundle = echo(tmp_path / "quick")
    with serving(lambda: Service.load([bundle.path], settings=ServeSettings())) as (service, port):
        yield service, port


def post(port: int, rows: int, path: str = URL) -> tuple[int, dict[str, str], Any]:
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    body = json.dumps({"rows": [{"x": 1}] * rows} if path == URL else {"instances": [1] * rows})
    connection.request("POST", path, body, {"content-type": "application/json"})
    answer = connection.getresponse()
    told = answer.status, {name.lower(): value for name, value in answer.getheaders()}, json.loads(answer.read())
    connection.close()
    return told


def test_a_late_answer_is_a_504_in_every_protocol(slow: tuple[Service, int]) -> None:
    _, port = slow
    began = time.monotonic()
    status, _, told = post(port, 1000)
    assert status == 504
    assert 0.9 < time.monotonic() - began < 3
    assert told["error"]["problems"][0]["next"] == "Try again, or ask for fewer rows."


def test_too_many_are_told_when_to_come_again(slow: tuple[Service, int]) -> None:
    _, port = slow
    statuses: list[tuple[int, dict[str, str], Any]] = []
    threads = [
        threading.Thread(target=lambda path=path: statuses.append(post(port, 8, path)))
        for path in [URL] * 6 + ["/v1/models/echo:predict"] * 6
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = [(headers, told) for status, headers, told in statuses if status == 429]
    assert refused
    assert {status for status, _, _ in statuses} <= {200, 429, 504}
    assert all(int(headers["retry-after"]) >= 1 for headers, _ in refused)


def refused_at_its_head(port: int) -> tuple[bytes, bytes]:
    """What a request is told before its body is sent, and what the next one is told that comes behind that body."""
    body = b'{"rows":[{"x":1}]}'
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % (URL.encode(), len(body))
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with socket.create_connection(("127.0.0.1", port), 0.2) as connection:
            connection.sendall(head)
            try:
                told = connection.recv(4096)
            except TimeoutError:
                continue
            connection.settimeout(5)
            connection.sendall(body + b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            # An answer comes in as many pieces as the machine likes.
            while more := connection.recv(4096):
                told += more
            first, _, after = told.partition(b"HTTP/1.1 200 ")
            return first, b"HTTP/1.1 200 " + after if after else b""
    return b"", b""


def test_where_the_line_is_full_no_body_is_read_to_refuse_it(
    slow: tuple[Service, int], caplog: pytest.LogCaptureFixture
) -> None:
    _, port = slow
    caplog.set_level(logging.INFO, "lingqu.access")
    enough = threading.Event()

    def go_on() -> None:
        while not enough.is_set():
            post(port, 8)

    threads = [threading.Thread(target=go_on) for _ in range(5)]
    for thread in threads:
        thread.start()
    try:
        told, after = refused_at_its_head(port)
    finally:
        enough.set()
        for thread in threads:
            thread.join()
    assert told.startswith(b"HTTP/1.1 429 ")
    assert after.startswith(b"HTTP/1.1 200 ")
    # The log says of which model the line was full.
    lines = [json.loads(record.message) for record in caplog.records if record.name == "lingqu.access"]
    assert {line.get("model") for line in lines if line["status"] == 429} == {"echo"}


def test_who_leaves_takes_its_work_along(slow: tuple[Service, int], caplog: pytest.LogCaptureFixture) -> None:
    service, port = slow
    body = json.dumps({"rows": [{"x": 1}] * 40}).encode()
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    with caplog.at_level(logging.INFO, "lingqu.access"):
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(head % (URL.encode(), len(body)) + body)
                time.sleep(0.06)
        until = time.monotonic() + 10
        while caplog.text.count('"status":499') < 5 and time.monotonic() < until:
            time.sleep(0.02)
    lines = [json.loads(record.message) for record in caplog.records if record.name == "lingqu.access"]
    assert [line["status"] for line in lines] == [499] * 5
    # What is in progress is told a few times a second.
    while 'lingqu_request_in_progress{model="echo"} 0.0' not in (text := service.metrics.text().decode()):
        assert time.monotonic() < until
        time.sleep(0.02)
    assert 'code="499"' in text
    until = time.monotonic() + 10
    # The batch that was being computed when its client left is not broken off.
    while (status := post(port, 1)[0]) != 200 and time.monotonic() < until:
        assert status in (429, 504)
    assert status == 200


def test_before_it_is_ready_and_while_it_stops(quick: tuple[Service, int]) -> None:
    import http.client

    service, port = quick

    def get(path: str) -> tuple[int, str | None]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status, answer.getheader("retry-after")

    for state in ("loading", "draining"):
        service.state = state
        for path in ("/readyz", "/healthz", "/health", "/ping", "/v2/health/ready", "/v2/models/echo/ready"):
            assert get(path) == (503, "1"), (state, path)
        assert get("/livez") == (200, None)
        assert get("/v2/health/live") == (200, None)
    service.state = "ready"
    assert get("/readyz") == (200, None)


def test_the_line_in_the_log_holds_what_is_named_and_nothing_else(
    quick: tuple[Service, int], caplog: pytest.LogCaptureFixture
) -> None:
    _, port = quick
    with caplog.at_level(logging.INFO, "lingqu.access"):
        post(port, 1, URL)
        until = time.monotonic() + 5
        while not caplog.records and time.monotonic() < until:
            time.sleep(0.01)
    line = json.loads(caplog.records[0].message)
    assert {name: line[name] for name in ("method", "route", "status", "key", "model", "version", "role", "rows")} == {
        "method": "POST",
        "route": "/v1/models/{name}/predict",
        "status": 200,
        "key": "anyone",
        "model": "echo",
        "version": "1",
        "role": "champion",
        "rows": 1,
    }
    assert set(line) == {"at", "request", "ms", "method", "route", "status", "key", "model", "version", "role", "rows"}
