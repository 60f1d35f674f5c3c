"""How the tables hold what the service keeps: JSON that is read back as the same values, encrypted when there is a key.

>>> sealed = Sealed(MasterKeys((bytes(32),)))
>>> kept = sealed.input("p1", {"text": "渠"}, masked=False)
>>> kept[:4], sealed.row("p1", kept)
('enc:', {'text': '渠'})
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

from lingqu.errors import Problem, StoreError
from lingqu.privacy.encrypt import KEY_VARIABLE, MasterKeys, is_record
from lingqu.privacy.mask import mask_row

SEALED, _PLAIN = "enc:", "not-enc:"
_DAMAGED = "It is damaged: restore it from a backup."


class Sealed:
    """Inputs as the database holds them: JSON, or JSON encrypted when there is a key."""

    def __init__(self, keys: MasterKeys | None) -> None:
        self.keys = keys

    def input(self, identity: str, row: Mapping[str, Any] | None, *, masked: bool) -> str | None:
        """The input of a prediction as text to be kept."""
        if row is None:
            return None
        return self.close(spell(mask_row(row) if masked else row), f"input:{identity}")

    def row(self, identity: str, kept: str | None) -> dict[str, Any] | None:
        """The input that this text keeps."""
        return None if kept is None else unspell(self.open(kept, f"input:{identity}"))

    def close(self, plain: str, place: str) -> str:
        """A text as it is kept at a place.

        >>> Sealed(None).close("enc: see attachment", "comment:1")
        'not-enc:enc: see attachment'
        """
        if self.keys is None:
            # Whoever writes a comment shall not choose what it is taken for.
            return _PLAIN + plain if plain.startswith((SEALED, _PLAIN)) else plain
        return SEALED + base64.b64encode(self.keys.seal(plain.encode("utf-8", "replace"), place.encode())).decode()

    def open(self, kept: str, place: str) -> str:
        """The text that is kept at a place; StoreError without the key that it was closed with."""
        if kept.startswith(_PLAIN):
            return kept.removeprefix(_PLAIN)
        if not kept.startswith(SEALED):
            return kept
        record = _record(kept.removeprefix(SEALED))
        if record is None and place.startswith(("comment:", "reason:")):
            # Free words were once kept as they were given, whatever they began with; all else is JSON.
            return kept
        if record is None:
            raise StoreError(Problem("an encrypted record as it was written", "something else", _DAMAGED))
        if self.keys is None:
            advice = f"Set {KEY_VARIABLE}."
            raise StoreError(Problem("the key that inputs were encrypted with", "none", advice))
        return self.keys.open(record, place.encode()).decode()


def _record(text: str) -> bytes | None:
    """The bytes of an encrypted record; None for a text that can be none.

    >>> _record(" see attachment"), _record("渠")
    (None, None)
    """
    try:
        record = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return record if is_record(record) else None


def iso(moment: float) -> str:
    """A moment as the tables keep it.

    >>> iso(0)
    '1970-01-01T00:00:00.000000Z'
    """
    micro = round(moment * 1e6)
    return f"{_second(micro // 1_000_000)}.{micro % 1_000_000:06d}Z"


@lru_cache(maxsize=64)
def _second(number: int) -> str:
    return f"{datetime.fromtimestamp(number, UTC):%Y-%m-%dT%H:%M:%S}"


def plain_text(given: str) -> str:
    r"""A text that every database takes: no NUL, no half of a character.

    >>> plain_text("a\0b\ud800")
    'ab?'
    """
    if given.isascii() and "\0" not in given:
        return given
    return given.replace("\0", "").encode("utf-8", "replace").decode()


def spell(value: Any) -> str:
    """A value as JSON text that every database takes, and that `unspell` reads as the same value.

    >>> unspell(spell({"a": b"x", "b": float("inf"), "c": ["渠"]}))
    {'a': b'x', 'b': inf, 'c': ['渠']}
    """
    if isinstance(value, dict) and (quick := simple(value)) is not None:
        return quick
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError):
        # Bytes, or a number that JSON does not know.
        text = json.dumps(_spelled(value), ensure_ascii=False, separators=(",", ":"))
    # Half of a character is nothing that UTF-8 can hold, but JSON's own escapes can.
    return text if _is_whole(text) else json.dumps(_spelled(value), separators=(",", ":"))


def simple(value: dict[str, Any]) -> str | None:
    """What `spell` makes of names with plain values, also one level further down; None for anything else.

    >>> simple({"label": "渠", "scores": {"渠": 0.5}}), simple({"n": float("inf")}), simple({"b": b"x"}), simple({"l": []})
    ('{"label":"渠","scores":{"渠":0.5}}', None, None, None)
    """
    for inner in value.values():
        kind = type(inner)
        if kind is float:
            # It would be written as null.
            if not math.isfinite(inner):
                return None
        elif kind is dict:
            if not all(type(one) is float and math.isfinite(one) for one in inner.values()):
                return None
        elif kind is not str and kind is not int and kind is not bool and inner is not None:
            return None
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # A name that is no text, half of a character, a number of more than 64 bits.
        return None


def _is_whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def unspell(text: str) -> Any:
    """The value that this text says."""
    return _unspelled(json.loads(text))


def _spelled(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$number": str(value)}
    if isinstance(value, Mapping):
        return {str(name): _spelled(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(inner) for inner in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def _unspelled(value: Any) -> Any:
    if isinstance(value, dict):
        if len(value) == 1:
            (mark, inner), *_ = value.items()
            if mark == "$bytes":
                return base64.b64decode(inner)
            if mark == "$number":
                return float(inner)
        return {name: _unspelled(inner) for name, inner in value.items()}
    return [_unspelled(inner) for inner in value] if isinstance(value, list) else value
