"""Every address that the service answers, in one table: path, methods, who may, and who answers.

What is not in the table does not exist (404), nor does a method that its line does not name (405); a line whose `scopes`
is None needs no key. `{name}` is one part of a path: letters, digits, dot, dash and underscore.

>>> match("/v1/models/ticket-router:predict", "POST")[0].path
'/v1/models/{name}:predict'
>>> match("/v1/models/a/b/c", "GET")
Traceback (most recent call last):
lingqu.serve.routes.NoRouteError: 404
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lingqu.serve import docs, mlflow, probing, rest, v1, v2, why
from lingqu.serve.call import Call
from lingqu.serve.refusals import Family
from lingqu.serve.response import Response

Handler = Callable[[Call], Awaitable[Response]]

GET, POST = ("GET", "HEAD"), ("POST",)
ASK = ("predict",)
LOOK = ("read", "predict")
"""Whoever may ask a model may also read what it takes."""


@dataclass(frozen=True, slots=True)
class Route:
    """One line of the table. A key with any of `scopes` may; `about` is one sentence for the reference.

    What is `browsed` is opened by its address, where a browser can send a key by HTTP Basic alone.
    """

    path: str
    methods: tuple[str, ...]
    scopes: tuple[str, ...] | None
    handler: Handler
    about: str
    family: Family = "native"
    browsed: bool = False


ROUTES: tuple[Route, ...] = (
    Route("/v1/models/{name}/predict", POST, ASK, rest.predict, "Answers to one row or many."),
    Route("/v1/models/{name}/explain", POST, ASK, why.explain, "Which parts of a row its answer rests on."),
    Route("/v1/models/{name}", GET, LOOK, rest.model, "What a model takes and gives, with an example."),
    Route("/v1/models", GET, LOOK, rest.models, "The models that answer here."),
    Route("/v1/feedback", POST, ("feedback",), rest.feedback, "The right answer, or how good an answer was."),
    Route("/openapi.json", GET, LOOK, docs.openapi, "This interface as OpenAPI 3.1.", browsed=True),
    Route("/docs", GET, LOOK, docs.page, "This interface for people, with examples.", browsed=True),
    Route("/docs.css", GET, None, docs.style, "The style of /docs."),
    Route("/metrics", GET, ("read",), probing.metrics, "Numbers for Prometheus."),
    Route("/livez", GET, None, probing.live, "Whether the process lives.", "plain"),
    Route("/readyz", GET, None, probing.ready, "Whether it answers.", "plain"),
    Route("/healthz", GET, None, probing.ready, "As /readyz.", "plain"),
    Route("/health", GET, None, probing.health, "As MLflow has it: 200 and an empty line.", "plain"),
    Route("/ping", GET, None, probing.health, "As /health.", "plain"),
    Route("/version", GET, LOOK, probing.version, "The version of lingqu.", "plain"),
    Route("/v2", GET, LOOK, v2.server, "Open Inference Protocol: the server.", "plain"),
    Route("/v2/health/live", GET, None, v2.live, "Open Inference Protocol: whether the process lives.", "plain"),
    Route("/v2/health/ready", GET, None, v2.ready, "Open Inference Protocol: whether it answers.", "plain"),
    Route("/v2/models", GET, LOOK, v2.models, "The names of the models, as KServe has it.", "plain"),
    Route("/v2/models/{name}/infer", POST, ASK, v2.infer, "Open Inference Protocol: answers.", "plain"),
    Route("/v2/models/{name}/versions/{version}/infer", POST, ASK, v2.infer, "Answers of one version.", "plain"),
    Route("/v2/models/{name}/ready", GET, LOOK, v2.model_ready, "Whether a model answers.", "plain"),
    Route(
        "/v2/models/{name}/versions/{version}/ready", GET, LOOK, v2.model_ready, "Whether a version answers.", "plain"
    ),
    Route("/v2/models/{name}", GET, LOOK, v2.model, "Open Inference Protocol: a model's tensors.", "plain"),
    Route("/v2/models/{name}/versions/{version}", GET, LOOK, v2.model, "A version's tensors.", "plain"),
    Route("/v2/repository/index", POST, LOOK, v2.index, "Every version that is loaded.", "plain"),
    Route("/v1/models/{name}:predict", POST, ASK, v1.predict, "Answers, as TensorFlow Serving has it.", "plain"),
    Route("/v1/models/{name}/versions/{version}:predict", POST, ASK, v1.predict, "Answers of one version.", "plain"),
    Route("/v1/models/{name}/labels/{version}:predict", POST, ASK, v1.predict, "Answers of one alias.", "plain"),
    Route("/v1/models/{name}:explain", POST, ASK, why.v1_explain, "Explanations, as KServe has them.", "plain"),
    Route("/v1/models/{name}/versions/{version}", GET, LOOK, v1.status, "The state of one version.", "plain"),
    Route("/v1/models/{name}/labels/{version}", GET, LOOK, v1.status, "The state of one alias.", "plain"),
    Route(
        "/v1/models/{name}/metadata", GET, LOOK, v1.metadata, "The signature, as TensorFlow Serving has it.", "plain"
    ),
    Route("/invocations", POST, ASK, mlflow.invocations, "Answers, as MLflow has it.", "plain"),
)


class NoRouteError(Exception):
    """404, or 405 with the methods that there are."""

    def __init__(self, status: int, allow: tuple[str, ...] = ()) -> None:
        super().__init__(status)
        self.status = status
        self.allow = allow


_PART = re.compile(r"\{(\w+)\}")
_FIXED = {route.path: route for route in ROUTES if "{" not in route.path}
_PATTERNS = tuple(
    (re.compile(_PART.sub(r"(?P<\1>[A-Za-z0-9_.-]{1,255})", route.path.replace(".", r"\."))), route)
    for route in ROUTES
    if "{" in route.path
)


def match(path: str, method: str) -> tuple[Route, dict[str, str]]:
    """The line for a path and a method, and the parts of the path; NoRouteError when there is none.

    No two lines share a path, so a path decides which methods there are.
    """
    route, parts = _FIXED.get(path), {}
    if route is None:
        for pattern, candidate in _PATTERNS:
            if found := pattern.fullmatch(path):
                route, parts = candidate, found.groupdict()
                break
        else:
            raise NoRouteError(404)
    if method not in route.methods:
        raise NoRouteError(405, route.methods)
    return route, parts
