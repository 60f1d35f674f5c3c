"""What feedback may say, as the inbox takes it, in JSON Schema.

The right answer is one of four fields, by which of them is there: a null is as if its field were not. What a label may be
depends on the answer it is about; where all models here answer with numbers, no other text is taken for a label.

>>> from lingqu.serve.words import in_language
>>> vote_schema(in_language("en"), {"number-value"})["properties"]["rating"]["type"]
['integer', 'null']
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from lingqu.serve.inbox import (
    FARTHEST,
    LONGEST_COMMENT,
    LONGEST_ID,
    LONGEST_LABEL,
    LONGEST_NAME,
    MOST_LABELS,
    NUMERIC,
    ORIGINS,
    RESERVED,
    SOURCE,
)
from lingqu.serve.patterns import any_case
from lingqu.serve.words import Say

Schema = dict[str, Any]

_NUMBER: Schema = {"type": "number", "minimum": -FARTHEST, "maximum": FARTHEST}
_TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": LONGEST_LABEL}
_LABELS: Schema = {
    "type": "array",
    "items": {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME},
    "maxItems": MOST_LABELS,
}
_NULL: Schema = {"type": "null"}
_KINDS: dict[str, Schema] = {
    "label": {"type": ["string", "number", "array"]},
    "truth": {"type": ["string", "number", "array"]},
    "reward": {"type": "number"},
    "rating": {"type": "integer"},
}
"""What is there when one of these fields is."""


def vote_schema(say: Say, answers: Collection[str]) -> Schema:
    """JSON Schema of the body of feedback, where models give these kinds of answers."""
    about: Schema = {
        "type": "string",
        "minLength": 1,
        "maxLength": LONGEST_ID,
        "description": say("The id of the answer that this is about."),
    }
    return {
        "type": "object",
        "properties": {"prediction_id": about, **_judgement(say, answers), **_beside(say)},
        "required": ["prediction_id"],
        "oneOf": [{"required": [name], "properties": {name: kind}} for name, kind in _KINDS.items()],
        "anyOf": [{"properties": {name: _NULL}} for name in ("comment", "rationale")],
        "additionalProperties": False,
    }


def _judgement(say: Say, answers: Collection[str]) -> dict[str, Schema]:
    """The four fields of which one says how good the answer was, or what would have been right."""
    numeric: Schema = {"type": "string", "pattern": f"^{NUMERIC}$"}
    only_numbers = set(answers) == {"number-value"}
    label: Schema = {
        "anyOf": [_NUMBER, numeric, _NULL] if only_numbers else [_TEXT, _NUMBER, _LABELS, _NULL],
        "description": say("The right answer."),
    }
    rating: Schema = {
        "type": ["integer", "null"],
        "minimum": 1,
        "maximum": 5,
        "description": say("How good the answer was, 1 to 5."),
    }
    return {
        "label": label,
        "truth": {**label, "description": say("Another name of label.")},
        "reward": {**_NUMBER, "type": ["number", "null"], "description": say("How good the outcome was, any number.")},
        "rating": rating,
    }


def _beside(say: Say) -> dict[str, Schema]:
    """What may stand beside it: a person's words, and where it all comes from."""
    comment: Schema = {
        "type": ["string", "null"],
        "maxLength": LONGEST_COMMENT,
        "description": say("What a person says about it."),
    }
    source: Schema = {
        "type": ["string", "null"],
        "pattern": f"^{SOURCE}$",
        "not": {"type": "string", "pattern": f"^{any_case(RESERVED)}$"},
        "description": say("Where the feedback comes from."),
    }
    return {
        "comment": comment,
        "rationale": {**comment, "description": say("Another name of comment.")},
        "source": source,
        "origin": {"enum": [*ORIGINS, None], "description": say("Whether a person or a model judged.")},
    }
