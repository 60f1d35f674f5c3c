"""A service on a free port of this machine, in a thread of its own: the real server, the real protocol class."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
import uvloop

from lingqu.serve.app import application
from lingqu.serve.service import Service
from lingqu.serve.wire import Wire


@contextmanager
def serving(
    make: Callable[[], Service], *, app: Callable[[Service], Any] = application
) -> Iterator[tuple[Service, int]]:
    """The service that `make` gives, answering; and its port."""
    ready = threading.Event()
    found: dict[str, Any] = {}
    listening = socket.create_server(("127.0.0.1", 0))

    async def run() -> None:
        async with make() as service:
            config = uvicorn.Config(
                app(service), http=Wire, ws="none", lifespan="off", proxy_headers=False, server_header=False,
                access_log=False, log_level="critical",
            )  # fmt: skip
            server = found["server"] = uvicorn.Server(config)
            found["service"] = service
            ready.set()
            await server.serve(sockets=[listening])

    thread = threading.Thread(target=lambda: uvloop.run(run()), daemon=True)
    thread.start()
    assert ready.wait(20)
    until = time.monotonic() + 10
    while not found["server"].started and time.monotonic() < until:
        time.sleep(0.002)
    try:
        yield found["service"], listening.getsockname()[1]
    finally:
        found["server"].should_exit = True
        thread.join(20)
        assert not thread.is_alive()


def exchange(port: int, sent: bytes, *, end: bool = False, seconds: float = 5.0) -> bytes:
    """What the server says to these bytes until it closes, or until it says nothing for a while."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        try:
            connection.sendall(sent)
            if end:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            # The server may close while it is still being sent to.
            pass
        parts: list[bytes] = []
        try:
            while part := connection.recv(65536):
                parts.append(part)
        except OSError:
            pass
        return b"".join(parts)


def call(port: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and JSON of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    sent = None if body is None else json.dumps(body)
    connection.request(method, path, sent, {"content-type": "application/json"})
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    return answer.status, told
