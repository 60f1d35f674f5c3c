"""Golden answers: a few made-up rows and what the bundle said to them when it was written.

Whoever loads the bundle asks it the same and compares, and so proves that it computes the same here: on another machine,
after a copy, with another ONNX Runtime. No row of the user's is among them: they are drawn from the learned limits and
the task's toy rows.

>>> compare([{"prediction": "spam", "score.spam": 0.9}], [{"prediction": "spam", "score.spam": 0.9004}], 0.01)
''
>>> compare([{"prediction": "spam", "score.spam": 0.9}], [{"prediction": "spam", "score.spam": 0.7}], 0.01)
'0.7 for score.spam of the first golden row, where 0.9 was recorded'
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lingqu.bundle.example import example
from lingqu.contract import Refusal, Rows, Task
from lingqu.errors import BundleError, LingquError, Problem

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle

GOLDEN = "golden"
MOST_ROWS = 4
PLACES = ("first", "second", "third", "fourth")
TOLERANCE = {"float32": 0.01}
OTHER_TOLERANCE = 0.08
"""Processors differ in how they round eight-bit products, so more is allowed where weights have eight bits."""


def record(bundle: Bundle) -> dict[str, Any] | None:
    """The golden rows and answers of a bundle as JSON values; None where it answers none of the rows."""
    with suppress(LingquError):
        rows = golden_rows(bundle.manifest, bundle.task)
        answers = bundle.answer(Rows.from_dicts(rows))
        told = [
            {"row": _plain(row), "answer": answer.cells(scores=True)}
            for row, answer in zip(rows, answers, strict=True)
            if not isinstance(answer, Refusal)
        ]
        return {"answers": told} if told else None
    return None


def check(bundle: Bundle) -> bool:
    """BundleError when the bundle no longer gives its golden answers; False where it was written without any."""
    kept = bundle.manifest.get(GOLDEN)
    if kept is None:
        return False
    try:
        rows = [_read(one["row"]) for one in kept["answers"]]
        wanted = [dict(one["answer"]) for one in kept["answers"]]
    except (KeyError, TypeError, ValueError):
        raise BundleError(Problem(f"golden rows in {bundle.path.name}", "something else", "Export it again.")) from None
    found = [answer.cells(scores=True) for answer in bundle.answer(Rows.from_dicts(rows))]
    fault = compare(wanted, found, TOLERANCE.get(str(bundle.manifest.get("precision", "float32")), OTHER_TOLERANCE))
    if fault:
        expected = f"{bundle.path.name} to give its golden answers"
        raise BundleError(
            Problem(expected, fault.rstrip("."), "It does not compute what was measured: export it again.")
        )
    return True


def compare(wanted: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]], tolerance: float) -> str:
    """The first cell that is not as recorded, in words; nothing when all are.

    Numbers may differ by `tolerance` of the larger of 1 and their size; a label may differ where two of them are as likely.
    """
    for place, (right, cells) in enumerate(zip(wanted, found, strict=True)):
        if "error" in cells:
            return f"a refusal of the {PLACES[place % 4]} golden row: {cells['error']}"
        for name, value in sorted(right.items(), key=lambda cell: cell[0] != "prediction"):
            other = cells.get(name)
            same = _close(value, other, tolerance) if isinstance(value, float | int) else value == other
            tie = name == "prediction" and isinstance(value, str) and "confidence" in right and _tied(right, tolerance)
            if not same and not tie:
                shown = f"{other:.4g}" if isinstance(other, float) else repr(other)[:100]
                was = f"{value:.4g}" if isinstance(value, float) else repr(value)[:100]
                return f"{shown} for {name} of the {PLACES[place % 4]} golden row, where {was} was recorded"
    return ""


def golden_rows(manifest: Mapping[str, Any], task: Task) -> list[dict[str, Any]]:
    """Up to four rows that a bundle accepts: examples, the ends of learned ranges, and the task's toy rows.

    >>> from lingqu.tasks import find_task
    >>> limits = [{"name": "rooms", "source": "rooms", "kind": "number", "missing": False, "low": 1.0, "high": 9.0}]
    >>> golden_rows({"columns": limits}, find_task("tabular-regression"))
    [{'rooms': 5.0}, {'rooms': 1.0}, {'rooms': 9.0}, {'rooms': 5.0}]
    """
    first = example(manifest, task)
    toy = Rows({}) if task.takes_features else task.toy(8)
    rows = [first]
    for place in range(1, MOST_ROWS):
        row = dict(first)
        for limit in manifest["columns"]:
            row[limit["source"]] = _another(limit, toy, place, first[limit["source"]])
        rows.append(row)
    return rows


def _another(limit: Mapping[str, Any], toy: Rows, place: int, otherwise: Any) -> Any:
    if "low" in limit:
        return (limit["low"], limit["high"], otherwise)[place - 1]
    if limit.get("values"):
        return limit["values"][place % len(limit["values"])]
    value = toy[limit["name"]][place] if limit["name"] in toy and place < len(toy) else None
    return otherwise if value is None else value


def _close(value: float, other: Any, tolerance: float) -> bool:
    return isinstance(other, float | int) and abs(value - other) <= tolerance * max(1.0, abs(value))


def _tied(right: Mapping[str, Any], tolerance: float) -> bool:
    scores = sorted((value for name, value in right.items() if name.startswith("score.")), reverse=True)
    near_half = any(abs(score - 0.5) <= tolerance for score in scores)
    return near_half or (len(scores) > 1 and scores[0] - scores[1] <= 2 * tolerance)


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {"b64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
        for name, value in row.items()
    }


def _read(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: base64.b64decode(value["b64"], validate=True) if isinstance(value, dict) else value
        for name, value in row.items()
    }
