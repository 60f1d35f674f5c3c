"""Limits on connections, before a request exists: their number, header size and count, tiny chunks, slow and broken bodies.

uvicorn's parser takes headers of any length and waits for a body for ever; it hands 3 MB that come as chunks of one byte
to Python one by one. What breaks a limit here is answered with its status and the connection is closed.
"""

from __future__ import annotations

import asyncio
import socket
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEADERS = 100
MOST_HEADER_BYTES = 32 << 10
MOST_URL_BYTES = 8 << 10
MOST_OVERHEAD_BYTES = 64 << 10
READ_SECONDS = 30.0
FREE_CHUNKS = 256
LEAST_CHUNK_BYTES = 64
"""Beyond the free ones, chunks must hold so many bytes on average."""


_FULL_BODY = b'{"error":{"message":"No more connections are taken for the moment."}}'
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
    b"x-content-type-options: nosniff\r\nretry-after: 1\r\nconnection: close\r\n\r\n%s"
) % (len(_FULL_BODY), _FULL_BODY)


class _RefusedError(Exception):
    """A limit was broken; raised inside the parser's callbacks, which stops the parser."""


class Wire(HttpToolsProtocol):
    """uvicorn's protocol for one connection, with limits."""

    most_connections = 1000
    """Open connections of this process, beyond which one more is answered with 503 and closed."""

    _refused: tuple[int, str] | None = None
    _reading: asyncio.TimerHandle | None = None
    _has_cycle = False
    _received = 0
    _body_bytes = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        given = transport.get_extra_info("socket")
        if given is not None and given.family in (socket.AF_INET, socket.AF_INET6):
            # asyncio leaves it unset on sockets that were bound elsewhere: head and body then wait 40 ms for each other.
            given.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if len(self.connections) > self.most_connections:
            # Its request is not even read: whoever opens connections by the thousand shall cost little.
            self.transport.write(_FULL)
            self.transport.close()
            return
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        # The parser tells of a header when it is whole, so one without end is seen by its bytes alone.
        overhead = self._received - self._body_bytes
        if overhead > MOST_OVERHEAD_BYTES + self._body_bytes:
            status = 400 if self._has_cycle else 431
            self._refuse(status, f"At most {MOST_OVERHEAD_BYTES:,} bytes that are no body are read")
            return
        self._received += len(data)
        super().data_received(data)

    def eof_received(self) -> None:
        """A client that ends its side in the middle of a request hears why there will be no answer."""
        if self._reading is not None and self.headers and not self.transport.is_closing():
            self._refuse(400, "The request ended before its end")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._header_bytes, self._chunks, self._body_bytes, self._received, self._has_cycle = 0, 0, 0, 0, False
        if self._reading is None:
            self._await_request()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > MOST_URL_BYTES:
            self._stop(414, f"An address of at most {MOST_URL_BYTES:,} bytes is read")

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_bytes += len(name) + len(value)
        if len(self.headers) >= MOST_HEADERS or self._header_bytes > MOST_HEADER_BYTES:
            self._stop(431, f"At most {MOST_HEADERS} headers of {MOST_HEADER_BYTES:,} bytes in all are read")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._has_cycle = True

    def on_chunk_header(self) -> None:
        self._chunks += 1
        if self._chunks > FREE_CHUNKS and self._body_bytes < self._chunks * LEAST_CHUNK_BYTES:
            self._stop(400, f"Chunks of at least {LEAST_CHUNK_BYTES} bytes are read")

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._stop_waiting()
        self._received = self._body_bytes
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What uvicorn says of anything its parser refuses; a limit of ours says its own."""
        status, text = self._refused or (400, "The request is no HTTP")
        self._refuse(status, text)

    def _stop(self, status: int, text: str) -> None:
        self._refused = (status, text)
        raise _RefusedError(text)

    def _refuse(self, status: int, text: str) -> None:
        self._stop_waiting()
        if self._has_cycle:
            # The application may wait for the rest of a body that will not come.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.headers is None or (self._has_cycle and self.cycle.response_started):
            self.transport.close()
            return
        body = b'{"error":{"message":"' + text.encode() + b'."}}'
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
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
            self._refuse(408, f"A request is read for {READ_SECONDS:.0f} seconds")


def with_at_most(connections: int) -> type[Wire]:
    """The protocol for a server that holds so many connections open.

    >>> with_at_most(7).most_connections
    7
    """
    return type("Wire", (Wire,), {"most_connections": connections})
