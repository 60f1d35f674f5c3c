"""HTTP on an inherited socket: uvicorn with our limits on a connection, and a stop that loses no request."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import uvicorn

from lingqu.serve.wire import Wire, with_at_most

LAST_WORDS = 0.25
"""Seconds that a connection has, when the port is closed, until a request on it must have begun."""


class HttpServer(uvicorn.Server):
    """Serves an ASGI application on a socket that is given, and stops without losing a request."""

    def __init__(self, app: Any, *, backlog: int, keep_alive: int, connections: int) -> None:
        self._wire = with_at_most(connections)
        super().__init__(
            uvicorn.Config(
                app,
                http=self._wire,
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
        await self._let_in_the_last()
        self.should_exit = True
        if self._main is not None:
            await self._main
        self.config.timeout_graceful_shutdown = int(finish) + 1
        with suppress(asyncio.CancelledError):
            await self.shutdown(sockets=[])

    async def _let_in_the_last(self) -> None:
        """Close the port without a reset: whoever has connected is let in, and has a moment to say what for.

        Closing a socket resets the connections that wait in its queue, and those whose bytes nobody has read yet.
        """
        loop = asyncio.get_running_loop()
        last = self._listener.dup()
        for server in self.servers:
            server.close()
        self._listener.close()
        last.setblocking(False)
        with last, suppress(BlockingIOError, OSError):
            while True:
                connection, _ = last.accept()
                await loop.connect_accepted_socket(self._protocol, connection)
        await asyncio.sleep(LAST_WORDS)

    def _protocol(self) -> Wire:
        return self._wire(self.config, self.server_state, self.lifespan.state, asyncio.get_running_loop())
