"""Probes, numbers and the version over HTTP."""

from __future__ import annotations

import asyncio

import orjson
from starlette.responses import Response

from lingqu import __version__
from lingqu.serve import probes
from lingqu.serve.call import Call
from lingqu.serve.metrics import CONTENT_TYPE


def as_json(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An answer of JSON."""
    return Response(orjson.dumps(value), status, headers, "application/json")


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
