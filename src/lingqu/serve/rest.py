"""The service's own REST interface: models, answers, feedback."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from lingqu.contract import Refusal, Rows
from lingqu.errors import DataError, LingquError, Problem, ProtocolError, UnknownNameError
from lingqu.serve.answers import told
from lingqu.serve.ask import ask
from lingqu.serve.call import Call, unread
from lingqu.serve.form import read_form
from lingqu.serve.probing import as_json
from lingqu.serve.response import Response
from lingqu.serve.rows import BINARY, MOST_ROWS, read_rows
from lingqu.serve.schemas import describe_answer, describe_columns, example_row
from lingqu.serve.words import LANGUAGES, in_language

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle
    from lingqu.serve.engine import Engine

FORM = "multipart/form-data"
SOURCES = ("api", "page", "command-line")


async def models(call: Call) -> Response:
    """Every model with the version that answers."""
    return as_json({"models": [_listed(engine) for engine in call.service.engines.values()]})


def _listed(engine: Engine) -> dict[str, Any]:
    current = engine.current
    loaded = engine.versions()
    state = next((state for served, _, state in loaded if served == current), "ready")
    aliases = {alias: served.version for served, names, _ in loaded for alias in names}
    task = engine.bundle().task.name
    return {"name": engine.name, "version": current.version, "aliases": aliases, "task": task, "state": state}


async def model(call: Call) -> Response:
    """One model: its columns, its answer, an example row that it answers, and what it was measured to do."""
    language = call.query("language", LANGUAGES) or "en"
    version = call.query("version")
    engine = call.service.engine(call.params["name"])
    bundle = engine.bundle(version)
    served = engine.current if version is None else _served(engine, version)
    listed = _listed(engine)
    return as_json(
        {
            **listed,
            "version": served.version,
            "about": in_language(language)(bundle.task.about),
            "columns": describe_columns(bundle.manifest["columns"], bundle.task, language),
            "answer": describe_answer(bundle),
            "example": example_row(bundle),
            "metrics": await asyncio.to_thread(_metrics, call, served.reference, served.number),
        }
    )


def _served(engine: Engine, version: str) -> Any:
    bundle = engine.bundle(version)
    return next(
        served
        for served, aliases, _ in engine.versions()
        if version in aliases or version == served.version or engine.bundle(served.version) is bundle
    )


def _metrics(call: Call, reference: str, number: int | None) -> dict[str, Any]:
    """What the registry says that this version was measured to do; nothing for a bundle that no registry knows."""
    from lingqu.registry import Registry

    if number is None or call.service.store is None:
        return {}
    try:
        return Registry(call.service.store).get(reference).metrics
    except LingquError:
        # The model answers whatever becomes of the database.
        return {}


async def predict(call: Call) -> Response:
    """Answers to one row or many, sent as JSON, as a form, or as the bytes of a picture or text."""
    scores = call.query("scores", ("true", "false")) == "true"
    version = call.query("version")
    name = call.params["name"]
    bundle = call.service.engine(name).bundle(version)
    rows, alone = await _rows(call, bundle)
    asked = await ask(call, name, rows, version=version)
    predictions = [
        {"id": identity, **told(answer, scores=scores)}
        for identity, answer in zip(asked.ids, asked.reply.answers, strict=True)
    ]
    first = asked.reply.answers[0]
    if alone and isinstance(first, Refusal):
        raise refused(first)
    served = asked.reply.version
    body = {"model": served.name, "version": served.version, "request_id": call.id, "predictions": predictions}
    return as_json(body, headers=asked.headers())


def refused(answer: Refusal, where: str = "row") -> DataError:
    """The error for a row that was asked for alone and that the bundle refuses.

    >>> print(refused(Refusal("Expected a number in 'age', found 'old'. Send one.")))
    row: Expected a number in 'age', found 'old'. Send one.
    """
    expected, _, rest = answer.error.removeprefix("Expected ").partition(", found ")
    found, dot, advice = rest.partition(". ")
    return DataError(
        Problem(expected, found.removesuffix("."), advice if dot else "Correct it, and ask again.", where=where)
    )


async def _rows(call: Call, bundle: Bundle) -> tuple[Rows, bool]:
    """The rows of a request, and whether it asked for one alone."""
    limits = bundle.manifest["columns"]
    if call.media_type == "application/json":
        return _of_json(await call.json(), limits)
    if call.media_type == FORM:
        content_type = call.headers["content-type"].encode("latin-1")
        return _of_form(read_form(await call.body(), content_type), limits)
    kinds = {limit["kind"] for limit in limits}
    if len(limits) == 1 and kinds == {"text"} and call.media_type == "text/plain":
        return Rows({limits[0]["source"]: [_text(await call.body())]}), True
    of_bytes = call.media_type == "application/octet-stream" or call.media_type.partition("/")[0] in kinds
    if len(limits) == 1 and kinds <= BINARY and of_bytes:
        return Rows({limits[0]["source"]: [await call.body()]}), True
    raise unread(call.media_type, f"application/json or {FORM}")


def _of_json(given: Any, limits: list[dict[str, Any]]) -> tuple[Rows, bool]:
    if not isinstance(given, dict) or len(given) != 1 or not given.keys() <= {"row", "rows"}:
        found = f"the keys {', '.join(sorted(given))[:200] or 'none'}" if isinstance(given, dict) else "no object"
        advice = 'Send {"row": {column: value}} or {"rows": [{column: value}, …]}.'
        raise DataError(Problem("an object with either 'row' or 'rows'", found, advice))
    if "row" in given:
        return read_rows([given["row"]], limits, where="row"), True
    return read_rows(given["rows"], limits), False


def _of_form(fields: list[tuple[str, str | bytes]], limits: list[dict[str, Any]]) -> tuple[Rows, bool]:
    """A form is one row; one that names its only column several times is as many rows. A file may hold any column's value."""
    binary = {limit["source"] for limit in limits if limit["kind"] in BINARY}
    names = {name: limit["source"] for limit in limits for name in (limit["name"], limit["source"])}
    columns: dict[str, list[Any]] = {}
    for name, value in fields:
        if name not in names:
            raise DataError(Problem("a part for each column", repr(name[:60]), f"Columns: {', '.join(names)}."))
        source = names[name]
        if isinstance(value, bytes) and source not in binary:
            value = _text(value)
        columns.setdefault(source, []).append(value)
    counts = {len(values) for values in columns.values()}
    if not columns or len(counts) > 1 or max(counts) > MOST_ROWS:
        advice = f"Columns: {', '.join(limit['source'] for limit in limits)}."
        raise DataError(Problem("a form with one part for each column", f"{len(fields)} parts", advice))
    return Rows(columns), counts == {1}


def _text(body: bytes) -> str:
    """The text of a body or a file; the mark that some editors write before it is no part of it."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ProtocolError(Problem("text in UTF-8", "other bytes", "Encode it as UTF-8."), status=400) from None


async def feedback(call: Call) -> Response:
    """Take feedback on an answer; 202, for it is quarantined until it was looked at."""
    given = await call.json()
    if not isinstance(given, dict):
        advice = 'Send {"prediction_id": the id of the answer, "label": the right one}.'
        raise DataError(Problem("an object with 'prediction_id'", "no object", advice))
    if call.service.inbox is None:
        advice = "Serve a model of a store, not a folder alone."
        raise UnknownNameError(Problem("a service that keeps its answers", "one that does not", advice))
    key = call.headers.get("idempotency-key")
    receipt = await call.service.inbox.hear(given, call.principal, key)
    source = given.get("source", "api")
    # Whoever may choose a label of a metric may fill the memory of whoever collects it.
    call.service.metrics.feedback(source if source in SOURCES else "other", receipt.status)
    told = {"feedback_id": receipt.feedback_id, "status": receipt.status}
    return as_json({**told, **({"reason": receipt.reason} if receipt.status == "rejected" else {})}, 202)
