"""What is refused before it is a request: bodies that lie, chunks of a byte, endless headers (raw sockets)."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

import pytest

from lingqu.serve.body import MOST_BYTES
from lingqu.serve.wire import Wire
from tests.clock import fewest_seconds
from tests.serve.live import exchange

pytestmark = pytest.mark.heavy

ASK = b"POST /v1/models/houses/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
FORM = (
    b"POST /v1/models/digits/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
)


def chunked(parts: list[bytes]) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def with_body(head: bytes, body: bytes) -> bytes:
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


# Each is sent as it stands, then the client ends its side.
CASES: dict[str, tuple[bytes, int]] = {
    "negative length": (ASK + b"Content-Length: -1\r\n\r\n", 400),
    "length no number": (ASK + b"Content-Length: ten\r\n\r\n{}", 400),
    "length with sign": (ASK + b"Content-Length: +2\r\n\r\n{}", 400),
    "length hexadecimal": (ASK + b"Content-Length: 0x2\r\n\r\n{}", 400),
    "length beyond 64 bits": (ASK + b"Content-Length: 99999999999999999999\r\n\r\n{}", 400),
    "length in Chinese digits": (ASK + "Content-Length: ２\r\n\r\n{}".encode(), 400),
    "two lengths": (ASK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
    "two lengths in one": (ASK + b"Content-Length: 2, 2\r\n\r\n{}", 400),
    "length and chunks": (ASK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "an unknown coding": (ASK + b"Transfer-Encoding: gzip\r\n\r\n", 400),
    "chunked not last": (ASK + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
    "huge length": (ASK + b"Content-Length: 99999999999\r\n\r\n", 413),
    "just too large": (ASK + b"Content-Length: %d\r\n\r\n" % (MOST_BYTES + 1), 413),
    "too large in chunks": (ASK + b"Transfer-Encoding: chunked\r\n\r\n" + chunked([b" " * MOST_BYTES, b" "]), 413),
    "shorter than it says": (ASK + b"Content-Length: 100\r\n\r\n{}", 400),
    "longer than it says": (ASK + b"Content-Length: 2\r\n\r\n{}\x00\x01garbage\r\n\r\n", 400),
    "three million chunks of one byte": (ASK + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 3_000_000, 400),
    "bad chunk size": (ASK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
    "negative chunk size": (ASK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n", 400),
    "endless chunk size": (ASK + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 100_000, 400),
    "endless chunk extension": (ASK + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 20_000_000, 400),
    "chunk without end": (ASK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc", 400),
    "a hundred and one headers": (ASK + b"".join(b"A%d: 1\r\n" % i for i in range(101)) + b"\r\n", 431),
    "ten thousand headers": (ASK + b"".join(b"A%d: 1\r\n" % i for i in range(10_000)) + b"\r\n", 431),
    "one endless header": (ASK + b"A: " + b"x" * 30_000_000 + b"\r\n\r\n", 431),
    "one endless header name": (ASK + b"x" * 30_000_000 + b": 1\r\n\r\n", 431),
    "trailers without end": (
        ASK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"".join(b"A%d: 1\r\n" % i for i in range(10_000)) + b"\r\n", 431,
    ),
    "a trailer without end": (ASK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: " + b"x" * 30_000_000, 400),
    "endless address": (b"GET /" + b"a" * 30_000_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
    "endless method": (b"A" * 10_000_000, 400),
    "no HTTP": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "an unknown version": (b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", 400),
    "a folded header": (ASK + b"A: 1\r\n 2\r\nContent-Length: 2\r\n\r\n{}", 400),
    "a space before the colon": (ASK + b"Content-Length : 2\r\n\r\n{}", 400),
    "a bare line feed": (b"GET / HTTP/1.1\nHost: localhost\n\n", 400),
    "NUL in a header": (ASK + b"A: \x00\r\n\r\n", 400),
    "no address": (b"GET  HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "compressed": (with_body(ASK + b"Content-Encoding: gzip\r\n", b"\x1f\x8b\x08"), 415),
    "ten thousand headers of a part": (
        with_body(FORM, b"--b\r\n" + b"A: 1\r\n" * 10_000 + b"\r\n1\r\n--b--\r\n"), 400,
    ),
    "ten thousand parts": (
        with_body(
            FORM, b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n1\r\n' * 10_000 + b"--b--\r\n"
        ), 400,
    ),
    "a part without end": (with_body(FORM, b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\n1'), 400),
    "a boundary that is not there": (with_body(FORM, b"x" * 1_000_000), 400),
    "no boundary": (with_body(FORM.replace(b"; boundary=b", b""), b"--b--\r\n"), 400),
}  # fmt: skip


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


@pytest.mark.parametrize("case", CASES)
def test_a_broken_request_is_refused_at_once(live: int, case: str) -> None:
    sent, expected = CASES[case]
    answer = exchange(live, sent, end=True)
    assert status_of(answer) == expected, answer[:300]
    assert fewest_seconds(lambda: exchange(live, sent, end=True), enough=1.0, tries=3, clock=time.monotonic) < 1.0
    (problem,) = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["problems"]
    assert problem["next"]


def memory() -> int:
    """Resident bytes of this process, the service within it."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_hundred_of_them_cost_no_memory(live: int) -> None:
    small = [sent for sent, _ in CASES.values() if len(sent) < 1_000_000]
    for sent in small:
        exchange(live, sent, end=True)
    before = memory()
    for number in range(100):
        assert 400 <= status_of(exchange(live, small[number % len(small)], end=True)) < 500
    assert memory() - before < 20 << 20


def test_a_slow_body_is_given_up(live: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from lingqu.serve import wire

    monkeypatch.setattr(wire, "READ_SECONDS", 0.2)
    began = time.monotonic()
    answer = exchange(live, ASK + b"Content-Length: 100\r\n\r\n{")
    assert status_of(answer) == 408
    assert time.monotonic() - began < 2
    # A connection on which nothing was ever asked is closed without a word.
    assert exchange(live, b"") == b""


def test_requests_that_follow_each_other_are_answered_in_order(live: int) -> None:
    one = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: a%d\r\n\r\n"
    answer = exchange(live, b"".join(one % i for i in range(20)), seconds=1.0)
    assert [answer.index(b"x-request-id: a%d\r\n" % i) for i in range(20)] == sorted(
        answer.index(b"x-request-id: a%d\r\n" % i) for i in range(20)
    )
    assert answer.count(b"200 OK") == 20


def test_one_connection_too_many_is_told_to_come_again(live: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from lingqu.serve import wire

    monkeypatch.setattr(Wire, "most_connections", 2)
    # Never as long as this test takes.
    monkeypatch.setattr(wire, "REST_SECONDS", 60.0)
    monkeypatch.setattr(wire, "BEYOND_SECONDS", 0.2)
    probe = b"GET /livez?a=b HTTP/1.1\r\nHost: localhost\r\n\r\n"
    ask = with_body(ASK, b"{}")
    with socket.create_connection(("127.0.0.1", live)), socket.create_connection(("127.0.0.1", live)):
        for sent in (b"", ask, ask[:-20]):
            assert (refused := exchange(live, sent)).startswith(b"HTTP/1.1 503 ")
            assert b"\r\nretry-after: 1\r\n" in refused
            assert refused.count(b"HTTP/1.1") == 1
            assert json.loads(refused.partition(b"\r\n\r\n")[2]) == {
                "error": {
                    "message": "Expected a free connection, found all of them busy. Come again in 1 s.",
                    "problems": [
                        {"expected": "a free connection", "found": "all of them busy", "next": "Come again in 1 s."}
                    ],
                }
            }
        # Whether the service lives is told even then, once; and those that say nothing are in nobody's way.
        silent = [socket.create_connection(("127.0.0.1", live)) for _ in range(wire.BEYOND + 4)]
        answer = exchange(live, probe * 2)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert (answer.count(b"HTTP/1.1"), answer.count(b"connection: close")) == (1, 1)
        for one in silent:
            one.close()
    until = time.monotonic() + 5
    while not exchange(live, probe.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")).startswith(b"HTTP/1.1 200 "):
        assert time.monotonic() < until


@pytest.mark.parametrize("late", [b"", b"{}", b"\r\n"])
def test_a_connection_that_rests_gives_way_to_a_new_one(
    late: bytes, live: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one whose request was answered before the rest of its body came, or that sends a line end too many."""
    from lingqu.serve import wire

    monkeypatch.setattr(Wire, "most_connections", 2)
    monkeypatch.setattr(wire, "REST_SECONDS", 0.1)
    others = {*Wire.resting}
    ask = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"

    def heard(connection: socket.socket) -> bytes:
        found = b""
        while not found.endswith(b"}") and (part := connection.recv(4096)):
            found += part
        return found

    with (
        socket.create_connection(("127.0.0.1", live), 5) as asked_once,
        socket.create_connection(("127.0.0.1", live), 5) as asking,
    ):
        if late == b"{}":
            asked_once.sendall(ASK.replace(b"houses", b"nobody") + b"Content-Length: 2\r\n\r\n")
            assert heard(asked_once).startswith(b"HTTP/1.1 404 ")
        else:
            asked_once.sendall(ask)
            assert heard(asked_once).startswith(b"HTTP/1.1 200 ")
        asked_once.sendall(late)
        asking.sendall(ask[:20])
        time.sleep(0.3)
        # However it came to rest, it does not rest for ever.
        assert [one.timeout_keep_alive_task is not None for one in Wire.resting if one not in others] == [True]
        with socket.create_connection(("127.0.0.1", live), 5) as new:
            new.sendall(ask)
            assert heard(new).startswith(b"HTTP/1.1 200 ")
            assert heard(asked_once) == b""
            # Who is in the middle of a request keeps its place.
            asking.sendall(ask[20:])
            assert heard(asking).startswith(b"HTTP/1.1 200 ")


def test_what_is_answered_beyond_the_most_connections_are_the_probes() -> None:
    from lingqu.serve.routes import ROUTES
    from lingqu.serve.wire import PROBES

    assert {path.encode() for path in (route.path for route in ROUTES if route.scopes is None)} - {
        b"/docs.css"
    } == PROBES
