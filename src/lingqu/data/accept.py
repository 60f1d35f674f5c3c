"""The learned contract of a model's columns, and the check of every row against it.

What training rows looked like (kinds, ranges, where values were missing) travels with the bundle; a row that breaks it
is refused with a reason, and the rows beside it are answered.

>>> limits = learn_limits(Rows({"age": [20.0, 60.0]}), {"age": "number"})
>>> accept(Rows({"age": ["30", "old", "9000"]}), limits)[1][1:]
["Expected a number in 'age', found 'old'.", "Expected 'age' between -380 and 460, found 9000. Training rows held 20 to 60."]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lingqu.contract import Rows, Task
from lingqu.data.pictures import PictureFault, open_picture, read_named
from lingqu.data.values import CONVERT, CellFault, left_out, shown
from lingqu.errors import DataError, Problem, near

Limits = list[dict[str, Any]]
"""One entry a column: name (its role), source (the user's name for it), kind, missing, and what its kind adds."""

REACH = 10.0
"""A number may lie this many times the learned range beyond it: a wrong unit is refused, a new record is not."""
MOST_CHARACTERS = 1_000_000
MOST_NAME = 10_000
NAMED = frozenset({"category", "id"})
SHOWN_VALUES = 50
NOT_KEPT = "one that the journal left out"
KEEP = "It keeps pictures under serve.journal.inputs: plain, up to 256 KiB each."
NOUNS = {
    "number": "a number",
    "text": "a text",
    "image": "a picture",
    "category": "a name",
    "label": "a label",
    "labels": "labels",
    "id": "a name",
    "time": "a time",
}


def columns_of(task: Task, kinds: Mapping[str, str]) -> dict[str, str]:
    """The request columns of a task on this data, and the kind of each.

    >>> from lingqu.tasks import find_task
    >>> columns_of(find_task("text-classification"), {"text": "text", "label": "label", "page": "number"})
    {'text': 'text'}
    """
    if task.takes_features:
        return {n: kind for n, kind in kinds.items() if kind in ("number", "category") and n != task.target.name}
    return {column.name: column.kind for column in task.columns}


def learn_limits(rows: Rows, kinds: Mapping[str, str], sources: Mapping[str, str] | None = None) -> Limits:
    """What training rows say of these columns; `sources` gives the user's own name of a column where it differs."""
    limits: Limits = []
    for name, kind in kinds.items():
        values = [value for value in rows[name] if value is not None]
        limit: dict[str, Any] = {
            "name": name,
            "source": (sources or {}).get(name, name),
            "kind": kind,
            "missing": len(values) < len(rows),
        }
        if kind == "number" and values:
            limit |= {"low": min(values), "high": max(values)}
        if kind == "category":
            limit["values"] = [value for value, _ in Counter(values).most_common(SHOWN_VALUES)]
        limits.append(limit)
    return limits


def by_source(row: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """A row by the user's own names for its columns, which whoever asks may also call by their roles.

    >>> limits = [{"name": "text", "source": "message"}]
    >>> by_source({"text": "a"}, limits), by_source({"message": "a", "text": "b"}, limits)
    ({'message': 'a'}, {'message': 'a', 'text': 'b'})
    """
    sources = {limit["source"] for limit in limits}
    roles = {limit["name"]: limit["source"] for limit in limits if limit["source"] not in row}
    return {name if name in sources else roles.get(name, name): cell for name, cell in row.items()}


def accept(rows: Rows, limits: Limits, *, root: Path | None = None) -> tuple[Rows, list[str | None]]:
    """The columns of the contract as typed values, and for each row why it is refused, or None.

    A column may go by its role or by the user's own name. With `root`, a picture may be the name of a file below it.
    DataError when a column is missing from all rows.
    """
    found = {limit["name"]: _find(rows, limit) for limit in limits}
    absent = [limit for limit in limits if found[limit["name"]] is None and not limit["missing"]]
    if absent:
        raise DataError(
            Problem(
                f"a column '{limit['source']}'",
                f"columns {', '.join(rows.names) or 'none'}",
                near(limit["source"], rows.names),
            )
            for limit in absent
        )
    errors: list[str | None] = [None] * len(rows)
    columns: dict[str, list[Any]] = {}
    for limit in limits:
        source = found[limit["name"]]
        values = rows[source] if source is not None else [None] * len(rows)
        columns[limit["name"]] = _accept_column(values, limit, errors, root)
    return Rows(columns), errors


def _find(rows: Rows, limit: Mapping[str, Any]) -> str | None:
    return next((name for name in (limit["source"], limit["name"]) if name in rows), None)


def _accept_column(
    values: Iterable[Any], limit: Mapping[str, Any], errors: list[str | None], root: Path | None
) -> list[Any]:
    read = CONVERT[limit["kind"]]
    typed: list[Any] = []
    for place, value in enumerate(values):
        try:
            cell = read(value)
            if limit["kind"] == "image":
                cell = picture(cell, root)
            problem = _broken(cell, limit)
        except CellFault:
            # The same words for every row: its size would make a reason of its own of each.
            found = (NOT_KEPT, KEEP) if left_out(value) else (shown(value),)
            cell, problem = None, Problem(f"{NOUNS[limit['kind']]} in '{limit['source']}'", *found)
        except PictureFault as error:
            cell, problem = None, Problem(f"a picture in '{limit['source']}'", str(error))
        typed.append(cell)
        if problem is not None and errors[place] is None:
            errors[place] = str(problem)
    return typed


def _broken(cell: Any, limit: Mapping[str, Any]) -> Problem | None:
    """What is wrong with a typed cell, or None."""
    source, kind = limit["source"], limit["kind"]
    if cell is None:
        if limit["missing"]:
            return None
        return Problem(f"{NOUNS[kind]} in '{source}'", "nothing", "Training rows had no missing value there.")
    if kind == "number" and "low" in limit:
        low, high = reach(limit)
        if not low <= cell <= high:
            held = f"Training rows held {limit['low']:g} to {limit['high']:g}."
            return Problem(f"'{source}' between {low:g} and {high:g}", f"{cell:g}", held)
    if kind == "text" and len(cell) > MOST_CHARACTERS:
        return Problem(f"at most {MOST_CHARACTERS:,} characters in '{source}'", f"{len(cell):,}", "Shorten the text.")
    if kind in NAMED and len(cell) > MOST_NAME:
        return Problem(f"a name of at most {MOST_NAME:,} characters in '{source}'", f"{len(cell):,}", "Shorten it.")
    return None


def reach(limit: Mapping[str, Any]) -> tuple[float, float]:
    """The least and the largest number that a column takes whose training rows held `low` to `high`.

    >>> reach({"low": 20.0, "high": 60.0}), reach({"low": 7.0, "high": 7.0})
    ((-380.0, 460.0), (-63.0, 77.0))
    """
    span = (limit["high"] - limit["low"]) or max(abs(limit["high"]), 1.0)
    return limit["low"] - REACH * span, limit["high"] + REACH * span


def picture(cell: bytes | str | None, root: Path | None) -> bytes | None:
    """The bytes of a picture that can be decoded; a name is read below `root`, and nowhere else."""
    if isinstance(cell, str):
        if root is None:
            raise PictureFault(f"{shown(cell)}, which are not the bytes of one")
        cell = read_named(cell, root)
    if cell is not None:
        open_picture(cell)
    return cell
