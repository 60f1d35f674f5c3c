"""The service's own interface as OpenAPI 3.1, drawn from the models that it serves at this moment.

Each model has a path of its own, so that its schema can say what its columns are. The routes of other protocols are
described by those protocols.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lingqu import __version__
from lingqu.serve.schemas import answer_schema, example_row, request_schema, row_schema
from lingqu.serve.why import MOST_EXPLAINED
from lingqu.serve.words import LANGUAGES, Say, in_language

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle
    from lingqu.serve.service import Service

Node = dict[str, Any]

ERRORS = {
    400: "Malformed.",
    401: "No key, or one that is wrong, expired or revoked.",
    403: "A key that may not do this, or a request from a foreign page.",
    404: "No such model, version or answer.",
    408: "The request took too long to arrive.",
    409: "The same was sent before.",
    413: "The body is too large.",
    415: "The body is of a type that is not read.",
    422: "The rows are not what the model takes.",
    429: "Too many requests; Retry-After says when to come again.",
    500: "A fault of the service; the log knows the id.",
    503: "Not ready; Retry-After says when to come again.",
    504: "No answer in time.",
}
_LINK: Node = {
    "operationId": "feedback",
    "requestBody": {"prediction_id": "$response.body#/predictions/0/id", "rating": 5},
}
"""Where the id of an answer leads to."""

_READING = (400, 401, 403, 404, 429, 500, 503)
_WRITING = (*_READING, 408, 413, 415, 422, 504)


def openapi(service: Service, language: str) -> Node:
    """The whole document; descriptions in this language."""
    say = in_language(language)
    paths: Node = {"/v1/models": {"get": _operation("listModels", say("The models that answer here."), _models())}}
    for name, engine in service.engines.items():
        paths.update(_model_paths(name, engine.bundle(), language))
    if service.inbox is not None:
        for name in service.engines:
            paths[f"/v1/models/{name}/predict"]["post"]["responses"]["200"]["links"] = {"feedback": _LINK}
        paths["/v1/feedback"] = {"post": _feedback(service, say)}
    document: Node = {
        "openapi": "3.1.0",
        "info": {"title": "lingqu", "version": __version__, "description": _about(say)},
        "paths": paths,
        "components": {"schemas": {"Error": _error()}, "responses": _responses(say)},
    }
    if service.keys is not None and service.keys.required:
        document["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer"},
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        document["security"] = [{"bearer": []}, {"key": []}]
    return document


def _about(say: Say) -> str:
    return say(
        "It also speaks the Open Inference Protocol v2 (/v2), TensorFlow Serving's :predict and MLflow's /invocations."
    )


def _model_paths(name: str, bundle: Bundle, language: str) -> Node:
    say = in_language(language)
    row = example_row(bundle)
    language_parameter = _query(
        "language", {"type": "string", "enum": list(LANGUAGES)}, say("The language of descriptions.")
    )
    version = _query(
        "version", {"type": "string"}, say("A version number or an alias: champion, challenger, previous.")
    )
    scores = _query("scores", {"type": "boolean"}, say("Give the probability of each label too."))
    take = _operation(
        f"describe-{name}", say("What the model {name} takes and gives.", name=name), {"type": "object"},
        parameters=[language_parameter, version],
    )  # fmt: skip
    ask = _operation(
        f"predict-{name}", say("Answers of the model {name}.", name=name), _predictions(bundle, language),
        parameters=[scores, version], statuses=_WRITING,
        body=request_schema(bundle, language), example={"rows": [row]},
    )  # fmt: skip
    alone = {**row_schema(bundle, language, alone=True, most=MOST_EXPLAINED), "description": say("One row.")}
    given: Node = {"row": alone}
    if labels := bundle.memory.get("labels"):
        chosen = say("The label to explain; the predicted one unless given.")
        given["label"] = {"enum": [*labels, None], "description": chosen}
    explain = _operation(
        f"explain-{name}", say("Which parts of a row the answer of {name} rests on.", name=name), _parts(say),
        parameters=[version], statuses=_WRITING, example={"row": row},
        body={"type": "object", "properties": given, "required": ["row"], "additionalProperties": False},
    )  # fmt: skip
    return {
        f"/v1/models/{name}": {"get": take},
        f"/v1/models/{name}/predict": {"post": ask},
        f"/v1/models/{name}/explain": {"post": explain},
    }


def _parts(say: Say) -> Node:
    part = {
        "type": "object",
        "properties": {
            "column": {"type": "string", "description": say("The column that the part belongs to.")},
            "weight": {
                "type": "number",
                "description": say("What the log-odds of the label, or the number, lose without this part."),
            },
        },
        "required": ["column", "weight"],
    }
    told = {
        "prediction": {},
        "label": {"type": ["string", "null"]},
        "parts": {"type": "array", "items": part, "description": say("Parts, the weightiest first.")},
        "seconds": {"type": "number", "minimum": 0},
    }
    return {"type": "object", "properties": told, "required": list(told)}


def _operation(
    identity: str, summary: str, answer: Node, *, parameters: list[Node] | None = None,
    statuses: tuple[int, ...] = _READING, body: Node | None = None, example: Any = None, status: int = 200,
) -> Node:  # fmt: skip
    responses: Node = {str(status): {"description": summary, "content": {"application/json": {"schema": answer}}}}
    responses |= {str(code): {"$ref": f"#/components/responses/{code}"} for code in sorted(statuses)}
    operation: Node = {"operationId": identity, "summary": summary, "responses": responses}
    if parameters:
        operation["parameters"] = parameters
    if body is not None:
        content = {"application/json": {"schema": body, "examples": {"example": {"value": example}}}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _query(name: str, schema: Node, description: str) -> Node:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _models() -> Node:
    text = {"type": "string"}
    one = {
        "type": "object",
        "properties": {
            "name": text,
            "version": text,
            "aliases": {"type": "object", "additionalProperties": text},
            "task": text,
            "state": text,
        },
        "required": ["name", "version", "aliases", "task", "state"],
    }
    return {"type": "object", "properties": {"models": {"type": "array", "items": one}}, "required": ["models"]}


def _predictions(bundle: Bundle, language: str) -> Node:
    say = in_language(language)
    identity = {"type": "string", "description": say("The id of this answer; feedback names it.")}
    why = {"type": "string", "description": say("Why this row has no answer.")}
    refused = {"type": "object", "properties": {"id": identity, "error": why}, "required": ["id", "error"]}
    items = {"anyOf": [answer_schema(bundle, language), refused]}
    told = {
        "model": {"type": "string", "description": say("The name of the model.")},
        "version": {"type": "string", "description": say("The version that answered.")},
        "request_id": {
            "type": "string",
            "description": say("The id of this request, as in the header X-Request-Id."),
        },
        "predictions": {"type": "array", "items": items, "description": say("One answer for each row, in order.")},
    }
    return {"type": "object", "properties": told, "required": list(told)}


def _feedback(service: Service, say: Say) -> Node:
    # Only who keeps answers has a database, and only the inbox knows what it takes.
    from lingqu.serve.votes import vote_schema

    answers = {engine.bundle().manifest["answer"] for engine in service.engines.values()}
    answer = {
        "type": "object",
        "properties": {
            "feedback_id": {"type": "string", "description": say("The id of this feedback.")},
            "status": {
                "type": "string",
                "description": say("What became of it: it waits for review, or was taken."),
            },
            "reason": {"type": "string", "description": say("Why it was rejected at once, where it was.")},
        },
        "required": ["feedback_id", "status"],
    }
    return _operation(
        "feedback", say("Say what the right answer was, or how good an answer was."), answer,
        statuses=(*_WRITING, 409), body=vote_schema(say, answers), example={"prediction_id": "…", "rating": 5}, status=202,
    )  # fmt: skip


def _error() -> Node:
    text: Node = {"type": "string"}
    problem = {"type": "object", "properties": dict.fromkeys(("expected", "found", "next", "where"), text)}
    error = {
        "type": "object",
        "properties": {"message": text, "problems": {"type": "array", "items": problem}, "id": text},
        "required": ["message", "problems", "id"],
    }
    return {"type": "object", "properties": {"error": error}, "required": ["error"]}


def _responses(say: Say) -> Node:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {str(status): {"description": say(text), "content": content} for status, text in ERRORS.items()}
