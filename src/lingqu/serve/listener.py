"""HTTP on an inherited socket: uvicorn with httptools, with limits that neither has, and a stop that loses no request.

A connection that sends more than 100 headers, 64 KiB before its body, a body in ever tinier chunks, or nothing for 30 seconds in
the middle of a request is closed, with status 400 where one can still be sent.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEADERS = 100
MOST_HEAD_BYTES = 64 * 1024
MANY_CHUNKS, LEAST_CHUNK = 1000, 64
READ_SECONDS = 30.0


class _RefusedError(Exception):
    """What the parser's callbacks raise to end a connection; it becomes status 400."""


class Connection(HttpToolsProtocol):
    """One connection, with limits on what comes before the application sees it."""

    _reading: asyncio.TimerHandle | None = None
    _head = _chunks = _body = 0
    _in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self._read_within()

    def connection_lost(self, exc: Exception | None) -> None:
        self._read_all()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head += len(data)
        super().data_received(data)
        if self._in_head and self._head > MOST_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("Headers of more than 64 KiB.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head = self._chunks = self._body = 0
        self._in_head = True
        self._read_within()

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > MOST_HEADERS:
            raise _RefusedError

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._chunks += 1
        self._body += len(body)
        if self._chunks > MANY_CHUNKS and self._body < self._chunks * LEAST_CHUNK:
            raise _RefusedError
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._read_all()
        # What follows is the head of the next request, if anything does.
        self._in_head, self._head = True, 0
        super().on_message_complete()

    def _read_within(self) -> None:
        self._read_all()
        self._reading = self.loop.call_later(READ_SECONDS, self._too_slow)

    def _read_all(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


class HttpServer(uvicorn.Server):
    """Serves an ASGI application on a socket that is given, and stops without losing a request."""

    def __init__(self, app: Any, *, backlog: int, keep_alive: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=Connection,
                ws="none",
                lifespan="off",
                interface="asgi3",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=backlog,
                timeout_keep_alive=keep_alive,
            )
        )
        self._main: asyncio.Task[None] | None = None

    async def start(self, listener: socket.socket) -> None:
        """Accept connections."""
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup(sockets=[listener])
        self._listener = listener
        self._main = asyncio.create_task(self.main_loop())

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self.server_state.connections)

    async def stop(self, drain: float, finish: float, *, tell: Callable[[], None]) -> None:
        """Still take requests for `drain` seconds, each answered with `Connection: close`; then finish those in flight.

        A client that reuses its connection hears with its next answer that it must not, so none is closed under a request.
        """
        self.config.encoded_headers.append((b"connection", b"close"))
        self.server_state.default_headers.append((b"connection", b"close"))
        until = asyncio.get_running_loop().time() + drain
        while (left := until - asyncio.get_running_loop().time()) > 0:
            tell()
            await asyncio.sleep(min(0.5, left))
        self.should_exit = True
        if self._main is not None:
            await self._main
        self.config.timeout_graceful_shutdown = int(finish) + 1
        with suppress(asyncio.CancelledError):
            await self.shutdown(sockets=[self._listener])
