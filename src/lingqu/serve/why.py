"""Why a row was answered as it was, from the served model itself: its parts by what the answer loses without them.

Each part (words, patches, a column's value) is taken away in turn and the model is asked again, at most MOST times, all at
once, through the same queue and within the same deadline as any other question. So an explanation can be late or refused
like an answer, and never slows the service more than a request of as many rows; rows are taken apart one at a time, and
the text of one has an end, for each question holds nearly all of it. The weight of a part is what the
log-odds of the label lose without it, or the number itself; what is taken away and how: `lingqu.bundle.occlusion`.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from lingqu.contract import Answer, LabelScores, NumberValue, Refusal, Rows
from lingqu.data.accept import accept
from lingqu.errors import DataError, DeadlineError, Problem, near
from lingqu.serve.answers import told
from lingqu.serve.ask import ask
from lingqu.serve.call import Call
from lingqu.serve.probing import as_json
from lingqu.serve.response import Response
from lingqu.serve.rest import refused
from lingqu.serve.rows import found, read_rows
from lingqu.serve.v1 import as_rows

if TYPE_CHECKING:
    from lingqu.bundle.occlusion import Apart, Unit
    from lingqu.bundle.read import Bundle
    from lingqu.serve.reply import Served

MOST = 64
"""So many extra questions to the model for each row, or as many as it has columns."""

MOST_INSTANCES = 8
MOST_EXPLAINED = 20_000
"""Characters of a text: of a longer one no run of words would tell much, and all questions together hold it so many times."""

LEAST_CHANCE = 5e-7
"""Scores are rounded to six digits; a chance that was rounded to nothing is at most this."""

_APART = ThreadPoolExecutor(1, "apart")


async def explain(call: Call) -> Response:
    """The parts of one row, the weightiest first."""
    name = call.params["name"]
    chosen = call.service.engine(name).chosen(call.query("version"), call.user)
    bundle = chosen[1]
    given = await call.json()
    if not isinstance(given, dict) or "row" not in given or not given.keys() <= {"row", "label"}:
        advice = 'Send {"row": {column: value}}.'
        raise DataError(Problem("an object with 'row' and perhaps 'label'", found(given), advice))
    if "label" in given:
        # Before anything is asked, for an error must cost nothing.
        _check_label(given["label"], bundle.memory.get("labels", []))
    rows = read_rows([given["row"]], bundle.manifest["columns"], where="row")
    _check_length(bundle, rows, ["row"])
    (explained,), served = await _explain(call, chosen, rows, ["row"], given.get("label"))
    body = {"model": name, "version": served.version, "request_id": call.id, **explained}
    return as_json(body, headers={"x-model-name": name, "x-model-version": served.version})


async def v1_explain(call: Call) -> Response:
    """KServe's `:explain`: an explanation for each of a few instances."""
    chosen = call.service.engine(call.params["name"]).chosen(call.params.get("version"), call.user)
    limits = chosen[1].manifest["columns"]
    given = await call.json()
    instances = given.get("instances") if isinstance(given, dict) else None
    rows = read_rows(as_rows(instances, limits), limits, where="instances", closed=False)
    if len(rows) > MOST_INSTANCES:
        raise DataError(
            Problem(f"at most {MOST_INSTANCES} instances to explain", f"{len(rows):,}", "Send several requests.")
        )
    where = [f"instances[{place}]" for place in range(len(rows))]
    _check_length(chosen[1], rows, where)
    explained, _ = await _explain(call, chosen, rows, where)
    return as_json({"explanations": explained})


async def _explain(
    call: Call, chosen: tuple[Served, Bundle], rows: Rows, where: Sequence[str], label: Any = None
) -> tuple[list[dict[str, Any]], Served]:
    """An explanation of each row, from one question and within one deadline; each row is called what `where` says."""
    began, most = time.perf_counter(), call.service.settings.deadline_seconds
    served, bundle = chosen
    # The version is pinned, for a swap may come between taking a row apart and asking for its parts.
    pinned = served.version if served.number is not None else None
    taken = await _parts(call, bundle, rows, where, most)
    # The rows themselves come first: a request with one that the model refuses must cost nothing.
    asked = [*rows_of(rows, bundle), *(question for parts in taken for question in _questions(parts))]
    left = most - (time.perf_counter() - began)
    questions = Rows.from_dicts(asked)
    reply = (await ask(call, served.name, questions, version=pinned, seconds=left, kept=False, needed=len(rows))).reply
    wholes, answers = reply.answers[: len(rows)], iter(reply.answers[len(rows) :])
    for place, whole in zip(where, wholes, strict=True):
        if isinstance(whole, Refusal):
            raise refused(whole, where=place)
    explained = [
        _told(bundle, whole, parts, list(islice(answers, len(_questions(parts)))), label)
        for whole, parts in zip(wholes, taken, strict=True)
    ]
    seconds = round(time.perf_counter() - began, 4)
    return [{**one, "seconds": seconds} for one in explained], reply.version


def _questions(parts: Sequence[Apart]) -> list[Mapping[str, Any]]:
    """What is asked of one row: what its parts are compared with, then the row without each of them."""
    return [apart.row for apart in parts] + [away for apart in parts for unit in apart.units for away in unit.without]


def _told(
    bundle: Bundle, whole: Answer, parts: Sequence[Apart], answers: Sequence[Answer], label: Any
) -> dict[str, Any]:
    """One row's explanation: the answer to it, the label that is explained, and its parts by their weight."""
    explained = choose_label(whole, label)
    # Parts are of roles; who asks knows their own columns.
    names = {limit["name"]: limit["source"] for limit in bundle.manifest["columns"]}
    weighed = [{**part, "column": names[part["column"]]} for part in _weigh(parts, answers, explained)]
    weighed.sort(key=lambda part: -abs(part["weight"]))
    return {"prediction": told(whole)["prediction"], "label": explained, "parts": weighed}


def _check_length(bundle: Bundle, rows: Rows, where: Sequence[str]) -> None:
    """DataError for a text that is too long to be explained, in the row that is called so."""
    for limit in bundle.manifest["columns"]:
        for place, value in zip(where, rows[limit["source"]], strict=True) if limit["kind"] == "text" else ():
            if isinstance(value, str) and len(value) > MOST_EXPLAINED:
                expected = f"at most {MOST_EXPLAINED:,} characters in '{limit['source']}' to explain"
                raise DataError(Problem(expected, f"{len(value):,}", "Explain a part of the text.", where=place))


async def _parts(call: Call, bundle: Bundle, rows: Rows, where: Sequence[str], most: float) -> list[list[Apart]]:
    """Each row's parts within so many seconds, where its key has two rows left for each at least, the fewest that there are."""
    if call.service.keys is not None:
        call.service.keys.check(call.principal, 2 * len(rows))
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(most):
            # All of them before the first is taken apart, which costs more.
            accepted = await loop.run_in_executor(_APART, _accepted, bundle, rows, where)
            return [await loop.run_in_executor(_APART, _take_apart, bundle, row) for row in accepted]
    except TimeoutError:
        advice = "Try again, or ask for fewer rows."
        raise DeadlineError(Problem("the row taken apart before the deadline", "it not yet", advice)) from None


def rows_of(rows: Rows, bundle: Bundle) -> list[dict[str, Any]]:
    """Rows under the roles of their columns, as the rows with a part taken away are."""
    roles = {limit["source"]: limit["name"] for limit in bundle.manifest["columns"]}
    return list(rows.rename(roles))


def _accepted(bundle: Bundle, rows: Rows, where: Sequence[str]) -> Rows:
    """The rows as the model takes them; DataError for the first that the bundle refuses."""
    accepted, errors = accept(rows, bundle.manifest["columns"])
    for place, error in zip(where, errors, strict=True):
        if error is not None:
            raise refused(Refusal(error), where=place)
    return accepted


def _take_apart(bundle: Bundle, row: Mapping[str, Any]) -> list[Apart]:
    """An accepted row's parts."""
    # Pillow is loaded by who asks for it, not by every service that starts.
    from lingqu.bundle.occlusion import take_apart

    return take_apart(bundle, row, most=MOST)


def choose_label(answer: Answer, label: Any) -> str | None:
    """The label to explain: the given one, else the one of the highest score; None for a number.

    >>> from lingqu.contract import LabelScores
    >>> choose_label(LabelScores.of({"a": 0.9, "b": 0.1}), "b"), choose_label(NumberValue(1.0, 0.0, 2.0), None)
    ('b', None)
    """
    scores = getattr(answer, "scores", None)
    if not scores:
        if label is not None or not isinstance(answer, NumberValue):
            raise _no_label(label)
        return None
    if label is None:
        return max(scores, key=lambda one: scores[one])
    _check_label(label, scores)
    return label


def _check_label(label: Any, known: Collection[str]) -> None:
    if not known:
        raise _no_label(label)
    if label is not None and (not isinstance(label, str) or label not in known):
        advice = near(str(label), known)
        raise DataError(Problem("a label of this model", found(label), advice, where="label"))


def _no_label(label: Any) -> DataError:
    return DataError(Problem("no label, for this model has none", found(label), "Leave it out.", where="label"))


def _weigh(parts: Sequence[Apart], answers: Sequence[Answer], label: str | None) -> list[dict[str, Any]]:
    """The weight of each part that is shown; `answers` are those of the bases, then those of the units in order."""
    weighed: list[dict[str, Any]] = []
    place = len(parts)
    for base, apart in zip(answers, parts, strict=False):
        start, losses = score(base, label), []
        nothing = _of_nothing(base, start)
        for unit in apart.units:
            left = [score(answer, label, nothing) for answer in answers[place : place + len(unit.without)]]
            place += len(unit.without)
            losses.append(start - sum(left) / len(left))
        if losses:
            weights = apart.spread(np.array(losses))
            weighed += [_part(unit, float(weight)) for unit, weight in zip(apart.shown, weights, strict=True)]
    return weighed


def _of_nothing(answer: Answer, start: float) -> float:
    """What a row scores that the model refuses, for nothing is left of it: no label is likelier than another.

    >>> from lingqu.contract import LabelScores
    >>> round(_of_nothing(LabelScores.of({"a": 0.8, "b": 0.1, "c": 0.1}), 1.4), 4), _of_nothing(NumberValue(3, 2, 4), 3.0)
    (-0.6931, 3.0)
    """
    if isinstance(answer, LabelScores):
        return -math.log(max(1, len(answer.scores) - 1))
    return start if isinstance(answer, NumberValue) else 0.0


def score(answer: Answer, label: str | None, nothing: float = 0.0) -> float:
    """The log-odds of a label, or the number; `nothing` for a row that was refused.

    >>> score(NumberValue(3.0, 2.0, 4.0), None), score(Refusal("empty"), "a")
    (3.0, 0.0)
    """
    if isinstance(answer, NumberValue):
        return answer.value
    scores = getattr(answer, "scores", None)
    if not scores or label is None:
        return nothing
    chance = min(max(scores[label], LEAST_CHANCE), 1 - LEAST_CHANCE)
    return math.log(chance) - math.log(1 - chance)


def _part(unit: Unit, weight: float) -> dict[str, Any]:
    """A part as JSON: a piece of text and where it stands, a box as shares of the picture, or a column's value."""
    part: dict[str, Any] = {"column": unit.column, "weight": round(weight, 4)}
    if len(unit.place) == 2:
        return {**part, "text": unit.what, "place": [int(end) for end in unit.place]}
    if len(unit.place) == 4:
        return {**part, "box": [round(end, 4) for end in unit.place]}
    return {**part, "value": unit.what}
