"""A JSON body, read with limits: nothing a client sends can cost much more than its bytes.

orjson refuses what is no JSON (not-a-number, lone surrogates, numbers beyond a double, more than 1,024 levels). Looked
at here besides: how many values there are, before they become objects; how deep they lie; and that no key stands twice
in one object, for then two readers of the same bytes would see two requests.

>>> read_json(b'{"rows": [{"text": "a: b"}]}')
{'rows': [{'text': 'a: b'}]}
>>> read_json(b'{"text": "a", "text": "b"}')
Traceback (most recent call last):
lingqu.errors.ProtocolError: Expected each key once in an object, found one that stands twice. Remove one of the two.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from lingqu.errors import Problem, ProtocolError

MOST_BYTES = 12 << 20
"""A row with the longest text fits, however it is spelled: an emoji may be two escapes of six bytes."""

MOST_SIGNS = 200_000
MOST_KEYS = 1_000
"""In one object: columns of a row, fields of a form."""
MOST_DEPTH = 16

_SMALL = 4 << 10
_BEGINNING = 2 << 20


def read_json(body: bytes) -> Any:
    """The value that these bytes hold; ProtocolError 400 when they are no JSON, 413 when they hold too many of them."""
    if body.count(b",") + body.count(b":") > MOST_SIGNS:
        # Its beginning is enough to see a bomb by; only a text full of commas has to be gone through whole.
        separators = len(_outside(body[:_BEGINNING]))
        if separators <= MOST_SIGNS:
            separators = len(_outside(body))
        if separators > MOST_SIGNS:
            found = f"{separators:,} and more"
            raise ProtocolError(
                Problem(f"at most {MOST_SIGNS:,} commas and colons in a body", found, "Send fewer rows."), status=413
            )
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise not_json(str(error).split(":")[0] if body.strip() else "an empty body") from None
    pairs = _pairs(value, 0)
    if pairs != body.count(b":") and pairs != _keys(body):
        raise ProtocolError(
            Problem("each key once in an object", "one that stands twice", "Remove one of the two."), status=400
        )
    return value


def not_json(found: str) -> ProtocolError:
    """The answer to a body that is no JSON."""
    return ProtocolError(Problem("a body of JSON", found, "Send UTF-8 text as RFC 8259 has it."), status=400)


def _pairs(value: Any, depth: int) -> int:
    """How many keys all objects have together; ProtocolError when one has too many or they lie too deep."""
    if depth > MOST_DEPTH:
        raise ProtocolError(Problem(f"JSON of at most {MOST_DEPTH} levels", "more", "Send flat rows."), status=400)
    if isinstance(value, dict):
        if len(value) > MOST_KEYS:
            raise ProtocolError(
                Problem(f"at most {MOST_KEYS:,} fields in an object", f"{len(value):,}", "Send only the columns."),
                status=400,
            )
        inner = sum(_pairs(part, depth + 1) for part in value.values() if isinstance(part, dict | list))
        return len(value) + inner
    if isinstance(value, list):
        return sum(_pairs(part, depth + 1) for part in value if isinstance(part, dict | list))
    return 0


def _keys(body: bytes) -> int:
    r"""How many keys valid JSON has, those that stand twice counted twice.

    >>> _keys(b'{"a": ":", "b\\\\\\"": {"a" : [":", 1]}}')
    3
    """
    return _outside(body).count(b":")


_BUT_SIGNS = bytes(sorted({*range(256)} - {*b'":,'}))


def _outside(body: bytes) -> bytes:
    """The colons and commas of JSON that do not stand inside a string, in order.

    >>> _outside(b'{"a,": "b:", "c": [1, 2]}')
    b':,:,'
    """
    # Escapes go first, pairs of backslashes before quotes; every quotation mark left begins or ends a string.
    signs = body.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _BUT_SIGNS)
    if len(signs) < _SMALL:
        return b"".join(signs.split(b'"')[::2])
    data = np.frombuffer(signs, np.uint8)
    quote = data == 0x22
    inside = np.add.accumulate(quote.view(np.uint8), dtype=np.uint8) & 1
    return data[(inside | quote) == 0].tobytes()
