"""Limits on connections, before a request exists: their number, header size and count, tiny chunks, slow and broken bodies.

uvicorn's parser takes headers of any length and waits for a body for ever; it hands 3 MB that come as chunks of one byte
to Python one by one. What breaks a limit here is answered with its status and the connection is closed.

Where as many connections are open as may be, a new one takes the place of the one on which nothing was asked for
longest, if that is a second at least: a client must be ready for that (RFC 9112, 9.3.1). Where all of them are busy,
the new one is told to come again; but whoever asks whether the service lives is answered even then, or it would be
restarted for being in demand.
"""

from __future__ import annotations

import asyncio
import socket
from http import HTTPStatus
from typing import Any, ClassVar

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lingqu.errors import Problem
from lingqu.serve.refusals import parts_of

MOST_HEADERS = 100
MOST_HEADER_BYTES = 32 << 10
MOST_URL_BYTES = 8 << 10
MOST_OVERHEAD_BYTES = 64 << 10
READ_SECONDS = 30.0
FREE_CHUNKS = 256
LEAST_CHUNK_BYTES = 64
"""Beyond the free ones, chunks must hold so many bytes on average."""

REST_SECONDS = 1.0
"""How long nothing was asked on a connection that gives way to a new one."""
BEYOND = 16
BEYOND_SECONDS = 2.0
"""How many connections beyond the most are heard, for a probe alone, and for how long."""
PROBES = frozenset((b"/livez", b"/readyz", b"/healthz", b"/health", b"/ping", b"/v2/health/live", b"/v2/health/ready"))
"""What is answered on them."""

_FULL = Problem("a free connection", "all of them busy", "Come again in 1 s.")
_NO_HTTP = Problem("a request of HTTP/1.1", "something else", "Ask as RFC 9112 has it, without TLS.")


class _RefusedError(Exception):
    """A limit was broken; raised inside the parser's callbacks, which stops the parser."""


class Wire(HttpToolsProtocol):
    """uvicorn's protocol for one connection, with limits."""

    most_connections = 1000
    """Open connections of this process, beyond which one more is answered with 503 and closed."""

    resting: ClassVar[dict[Wire, float]] = {}
    """The connections on which nothing is asked, and since when, from the longest."""

    beyond: ClassVar[dict[Wire, None]] = {}
    """Those that are beyond the most, from the first."""

    _refused: tuple[int, Problem] | None = None
    _reading: asyncio.TimerHandle | None = None
    _has_cycle = False
    _is_incomplete = False
    _received = 0
    _body_bytes = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        given = transport.get_extra_info("socket")
        if given is not None and given.family in (socket.AF_INET, socket.AF_INET6):
            # asyncio leaves it unset on sockets that were bound elsewhere: head and body then wait 40 ms for each other.
            given.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self.connections) - len(self.beyond) > self.most_connections and not self._make_room():
            if len(self.beyond) >= BEYOND:
                next(iter(self.beyond))._turn_away()
            self.beyond[self] = None
            self._reading = self.loop.call_later(BEYOND_SECONDS, self._turn_away)
            return
        self.resting[self] = self.loop.time()
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self.resting.pop(self, None)
        self.beyond.pop(self, None)
        super().connection_lost(exc)

    def _rest(self) -> None:
        """Nothing is asked here although something came: the rest of a body after its answer, or a line end too many.

        uvicorn stops waiting for the next request whatever comes, and begins again with the next answer alone.
        """
        self.resting.setdefault(self, self.loop.time())
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def _make_room(self) -> bool:
        """Close the connection that has rested longest; whether there was one that had rested long enough."""
        for longest, since in self.resting.items():
            if self.loop.time() - since < REST_SECONDS:
                return False
            del self.resting[longest]
            self.connections.discard(longest)
            longest.transport.close()
            return True
        return False

    def _turn_away(self) -> None:
        self.beyond.pop(self, None)
        if not self.transport.is_closing():
            self._say(503, _FULL)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        # The parser tells of a header when it is whole, so one without end is seen by its bytes alone.
        overhead = self._received - self._body_bytes
        if overhead > MOST_OVERHEAD_BYTES + self._body_bytes:
            status = 400 if self._has_cycle else 431
            expected = f"at most {MOST_OVERHEAD_BYTES:,} bytes that are no body"
            self._refuse(status, Problem(expected, "more", "Send shorter headers, or larger chunks."))
            return
        self._received += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._is_incomplete:
            if self._reading is None:
                self._await_request()
        elif self.timeout_keep_alive_task is None and self._has_cycle and self.cycle.response_complete:
            self._rest()

    def eof_received(self) -> None:
        """A client that ends its side in the middle of a request hears why there will be no answer."""
        if self._reading is not None and self.headers and not self.transport.is_closing():
            self._refuse(400, Problem("a whole request", "one that ends early", "Send all that Content-Length says."))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_bytes, self._chunks, self._body_bytes, self._received, self._has_cycle = 0, 0, 0, 0, False
        self._is_incomplete = True
        self.resting.pop(self, None)

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > MOST_URL_BYTES:
            expected = f"an address of at most {MOST_URL_BYTES:,} bytes"
            self._stop(414, Problem(expected, "a longer one", "Send rows in the body."))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if len(self.headers) >= MOST_HEADERS or self._header_bytes > MOST_HEADER_BYTES:
            expected = f"at most {MOST_HEADERS} headers of {MOST_HEADER_BYTES:,} bytes in all"
            self._stop(431, Problem(expected, "more", "Send fewer, or shorter ones."))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        is_beyond = self in self.beyond
        if is_beyond and self.url.partition(b"?")[0] not in PROBES:
            self._stop(503, _FULL)
        super().on_headers_complete()
        self._has_cycle = True
        if is_beyond:
            self.cycle.keep_alive = False

    def on_chunk_header(self) -> None:
        self._chunks += 1
        if self._chunks > FREE_CHUNKS and self._body_bytes < self._chunks * LEAST_CHUNK_BYTES:
            expected = f"chunks of at least {LEAST_CHUNK_BYTES} bytes on average"
            self._stop(400, Problem(expected, "smaller ones", "Send larger chunks."))

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._is_incomplete = False
        self._stop_waiting()
        self._received = self._body_bytes
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not (self.pipeline or self._is_incomplete or self.transport.is_closing()):
            self.resting[self] = self.loop.time()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn says of anything its parser refuses; a limit of ours says its own."""
        self._refuse(*(self._refused or (400, _NO_HTTP)))

    def _stop(self, status: int, problem: Problem) -> None:
        self._refused = (status, problem)
        raise _RefusedError

    def _refuse(self, status: int, problem: Problem) -> None:
        self._stop_waiting()
        if self._has_cycle:
            # The application may wait for the rest of a body that will not come.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.headers is None or (self._has_cycle and self.cycle.response_started):
            self.transport.close()
            return
        self._say(status, problem)

    def _say(self, status: int, problem: Problem) -> None:
        body = orjson.dumps({"error": {"message": str(problem), "problems": [parts_of(problem)]}})
        again = "retry-after: 1\r\n" if status == 503 else ""
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nx-content-type-options: nosniff\r\n{again}connection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def _await_request(self) -> None:
        self._reading = self.loop.call_later(READ_SECONDS, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _too_slow(self) -> None:
        self._reading = None
        if not self.transport.is_closing():
            expected = f"a request within {READ_SECONDS:.0f} seconds"
            self._refuse(408, Problem(expected, "one that takes longer", "Send it faster, or in parts."))


def with_at_most(connections: int) -> type[Wire]:
    """The protocol for a server that holds so many connections open.

    >>> with_at_most(7).most_connections
    7
    """
    return type("Wire", (Wire,), {"most_connections": connections, "resting": {}, "beyond": {}})
