"""What `lqbench` sends and receives: HTTP/1.1 over kept-alive connections, by callbacks alone, so that it costs little.

One connection carries one request at a time. Nothing is judged here, and nothing but the times is reckoned.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

SWEEP = 0.25


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent: a path, a body and headers."""

    path: str
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"

    def wire(self, host: str) -> bytes:
        r"""The request as HTTP/1.1.

        >>> Request("/livez", method="GET").wire("localhost")
        b'GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n'
        """
        given = {"Host": host, "Content-Length": str(len(self.body)), **self.headers}
        if self.body and "content-type" not in {name.lower() for name in given}:
            given["Content-Type"] = "application/json"
        head = f"{self.method} {self.path} HTTP/1.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in given.items()
        )
        return head.encode("latin-1") + b"\r\n" + self.body


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for the request `number`; times in seconds since the start. `fault` is empty for a good answer."""

    number: int
    due: float
    sent: float
    done: float
    status: int
    head: bytes
    body: bytes
    fault: str = ""

    @property
    def latency(self) -> float:
        """Seconds from the moment the request was due."""
        return self.done - self.due

    def header(self, name: str) -> str:
        """A header of the answer, or an empty text."""
        for line in self.head.split(b"\r\n")[1:]:
            found, _, value = line.partition(b":")
            if found.strip().lower() == name.lower().encode():
                return value.strip().decode("latin-1")
        return ""


class _Connection(asyncio.Protocol):
    """One kept-alive connection, one request on it at a time; the driver hears of every end."""

    __slots__ = ("buffer", "driver", "number", "sent", "transport", "used")

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.transport: Any = None
        self.buffer = b""
        self.number = -1
        self.sent = 0.0
        self.used = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def send(self, number: int) -> None:
        self.number, self.sent, self.buffer = number, time.perf_counter(), b""
        self.used += 1
        self.transport.write(self.driver.wire(number))

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        if self.number >= 0 and (parsed := _parse(self.buffer)) is not None:
            number, self.number = self.number, -1
            self.driver.answered(self, number, *parsed)

    def connection_lost(self, exc: Exception | None) -> None:
        number, self.number = self.number, -1
        self.driver.lost(self, number, type(exc).__name__ if exc else "closed without an answer")


def _parse(data: bytes) -> tuple[int, bytes, bytes] | None:
    r"""Status, head and body of a whole answer; None while a part is missing.

    >>> _parse(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    (200, b'HTTP/1.1 200 OK\r\nContent-Length: 2', b'ok')
    >>> _parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")[2]
    b'ok'
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head, start = data[:end], end + 4
    low = head.lower()
    place = low.find(b"\r\ncontent-length:")
    if place >= 0:
        size = int(low[place + 17 : _line_end(low, place + 2)])
        return (int(head[9:12]), head, data[start : start + size]) if len(data) >= start + size else None
    if b"\r\ntransfer-encoding: chunked" in low:
        body = _chunks(data, start)
        return None if body is None else (int(head[9:12]), head, body)
    return int(head[9:12]), head, b""


def _line_end(data: bytes, start: int) -> int:
    found = data.find(b"\r\n", start)
    return len(data) if found < 0 else found


def _chunks(data: bytes, start: int) -> bytes | None:
    parts = []
    while (end := data.find(b"\r\n", start)) >= 0:
        size = int(data[start:end].split(b";")[0], 16)
        if len(data) < end + 4 + size:
            return None
        if size == 0:
            return b"".join(parts)
        parts.append(data[end + 2 : end + 2 + size])
        start = end + 4 + size
    return None


class Driver:
    """Sends what is due over as few connections as that needs, by callbacks alone: no task a request."""

    def __init__(
        self, host: str, port: int, wires: Sequence[bytes], *, most: int, timeout: float, retries: int
    ) -> None:
        self.host, self.port, self.wires = host, port, wires
        self.most, self.timeout, self.retries = most, timeout, retries
        self.due: list[float] = []
        self.replies: dict[int, Reply] = {}
        self.free: list[_Connection] = []
        self.open: set[_Connection] = set()
        self.waiting: deque[int] = deque()
        self.opening = self.opened = self.retried = 0
        self.tries: Counter[int] = Counter()
        self.more: Iterator[int] | None = None
        self.wanted: int | None = None
        self.start = 0.0

    def wire(self, number: int) -> bytes:
        return self.wires[number % len(self.wires)]

    def fire(self, number: int) -> None:
        """Send this request now, or when a connection is there."""
        if self.free:
            self.free.pop().send(number)
            return
        self.waiting.append(number)
        self._reach_out()

    def _reach_out(self) -> None:
        """Open as many connections as requests wait for one, up to the most."""
        while self.opening < len(self.waiting) and len(self.open) + self.opening < self.most:
            self.opening += 1
            self.tasks.add(task := self.loop.create_task(self._connect()))
            task.add_done_callback(self.tasks.discard)

    async def _connect(self) -> None:
        try:
            _, connection = await self.loop.create_connection(lambda: _Connection(self), self.host, self.port)
        except OSError as error:
            self.opening -= 1
            if self.waiting:
                self._fail(self.waiting.popleft(), self.start, f"no connection: {type(error).__name__}")
            return
        self.opening -= 1
        self.opened += 1
        self.open.add(connection)
        self._next(connection)

    def _next(self, connection: _Connection) -> None:
        if self.waiting:
            connection.send(self.waiting.popleft())
        else:
            self.free.append(connection)

    def answered(self, connection: _Connection, number: int, status: int, head: bytes, body: bytes) -> None:
        now = time.perf_counter()
        self._keep(Reply(number, self.due[number], connection.sent - self.start, now - self.start, status, head, body))
        if b"\r\nconnection: close" in head.lower():
            self.open.discard(connection)
            connection.transport.close()
            self._reach_out()
        else:
            self._next(connection)

    def lost(self, connection: _Connection, number: int, why: str) -> None:
        self.open.discard(connection)
        if connection in self.free:
            self.free.remove(connection)
        if number < 0:
            self._reach_out()
        elif connection.used > 1 and not connection.buffer and self.tries[number] < self.retries:
            # The service had closed a resting connection: what every HTTP client tries again (RFC 9112, 9.3.1).
            self.tries[number] += 1
            self.retried += 1
            self.fire(number)
        else:
            self._fail(number, connection.sent, why)

    def _fail(self, number: int, sent: float, why: str) -> None:
        now = time.perf_counter() - self.start
        self._keep(Reply(number, self.due[number], sent - self.start, now, 0, b"", b"", why))
        self._reach_out()

    def _keep(self, reply: Reply) -> None:
        self.replies[reply.number] = reply
        if self.more is not None and (number := next(self.more, None)) is not None:
            self.waiting.append(number)
        if self.wanted is not None and len(self.replies) >= self.wanted and not self.finished.done():
            self.finished.set_result(None)

    def _sweep(self) -> None:
        limit = time.perf_counter() - self.timeout
        for connection in [one for one in self.open if one.number >= 0 and one.sent < limit]:
            number, connection.number = connection.number, -1
            self._fail(number, connection.sent, "timeout")
            connection.transport.abort()
        self.sweeping = self.loop.call_later(min(SWEEP, self.timeout), self._sweep)

    def _begin(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.tasks: set[asyncio.Task[None]] = set()
        self.finished: asyncio.Future[None] = self.loop.create_future()
        self.start = time.perf_counter()
        self._sweep()

    async def _end(self) -> None:
        self.sweeping.cancel()
        for connection in list(self.open):
            connection.number = -1
            connection.transport.close()
        if self.tasks:
            await asyncio.gather(*self.tasks)

    async def open_loop(self, arrivals: Sequence[float]) -> None:
        """Send request n at arrivals[n] seconds."""
        self.due, self.wanted = list(arrivals), len(arrivals)
        self._begin()
        number = 0
        while number < len(arrivals):
            now = time.perf_counter() - self.start
            while number < len(arrivals) and arrivals[number] <= now:
                self.fire(number)
                number += 1
            if number < len(arrivals):
                # Never less than a millisecond, the finest timer of an event loop: a shorter sleep would spin.
                await asyncio.sleep(max(0.001, arrivals[number] - (time.perf_counter() - self.start)))
        if arrivals:
            await self.finished
        await self._end()

    async def closed_loop(self, connections: int, seconds: float) -> None:
        """Keep `connections` requests in flight for so many seconds."""
        self._begin()
        self.more = self._moments(seconds)
        for number in list(islice(self.more, connections)):
            self.fire(number)
        await self.finished
        await self._end()

    def _moments(self, seconds: float) -> Iterator[int]:
        while (now := time.perf_counter() - self.start) < seconds or not self.due:
            self.due.append(now)
            yield len(self.due) - 1
        self.wanted = len(self.due)
