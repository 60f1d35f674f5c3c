"""Probes, numbers and the version over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import orjson

from lingqu import __version__
from lingqu.serve import probes
from lingqu.serve.call import Call
from lingqu.serve.metrics import CONTENT_TYPE
from lingqu.serve.response import Response


class Json(Response):
    """An answer of JSON, with its headers as they are sent: made for each request, they take no looking up.

    >>> Json({"a": 1}, 202, {"x-model-name": "kinds"}).raw_headers[1:]
    [(b'content-type', b'application/json'), (b'x-model-name', b'kinds')]
    """

    media_type = "application/json"

    def __init__(self, value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.status_code = status
        self.body = body = orjson.dumps(value)
        self.raw_headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
        if headers:
            self.raw_headers += [(name.encode("latin-1"), told.encode("latin-1")) for name, told in headers.items()]


def as_json(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer of JSON."""
    return Json(value, status, headers)


def again(status: int) -> dict[str, str]:
    """What says when to come again."""
    return {"retry-after": "1"} if status == 503 else {}


async def live(call: Call) -> Response:
    """200 as long as anybody is there to say so."""
    status, body = probes.live()
    return as_json(body, status)


async def ready(call: Call) -> Response:
    """200 while requests are answered, 503 before and after."""
    status, body = probes.ready(call.service.state, call.service.stuck)
    return as_json(body, status, again(status))


async def health(call: Call) -> Response:
    """MLflow's own: an empty line."""
    status, _ = probes.ready(call.service.state, call.service.stuck)
    return Response(b"\n", status, again(status), "text/plain")


async def version(call: Call) -> Response:
    """The version of lingqu as text, as MLflow gives its own."""
    return Response(__version__, media_type="text/plain")


async def metrics(call: Call) -> Response:
    """The numbers of all workers in Prometheus's text format."""
    text = await asyncio.to_thread(call.service.metrics.text)
    return Response(text, headers={"content-type": CONTENT_TYPE})
