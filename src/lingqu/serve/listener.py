"""HTTP on an inherited socket: uvicorn with our limits on a connection, and a stop that loses no request."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import uvicorn

from lingqu.serve.wire import Wire


class HttpServer(uvicorn.Server):
    """Serves an ASGI application on a socket that is given, and stops without losing a request."""

    def __init__(self, app: Any, *, backlog: int, keep_alive: int) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=Wire,
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
