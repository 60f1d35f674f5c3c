"""One request: who asks, what for, and its body, read once and never beyond its limit."""

from __future__ import annotations

import asyncio
import base64
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from lingqu.errors import Problem, ProtocolError
from lingqu.serve.body import MOST_BYTES, read_json
from lingqu.serve.fresh import fresh
from lingqu.serve.principal import ANYONE
from lingqu.serve.response import Receive, Response, Scope

if TYPE_CHECKING:
    from lingqu.serve.principal import Principal
    from lingqu.serve.service import Service

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_USER = re.compile(r"[\x21-\x7e]{1,128}")


LARGE_BYTES = 256 << 10
"""A larger body is read in a thread."""


class GoneError(Exception):
    """The client left; nobody is there to be told."""


class Call:
    """What a handler is given.

    `headers` has the first of each name, in lower case; `params` are the parts of the path, `principal` is who asks, `told` is what the access log will hold besides.
    """

    __slots__ = (
        "_body",
        "_gone",
        "_query",
        "_receive",
        "headers",
        "id",
        "method",
        "params",
        "principal",
        "service",
        "told",
    )

    def __init__(self, service: Service, scope: Scope, receive: Receive) -> None:
        self.service = service
        self.method: str = scope["method"]
        self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}
        self._query: bytes = scope["query_string"]
        self._receive = receive
        self.params: dict[str, str] = {}
        self.principal: Principal = ANYONE
        given = self.headers.get("x-request-id")
        self.id = given if given and _REQUEST_ID.fullmatch(given) else fresh(12).hex()
        self.told: dict[str, Any] = {}
        self._body: bytes | None = None
        self._gone = False

    @property
    def user(self) -> str | None:
        """Whom a canary sticks to: the header X-User-Id, if it is plain."""
        given = self.headers.get("x-user-id")
        return given if given and _USER.fullmatch(given) else None

    @property
    def token(self) -> str | None:
        """The key of `Authorization: Bearer` or `X-API-Key`."""
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and token.strip():
            return token.strip()
        return self.headers.get("x-api-key") or None

    @property
    def password(self) -> str | None:
        """The key that a browser asked for in its own window: the password of HTTP Basic, or the name where there is none."""
        kind, _, coded = self.headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic":
            return None
        try:
            name, _, password = base64.b64decode(coded.strip(), validate=True).decode().partition(":")
        except ValueError:  # no base64, or no text
            return None
        return password.strip() or name.strip() or None

    @property
    def media_type(self) -> str:
        """The body's type in lower case, without parameters; JSON when the client says none."""
        given = self.headers.get("content-type", "application/json")
        return given.partition(";")[0].strip().lower()

    def query(self, name: str, known: tuple[str, ...] | None = None) -> str | None:
        """A parameter of the address; ProtocolError 400 when it stands twice, or is none of those known."""
        if not self._query:
            return None
        pairs = parse_qsl(self._query.decode("latin-1"), keep_blank_values=True)
        found = [value for key, value in pairs if key == name]
        if not found:
            return None
        if len(found) > 1 or (known and found[0] not in known):
            expected = f"one '{name}' in the address" + (f", {' or '.join(known)}" if known else "")
            shown = ", ".join(repr(value[:40]) for value in found[:3])
            advice = f"Give it once, as in ?{name}={known[0] if known else 'VALUE'}."
            raise ProtocolError(Problem(expected, shown, advice), status=400)
        return found[0]

    async def body(self) -> bytes:
        """The whole body; ProtocolError 413 above 12 MiB, 415 when it is compressed, GoneError when the client left."""
        if self._body is None:
            self._body = await self._read()
        return self._body

    async def json(self) -> Any:
        """The body as JSON; ProtocolError 415 when it says that it is something else."""
        if self.media_type != "application/json":
            raise unread(self.media_type, "application/json")
        body = await self.body()
        if len(body) < LARGE_BYTES:
            return read_json(body)
        # Others are answered while ten megabytes are read.
        return await asyncio.to_thread(read_json, body)

    async def _read(self) -> bytes:
        headers = self.headers
        if headers.get("content-encoding", "identity").lower() not in ("identity", ""):
            raise unread(f"Content-Encoding {headers['content-encoding'][:40]}", "a plain body")
        if int(headers.get("content-length", 0)) > MOST_BYTES:
            raise too_large()
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise GoneError
            part = message.get("body", b"")
            size += len(part)
            if size > MOST_BYTES:
                raise too_large()
            parts.append(part)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)

    async def unless_gone(self, waiting: asyncio.Future[Any]) -> None:
        """Cancel `waiting` as soon as the client leaves; to be called when the body has been read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        waiting.cancel()

    @property
    def gone(self) -> bool:
        """Whether the client left while it was waited for."""
        return self._gone


def too_large() -> ProtocolError:
    """The answer to a body above the limit."""
    return ProtocolError(
        Problem(f"a body of at most {MOST_BYTES >> 20} MiB", "a larger one", "Send fewer rows or a smaller picture."),
        status=413,
    )


def unread(found: str, expected: str) -> ProtocolError:
    """The answer to a body of a type that the route does not read."""
    return ProtocolError(Problem(expected, found[:60] or "no type", "Set Content-Type to it."), status=415)


def empty(status: int, **headers: str) -> Response:
    """An answer without a body."""
    return Response(status_code=status, headers=headers)
