"""The explanations of a report: what answers rest on in all, some right and wrong ones in detail, and how far to trust it."""

from __future__ import annotations

import base64
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from lingqu.contract import JOINT, Rows
from lingqu.data.accept import accept
from lingqu.data.pictures import encode_png
from lingqu.evaluate.explain import explain
from lingqu.evaluate.explain.deletion import deletion
from lingqu.evaluate.explain.importance import effects, permutation, phrases, telling_words
from lingqu.evaluate.explain.layers import first_layer
from lingqu.evaluate.judged import Judged
from lingqu.evaluate.measures import Groups
from lingqu.evaluate.mistakes import shown_input

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle

SHOWN = 3
TESTED = 24
MOST_ROWS = 120
MOST_SECONDS = 5.0
MOST_PARTS = 100
MOST_EFFECTS = 6
MOST_MAPS = 16
SIDE = 64


def explanations(
    bundle: Bundle, rows: Rows, judged: Judged, *, background: Rows, groups: Groups = None
) -> dict[str, Any]:
    """What the report shows of why: importance, examples, the deletion test and the first layer, as JSON values."""
    kinds = {column["kind"] for column in bundle.manifest["columns"]}
    told: dict[str, Any] = {"examples": _examples(bundle, rows, judged, background)}
    sample = np.linspace(0, len(rows) - 1, min(TESTED, len(rows))).astype(int)
    accepted, errors = accept(rows.take(sample.tolist()), bundle.manifest["columns"])
    good = [place for place, error in enumerate(errors) if error is None]
    told["deletion"] = deletion(bundle, accepted.take(good), background=background)
    if kinds & {"number", "category"}:
        told["importance"] = permutation(bundle, rows, groups=groups)
        most = [one["column"] for one in told["importance"][:MOST_EFFECTS]]
        told["effects"] = effects(bundle, rows, background, most)
    texts = [column["name"] for column in bundle.manifest["columns"] if column["kind"] == "text"]
    if texts and judged.kind != "numbers":
        told["words"] = telling_words(_many(bundle, rows, background), texts)
        if len(texts) == len(kinds) == 1 and bundle.memory.get("front", {}).get("name") == "ngrams":
            told["phrases"] = phrases(bundle, [str(text or "") for text in rows[texts[0]]], texts[0])
    if kinds == {"image"}:
        told |= _first_layer(bundle, rows)
    return told


def shown_rows(bundle: Bundle, rows: Rows, root: Path | None = None) -> list[list[dict[str, Any]]]:
    """The cells of each row as a page shows them, by the names that the model gives its columns."""
    accepted, _ = accept(rows, bundle.manifest["columns"], root=root)
    return [shown_input(bundle.task, accepted.take([place])) for place in range(len(rows))]


def _examples(bundle: Bundle, rows: Rows, judged: Judged, background: Rows) -> list[dict[str, Any]]:
    """Some answers that are right and some that are wrong, the surest of both, of as many labels as there are."""
    sure, right = _sure(judged)
    found: list[dict[str, Any]] = []
    for is_right in (True, False):
        places = np.flatnonzero(right == is_right)
        places = places[
            np.argsort(-sure[places] if is_right or judged.kind != "numbers" else sure[places], kind="stable")
        ]
        chosen = _various(places, judged)
        explained = explain(bundle, rows.take(chosen), background=background)
        for place, one in zip(chosen, explained, strict=True):
            shown = {"row": place, "right": is_right, "truth": _truth(judged, place), **one.to_json(MOST_PARTS)}
            found.append({**shown, "input": shown_input(bundle.task, rows.take([place]))})
    return found


def _sure(judged: Judged) -> tuple[Any, Any]:
    """How sure the model is of each answer, and whether it is right; of numbers, how near, and whether nearer than most."""
    if judged.kind == "labels":
        return judged.prediction.max(axis=1), judged.right
    if judged.kind == "label-sets":
        return np.maximum(judged.prediction, 1 - judged.prediction).min(axis=1), judged.right
    return -judged.cost, judged.cost <= np.median(judged.cost)


def _truth(judged: Judged, place: int) -> str | float:
    """What is true of a row, as its cell holds it."""
    if judged.kind == "labels":
        return judged.labels[judged.truth[place]]
    if judged.kind == "label-sets":
        return JOINT.join(label for label, held in zip(judged.labels, judged.truth[place], strict=True) if held)
    return float(judged.truth[place])


def _various(places: Any, judged: Judged) -> list[int]:
    """The first of these rows with different answers, then the first of the rest."""
    if judged.kind == "numbers":
        return [int(place) for place in places[:SHOWN]]
    first = {judged.guess[place].tobytes(): int(place) for place in reversed(places)}
    listed = [int(place) for place in places]
    return [*dict.fromkeys([*sorted(first.values(), key=listed.index), *listed])][:SHOWN]


def _many(bundle: Bundle, rows: Rows, background: Rows) -> list[Any]:
    """Explanations of rows spread over the test split, as many as a few seconds allow."""
    started, found = perf_counter(), []
    for place in np.linspace(0, len(rows) - 1, min(MOST_ROWS, len(rows))).astype(int):
        if perf_counter() - started > MOST_SECONDS:
            break
        found += explain(bundle, rows.take([int(place)]), background=background)
    return found


def _first_layer(bundle: Bundle, rows: Rows) -> dict[str, Any]:
    """Filters and activation maps as small pictures in data addresses."""
    accepted, errors = accept(rows.take(range(min(8, len(rows)))), bundle.manifest["columns"])
    good = next((place for place, error in enumerate(errors) if error is None), None)
    found = first_layer(bundle, accepted.take([good])) if good is not None else None
    if found is None:
        return {}
    filters, maps = found["filters"][:MOST_MAPS], found["maps"][0][:MOST_MAPS]
    own = shown_input(bundle.task, rows.take([good]))[0]["value"] if good is not None else ""
    return {
        "layer": {"input": own, "filters": [_grey(f.mean(axis=0)) for f in filters], "maps": [_grey(m) for m in maps]}
    }


def _grey(values: np.ndarray[Any, Any]) -> str:
    """Values as a small grey picture, the lowest black and the highest white."""
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) / (high - low) if high > low else np.full(values.shape, 0.5)
    step = max(1, int(np.ceil(max(values.shape) / SIDE)))
    pixels = np.round(255 * scaled[::step, ::step]).astype(np.uint8)
    return "data:image/png;base64," + base64.b64encode(encode_png(np.ascontiguousarray(pixels))).decode("ascii")
