"""Rows as JSON holds them, brought to what a bundle takes; every value of a wrong kind is told at once.

What is checked here is what the published schema says: names of columns and kinds of values. What a value means (a number
far outside what was learned, bytes that are no picture) is the bundle's to judge, row by row; and so is a null among rows.

>>> limits = [{"name": "age", "source": "age", "kind": "number", "missing": False}]
>>> read_rows([{"age": 30}, {"age": 31.5}], limits)["age"]
[30, 31.5]
>>> read_rows([{"age": 30}, {"age": [1]}], limits)
Traceback (most recent call last):
lingqu.errors.DataError: rows[1].age: Expected a number, found a list. Send one such as 1.5, without quotes.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lingqu.contract import Rows
from lingqu.data.values import shown
from lingqu.errors import DataError, Problem, near

MOST_ROWS = 1_000
MOST_PROBLEMS = 10
BINARY = frozenset({"image", "audio"})
NOUNS = {
    "number": "a number",
    "text": "a text",
    "category": "a name",
    "id": "a name",
    "time": "a date or time",
    "image": "the bytes of a picture as base64",
    "audio": "the bytes of a recording as base64",
}
_TYPES: dict[str, tuple[type, ...]] = {
    "number": (int, float),
    "text": (str,),
    "category": (str, int, float, bool),
    "id": (str, int, float),
    "time": (str, int, float),
}
_FOUND = {dict: "an object", list: "a list", bool: "true or false", str: "a text", int: "a number", float: "a number"}

Limits = Sequence[Mapping[str, Any]]


def read_rows(given: Any, limits: Limits, *, where: str = "rows", closed: bool = True) -> Rows:
    """Rows of a list of objects; DataError with up to ten problems, each at its place.

    A column goes by the user's own name or by its role. `closed` is the service's own interface: it refuses a name that no
    column has, and `{"b64": …}` for anything but bytes; both belong to other protocols.
    """
    if not isinstance(given, list) or not given:
        raise DataError(Problem("a list of at least one row", found(given), "Send the rows in a list.", where=where))
    if len(given) > MOST_ROWS:
        raise DataError(
            Problem(f"at most {MOST_ROWS:,} rows", f"{len(given):,}", "Send several requests.", where=where)
        )
    problems: list[Problem] = []
    columns: dict[str, list[Any]] = {limit["source"]: [None] * len(given) for limit in limits}
    holes = closed and where != "row"
    for place, row in enumerate(given):
        values, wrong = _read_row(row, limits, where if where == "row" else f"{where}[{place}]", closed, holes)
        problems.extend(wrong)
        for name, value in values.items():
            columns[name][place] = value
        if len(problems) >= MOST_PROBLEMS:
            break
    if problems:
        raise DataError(problems[:MOST_PROBLEMS])
    return Rows(columns)


def _read_row(row: Any, limits: Limits, at: str, closed: bool, holes: bool) -> tuple[dict[str, Any], list[Problem]]:
    """The values of a row by the user's own names of columns, and what is wrong with them; `holes`: a null is not."""
    if not isinstance(row, dict):
        return {}, [Problem("an object {column: value}", found(row), "Name each value by its column.", where=at)]
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    unread = set(row)
    for limit in limits:
        source = limit["source"]
        named = [name for name in dict.fromkeys((source, limit["name"])) if name in unread]
        unread.difference_update(named)
        if len(named) > 1:
            found_twice, advice = "its name and its role", f"Keep '{source}' alone."
            problems.append(Problem(f"the column '{source}' once", found_twice, advice, where=at))
        elif named:
            try:
                value = row[named[0]]
                values[source] = None if value is None and holes else read_value(value, limit, closed)
            except _WrongError as wrong:
                problems.append(Problem(*wrong.args, where=f"{at}.{source}"))
        elif not limit["missing"]:
            problems.append(Problem(f"a column '{source}'", _names(row), near(source, row, say="Add it."), where=at))
    if closed:
        known = [limit["source"] for limit in limits]
        problems += [
            Problem("a column of the model", shown(name), near(name, known), where=at) for name in row if name in unread
        ]
    return values, problems


_BASE64 = "Encode its bytes as base64 (RFC 4648)."
_HOW = {"number": "Send one such as 1.5, without quotes.", "category": "Send a text or a number."}


class _WrongError(Exception):
    """What was expected, what was found, what to do next."""

    def __init__(self, expected: str, found: str, advice: str) -> None:
        super().__init__(expected, found, advice)


def read_value(value: Any, limit: Mapping[str, Any], closed: bool) -> Any:
    """One value of JSON as the bundle takes it: pictures as bytes, everything else as it is."""
    kind = limit["kind"]
    if value is None:
        if limit["missing"]:
            return None
        raise _WrongError(NOUNS.get(kind, f"a {kind}"), "nothing", "Training rows had no missing value there.")
    if isinstance(value, dict) and set(value) == {"b64"} and (kind in BINARY or not (closed or kind == "number")):
        return _decoded(value["b64"], kind)
    if kind in BINARY:
        return _decoded(value, kind)
    allowed = _TYPES.get(kind, (str, int, float, bool))
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        raise _WrongError(NOUNS.get(kind, f"a {kind}"), found(value), _HOW.get(kind, "Send it as a text."))
    return value


def _decoded(value: Any, kind: str) -> Any:
    """The bytes, or the text, that base64 stands for; an address is never fetched."""
    if not isinstance(value, str):
        raise _WrongError(NOUNS.get(kind, "base64"), found(value), _BASE64)
    if value.startswith("data:"):
        head, comma, value = value.partition(",")
        if not comma or not head.endswith(";base64"):
            raise _WrongError(
                "a data: address in base64", shown(head), "Send data:image/png;base64,… or the base64 alone."
            )
    try:
        data = base64.b64decode(value, validate=True)
        if not data and value.strip("="):
            raise binascii.Error
        return data if kind in BINARY else data.decode()
    except UnicodeDecodeError:
        raise _WrongError(
            NOUNS.get(kind, "a text"), "base64 of bytes that are no UTF-8", "Encode it as UTF-8."
        ) from None
    except (binascii.Error, ValueError):
        advice = "Send the bytes themselves; addresses are never fetched." if "://" in value[:16] else _BASE64
        raise _WrongError(NOUNS.get(kind, "base64"), shown(value), advice) from None


def decoded(value: str, kind: str, where: str) -> bytes:
    """The bytes that base64 stands for; DataError when it is none."""
    try:
        return _decoded(value, kind)
    except _WrongError as wrong:
        raise DataError(Problem(*wrong.args, where=where)) from None


def found(value: Any) -> str:
    """What a JSON value is, in words.

    >>> found([1]), found(None), found("a"), found([])
    ('a list', 'nothing', "'a'", 'an empty list')
    """
    if isinstance(value, list) and not value:
        return "an empty list"
    return "nothing" if value is None else shown(value) if isinstance(value, str) else _FOUND[type(value)]


def _names(names: Iterable[str]) -> str:
    listed = list(names)
    return "columns " + (", ".join(name[:40] for name in listed[:10]) or "none")
