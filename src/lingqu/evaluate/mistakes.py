"""The answers that went most wrong, with what was asked: the quickest way to see what a model has not understood."""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from lingqu.contract import JOINT, Rows, Task
from lingqu.data.image import open_picture
from lingqu.errors import DataError
from lingqu.evaluate.judged import Judged

MOST = 12
MOST_OF_A_KIND = 3
MOST_CHARACTERS = 400
MOST_COLUMNS = 16
SIDE = 160


def worst(task: Task, rows: Rows, judged: Judged) -> list[dict[str, Any]]:
    """At most twelve wrong rows, the surest mistakes first; of one pair of labels at most three."""
    return shown(task, rows, judged, _places(judged))


def shown(task: Task, rows: Rows, judged: Judged, places: Iterable[int]) -> list[dict[str, Any]]:
    """These rows with their input, what was said and what is true."""
    return [
        {"row": place, "input": shown_input(task, rows.take([place])), **answered(judged, place)} for place in places
    ]


def answered(judged: Judged, place: int) -> dict[str, Any]:
    """What is true of a row and what was said; of labels also how sure the model is of both."""
    if judged.kind == "labels":
        guess, truth = int(judged.guess[place]), int(judged.truth[place])
        return {
            "truth": judged.labels[truth],
            "prediction": judged.labels[guess],
            "confidence": float(judged.prediction[place, guess]),
            "confidence_in_truth": float(judged.prediction[place, truth]),
        }
    if judged.kind == "label-sets":
        return _sets(judged, place)
    return {"truth": float(judged.truth[place]), "prediction": float(judged.prediction[place])}


def _sets(judged: Judged, place: int) -> dict[str, Any]:
    """Both sets of labels, each with how sure the model is of the least sure of its decisions."""
    sets = {"truth": judged.truth[place] > 0, "prediction": judged.guess[place]}
    yes = judged.prediction[place]
    sure = {name: float(np.where(held, yes, 1 - yes).min()) for name, held in sets.items()}
    told: dict[str, Any] = {
        name: JOINT.join(np.array(judged.labels)[held].tolist()) or "–" for name, held in sets.items()
    }
    return told | {"confidence": sure["prediction"], "confidence_in_truth": sure["truth"]}


def _places(judged: Judged) -> list[int]:
    if judged.kind != "labels":
        return [int(i) for i in np.argsort(-judged.cost, kind="stable")[:MOST] if judged.cost[i] > 0]
    wrong = np.flatnonzero(~judged.right)
    sure = judged.prediction.max(axis=1)[wrong]
    seen: Counter[tuple[int, int]] = Counter()
    chosen: list[int] = []
    for place in wrong[np.argsort(-sure, kind="stable")]:
        pair = (int(judged.truth[place]), int(judged.guess[place]))
        seen[pair] += 1
        if seen[pair] <= MOST_OF_A_KIND and len(chosen) < MOST:
            chosen.append(int(place))
    return chosen


def shown_input(task: Task, row: Rows) -> list[dict[str, Any]]:
    """The cells of one row as something that JSON and a page can show."""
    kinds = {column.name: column.kind for column in task.columns}
    cells: list[dict[str, Any]] = []
    for name, value in row.row(0).items():
        if name == task.target.name or len(cells) == MOST_COLUMNS:
            continue
        if isinstance(value, bytes):
            cells.append({"column": name, "kind": "image", "value": thumbnail(value)})
        else:
            cells.append({"column": name, "kind": kinds.get(name, "value"), "value": _plain(value)})
    return cells


def _plain(value: Any) -> str | float | int | None:
    if value is None or isinstance(value, (int, float)):
        return value
    text = str(value)
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"


def thumbnail(data: bytes) -> str:
    """A picture as a small PNG in a data address; drawn anew, so that nothing hidden in the file travels on."""
    try:
        picture = open_picture(data)
    except DataError:
        return ""
    picture = picture.convert("L" if picture.mode in ("1", "L", "LA", "I;16") else "RGB")
    picture.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
