"""What a model takes and gives, drawn from its bundle: described for people, and as JSON Schema for machines.

>>> from lingqu.tasks import find_task
>>> limit = {"name": "text", "source": "message", "kind": "text", "missing": False}
>>> describe_columns([limit], find_task("text-classification"), "en")
[{'name': 'message', 'role': 'text', 'kind': 'text', 'required': True, 'about': 'The text to classify.'}]
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lingqu.bundle.example import example
from lingqu.contract import Task
from lingqu.data.accept import MOST_CHARACTERS, MOST_NAME, NAMED, reach
from lingqu.serve.patterns import NO_VALUE, SIGN
from lingqu.serve.rows import BINARY, MOST_ROWS
from lingqu.serve.words import in_language

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle

Schema = dict[str, Any]
SHOWN_NAMES = 5

_KIND: dict[str, Schema] = {
    "number": {"type": "number"},
    "text": {"type": "string"},
    "category": {"type": ["string", "number", "boolean"]},
    "id": {"type": ["string", "number"]},
    "time": {"type": ["string", "number"]},
}
_STRING: Schema = {"type": "string", "contentEncoding": "base64"}
_OBJECT: Schema = {
    "type": "object",
    "properties": {"b64": _STRING},
    "required": ["b64"],
    "additionalProperties": False,
}
_BASE64: Schema = {"anyOf": [_STRING, _OBJECT]}


def describe_columns(limits: Sequence[Mapping[str, Any]], task: Task, language: str) -> list[dict[str, Any]]:
    """Each column for people and forms: name, role, kind, whether it is required, one sentence, and what was learned."""
    described: list[dict[str, Any]] = []
    for limit in limits:
        learned = {name: limit[name] for name in ("low", "high", "values") if name in limit}
        described.append(
            {
                "name": limit["source"],
                "role": limit["name"],
                "kind": limit["kind"],
                "required": not limit["missing"],
                "about": about(limit, task, language),
                **learned,
            }
        )
    return described


def about(limit: Mapping[str, Any], task: Task, language: str) -> str:
    """One or two sentences on what a column holds.

    >>> from lingqu.tasks import find_task
    >>> age = {"name": "age", "source": "age", "kind": "number", "missing": False, "low": 20.0, "high": 60.0}
    >>> about(age, find_task("tabular-regression"), "en")
    'A number. Training rows held 20 to 60; a number beyond -380 to 460 is refused.'
    """
    say = in_language(language)
    own = next((column.about for column in task.columns if column.name == limit["name"] and column.about), "")
    sentences = [say(own)] if own else []
    kind = limit["kind"]
    if kind == "number":
        sentences += [] if own else [say("A number.")]
        if "low" in limit:
            low, high, (least, most) = limit["low"], limit["high"], reach(limit)
            learned = "Training rows held {low} to {high}; a number beyond {least} to {most} is refused."
            sentences.append(say(learned, low=f"{low:g}", high=f"{high:g}", least=f"{least:g}", most=f"{most:g}"))
    elif kind == "category" and limit.get("values"):
        names = ", ".join(limit["values"][:SHOWN_NAMES])
        sentences.append(say("A name, such as {names}; one that training never saw counts as unknown.", names=names))
    elif kind in BINARY:
        noun = "A picture (JPEG, PNG, WebP or BMP)" if kind == "image" else "A recording"
        sentences.append(say(f"{noun}, its bytes as base64; an address is never fetched."))
    elif not own:
        text = say("A text of at most {most} characters.", most=f"{MOST_CHARACTERS:,}")
        sentences.append({"text": text, "time": say("A date or a moment, ISO 8601.")}.get(kind, say("A name.")))
    if limit["missing"]:
        sentences.append(say("It may be left out."))
    return ("" if language == "zh" else " ").join(sentences)


def row_schema(bundle: Bundle, language: str, *, alone: bool, most: int = MOST_CHARACTERS) -> Schema:
    """JSON Schema (2020-12) of one row whose texts have `most` characters at most.

    `alone` is the row that is asked for by itself: whatever the bundle would refuse by a limit is refused by its schema.
    Among many rows a row is refused by itself, so there only names and kinds are the schema's, and a null is of any kind.
    """
    limits = bundle.manifest["columns"]
    properties: dict[str, Schema] = {}
    required: list[str] = []
    rules: list[Schema] = []
    for limit in limits:
        schema = tight(limit, most) if alone else dict(_KIND.get(limit["kind"], _BASE64))
        if limit["missing"] or not alone:
            schema = {"anyOf": [schema, {"type": "null"}]}
        names = list(dict.fromkeys((limit["source"], limit["name"])))
        described = {**schema, "description": about(limit, bundle.task, language)}
        properties |= dict.fromkeys(names, described)
        if len(names) == 1:
            required += [] if limit["missing"] else names
        else:
            # By the user's own name or by its role, never by both.
            one = [{"required": [name]} for name in names]
            rules.append({"not": {"required": names}} if limit["missing"] else {"oneOf": one})
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        **({"allOf": rules} if rules else {}),
        "additionalProperties": False,
        "examples": [example_row(bundle)],
    }


def tight(limit: Mapping[str, Any], most: int = MOST_CHARACTERS) -> Schema:
    """JSON Schema of one value, with all that the bundle would refuse it for.

    >>> tight({"kind": "number", "missing": False, "low": 20.0, "high": 60.0})
    {'type': 'number', 'minimum': -380.0, 'maximum': 460.0}
    """
    kind = limit["kind"]
    schema = dict(_KIND.get(kind, _BASE64))
    if kind == "number" and "low" in limit:
        schema["minimum"], schema["maximum"] = reach(limit)
    if kind == "text":
        schema["maxLength"] = most
    if kind in NAMED:
        schema["maxLength"] = MOST_NAME
    if limit["missing"]:
        return schema
    if kind == "text":
        schema.update(minLength=1, pattern=SIGN)
    if kind in ("category", "id", "time"):
        # No pattern knows the calendar: a time that is none is refused for what it is.
        schema["not"] = {"type": "string", "pattern": NO_VALUE}
    return schema


def example_row(bundle: Bundle) -> dict[str, Any]:
    """A row that a bundle answers, as JSON holds it: bytes as base64."""
    row = example(bundle.manifest, bundle.task, bundle.memory.get("labels") or ())
    return {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value for name, value in row.items()
    }


def describe_answer(bundle: Bundle) -> dict[str, Any]:
    """The kind of the answer, and the labels that it may have."""
    described: dict[str, Any] = {"kind": bundle.manifest["answer"]}
    if "labels" in bundle.memory:
        described["labels"] = bundle.memory["labels"]
    return described


def answer_schema(bundle: Bundle, language: str) -> Schema:
    """JSON Schema of one answer, with its id."""
    say = in_language(language)
    labels = bundle.memory.get("labels")
    label: Schema = {"type": "string", **({"enum": labels} if labels else {})}
    chance: Schema = {"type": "number", "minimum": 0, "maximum": 1}
    scores = say("The probability of each label; only when scores are asked for.")
    scores_schema = {"type": "object", "additionalProperties": chance, "description": scores}
    number: Schema = {"type": "number"}
    ends = "The {} end of the range that holds the truth nine times in ten."
    kinds: dict[str, dict[str, Schema]] = {
        "label-scores": {
            "prediction": {**label, "description": say("The label.")},
            "confidence": {**chance, "description": say("How sure the model is, 0 to 1.")},
            "scores": scores_schema,
        },
        "label-set": {
            "prediction": {"type": "array", "items": label, "description": say("The labels: none, one or several.")},
            "confidence": {
                **chance,
                "description": say("How sure the model is of the least sure of its decisions, 0 to 1."),
            },
            "scores": scores_schema,
        },
        "number-value": {
            "prediction": {**number, "description": say("The number.")},
            "low": {**number, "description": say(ends.format("lower"))},
            "high": {**number, "description": say(ends.format("upper"))},
        },
    }
    known = kinds.get(bundle.manifest["answer"], {"prediction": {"description": say("The answer.")}})
    identity = {"type": "string", "description": say("The id of this answer; feedback names it.")}
    return {
        "type": "object",
        "properties": {"id": identity, **known},
        "required": ["id", *(name for name in known if name != "scores")],
    }


def request_schema(bundle: Bundle, language: str) -> Schema:
    """JSON Schema of what is posted: one row, or rows; exactly one of the two."""
    say = in_language(language)
    one = {**row_schema(bundle, language, alone=True), "description": say("One row.")}
    many: Schema = {
        "type": "array",
        "items": row_schema(bundle, language, alone=False),
        "minItems": 1,
        "maxItems": MOST_ROWS,
        "description": say("Rows, at most {most}.", most=f"{MOST_ROWS:,}"),
    }
    return {
        "oneOf": [
            {"type": "object", "properties": {"row": one}, "required": ["row"], "additionalProperties": False},
            {"type": "object", "properties": {"rows": many}, "required": ["rows"], "additionalProperties": False},
        ]
    }
