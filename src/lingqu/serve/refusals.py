r"""Errors as answers over HTTP: which status, and what may be said.

What the caller did wrong is told in full: expected, found, what to do next. What went wrong inside is told as an id that
the log knows; no trace, path or name of ours leaves the process.

>>> from lingqu.errors import Problem, UnknownNameError
>>> answer = refusal(UnknownNameError(Problem("a model", "'x'")), "id1", "native")
>>> answer.status_code, answer.body
(404, b'{"error":{"message":"Expected a model, found \'x\'.","problems":[{"expected":"a model","found":"\'x\'"}],"id":"id1"}}')
"""

from __future__ import annotations

import math
from typing import Literal

import orjson

from lingqu.errors import (
    AccessError,
    ConflictError,
    DataError,
    DeadlineError,
    LingquError,
    OverloadError,
    Problem,
    ProtocolError,
    QuotaError,
    RequestError,
    ScopeError,
    ServiceError,
    StoreError,
    UnknownNameError,
)
from lingqu.serve.response import Response

Family = Literal["native", "plain"]
"""How a route tells errors: as an object with problems, or as the one sentence that other protocols have."""

STATUSES: tuple[tuple[type[LingquError], int], ...] = (
    (ScopeError, 403),
    (AccessError, 401),
    (QuotaError, 429),
    (UnknownNameError, 404),
    (DataError, 422),
    (OverloadError, 429),
    (DeadlineError, 504),
    (ServiceError, 503),
    (ConflictError, 409),
    (StoreError, 503),
    (RequestError, 422),
)
"""The first class that an error belongs to decides."""

_OURS = (500, 502)


def status_of(error: BaseException) -> int:
    """The HTTP status of an error; 500 for every one that is no caller's and no passing state of the service."""
    if isinstance(error, ProtocolError):
        return error.status
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 500)


def refusal(error: BaseException, identity: str, family: Family) -> Response:
    """The answer to a request that could not be answered; `identity` is the id of the request."""
    status = status_of(error)
    plain = family == "plain"
    problems = _problems(error, status, identity)
    message = " ".join(str(problem) for problem in problems)
    if plain:
        # Other protocols have one status for whatever is wrong with a request.
        status, body = (400 if status == 422 else status), {"error": message}
    else:
        body = {"error": {"message": message, "problems": [parts_of(problem) for problem in problems], "id": identity}}
    return Response(orjson.dumps(body), status, _headers(error, status), "application/json")


def _problems(error: BaseException, status: int, identity: str) -> tuple[Problem, ...]:
    if isinstance(error, LingquError) and not isinstance(error, StoreError) and status not in _OURS:
        return error.problems
    if isinstance(error, ConflictError):
        return error.problems
    if status == 503:
        return (Problem("the service to answer", "it unable to for the moment", f"Try again (request {identity})."),)
    advice = f"Tell whoever runs it the id of this request: {identity}."
    return (Problem("an answer", "a fault of the service", advice),)


def parts_of(problem: Problem) -> dict[str, str]:
    parts = {"expected": problem.expected, "found": problem.found, "next": problem.next, "where": problem.where}
    return {name: text for name, text in parts.items() if text}


def _headers(error: BaseException, status: int) -> dict[str, str]:
    headers: dict[str, str] = {}
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    if status in (429, 503):
        headers["retry-after"] = str(max(1, math.ceil(getattr(error, "retry_after", 1.0))))
    if status in (408, 413, 415):
        # The rest of the body is not read, so nothing that follows on this connection could be.
        headers["connection"] = "close"
    return headers
