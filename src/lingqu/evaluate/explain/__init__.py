"""Explanations of single answers: which words, patches or columns speak for them, from the shipped bundle itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lingqu.bundle.occlusion import Apart, take_apart
from lingqu.bundle.read import Bundle
from lingqu.contract import Answer, LabelSet, Refusal, Rows
from lingqu.data.accept import accept
from lingqu.evaluate.explain.parts import Explanation, Part
from lingqu.evaluate.explain.scores import chosen_label, score

__all__ = ["Explanation", "Part", "explain", "explain_labels"]


def explain(
    model: Bundle | str | Path,
    rows: Rows | Iterable[Mapping[str, Any]],
    *,
    label: str | None = None,
    background: Rows | None = None,
    root: Path | None = None,
) -> list[Explanation]:
    """Why each row was answered as it was: its parts by what the answer's score loses without them.

    `model` is a bundle or its folder; `label` asks about another label than the one answered, or the likeliest of a set;
    `background` are rows whose values stand in for a column's, training rows at best. A refused row is explained by its
    refusal. It needs no torch.
    """
    bundle = model if isinstance(model, Bundle) else Bundle.open(model)
    given = rows if isinstance(rows, Rows) else Rows.from_dicts(rows)
    answers = bundle.predict(given, root=root)
    accepted, _ = accept(given, bundle.manifest["columns"], root=root)
    return [_explain(bundle, accepted.row(i), answer, label, background) for i, answer in enumerate(answers)]


def explain_labels(
    model: Bundle | str | Path,
    rows: Rows | Iterable[Mapping[str, Any]],
    *,
    background: Rows | None = None,
    root: Path | None = None,
) -> list[tuple[int, Explanation]]:
    """As `explain`, with the place of each row, and of an answered set every label in its turn, the likeliest first."""
    bundle = model if isinstance(model, Bundle) else Bundle.open(model)
    given = rows if isinstance(rows, Rows) else Rows.from_dicts(rows)
    found: list[tuple[int, Explanation]] = []
    for place, one in enumerate(explain(bundle, given, background=background, root=root)):
        found.append((place, one))
        if isinstance(one.answer, LabelSet):
            more = sorted({*one.answer.labels} - {one.label}, key=lambda name: -one.answer.scores[name])  # type: ignore[union-attr]
            again = given.take([place])
            found += [(place, explain(bundle, again, label=name, background=background, root=root)[0]) for name in more]
    return found


def _explain(
    bundle: Bundle, row: Mapping[str, Any], answer: Answer, label: str | None, background: Rows | None
) -> Explanation:
    if isinstance(answer, Refusal):
        return Explanation(answer, None, 0.0, 0.0, ())
    asked = chosen_label(bundle, answer, label)
    whole = score(bundle, Rows.from_dicts([row]), asked)
    parts = [part for apart in take_apart(bundle, row, background) for part in weigh(bundle, apart, asked)]
    ordered = sorted(parts, key=lambda part: -abs(part.weight))
    return Explanation(answer, asked, float(whole.values[0]), float(whole.read[0]), tuple(ordered))


def weigh(bundle: Bundle, apart: Apart, label: str | None) -> list[Part]:
    """The parts of one column with their weights, in the order in which they stand."""
    away = [changed for unit in apart.units for changed in unit.without]
    if not away:
        return []
    found = score(bundle, Rows.from_dicts([apart.row, *away]), label)
    owner = np.repeat(np.arange(len(apart.units)), [len(unit.without) for unit in apart.units])
    times = np.bincount(owner)
    losses = found.values[0] - np.bincount(owner, found.values[1:]) / times
    left = found.read[0] - np.bincount(owner, found.read[1:]) / times
    weights, left = apart.spread(losses), apart.spread(left)
    return [
        Part(unit.column, unit.what, float(weight), float(found.read[0] - gone), unit.place)
        for unit, weight, gone in zip(apart.shown, weights, left, strict=True)
    ]
