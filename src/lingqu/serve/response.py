"""An answer over HTTP: its status, its headers and its whole body, which is all that any address here sends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]
"""What an ASGI application is (https://asgi.readthedocs.io/en/latest/specs/www.html)."""


class Response:
    """A body, with the headers that are given and those that follow from it: its length, and its type if it has one.

    Text is sent as UTF-8, and says so.

    >>> Response("灵渠", media_type="text/plain").raw_headers
    [(b'content-length', b'6'), (b'content-type', b'text/plain; charset=utf-8')]
    """

    def __init__(
        self,
        content: str | bytes = b"",
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
    ) -> None:
        self.status_code = status_code
        self.body = content.encode() if isinstance(content, str) else content
        given = {name.lower(): value for name, value in headers.items()} if headers else {}
        # A 204 has no body, and must not tell of one.
        if status_code != 204:
            given.setdefault("content-length", str(len(self.body)))
        if media_type is not None:
            is_bare_text = media_type.startswith("text/") and "charset=" not in media_type
            given.setdefault("content-type", f"{media_type}; charset=utf-8" if is_bare_text else media_type)
        self.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in given.items()]

    async def __call__(self, send: Send) -> None:
        """Send it."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})
