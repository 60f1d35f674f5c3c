"""A batch of rows that differ: near copies share one place, and kinds of rows that have become more frequent come first.

Rows become vectors that need no model: texts by their short runs of characters, numbers by where they stand among the
others, pictures by a thumbnail. The first row of each kind, in the order of the queue, leads a cluster: what is at least
0.8 like it. Of each cluster one row is asked before a second one of any is (leader clustering: Hartigan 1975; batches for
active learning that cover what is asked: Sener and Savarese, ICLR 2018). A cluster of which more came lately than before,
by an exact test, is where the world moves, and its rows come first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lingqu.monitor.pictures import SIDE, picture_numbers
from lingqu.monitor.texts import text_vectors
from lingqu.statistics import rate_rise

Array = np.ndarray[Any, np.dtype[Any]]
Row = Mapping[str, Any]

ALIKE = 0.8
"""The cosine from which on a row is a near copy of another."""
RISEN, LEAST = 0.01, 10
"""A cluster has grown when so many of its rows came lately and chance makes that seem so once in a hundred times."""
_KNOTS = 11


@dataclass(frozen=True, slots=True)
class Kind:
    """The cluster of one row: the number of its leader, its own turn there from 0, and how it grew, if it did."""

    leader: int
    turn: int
    grown: str = ""


def kinds_of(rows: Sequence[Row], lately: Sequence[Row] = (), before: Sequence[Row] = ()) -> list[Kind]:
    """The cluster of each row, given in the order of the queue; `lately` and `before` are answers of the service.

    >>> found = kinds_of([{"x": "where is my parcel 1"}, {"x": "where is my parcel 2"}, {"x": "十全十美"}])
    >>> [(one.leader, one.turn) for one in found]
    [(0, 0), (0, 1), (2, 0)]
    """
    vectors = row_vectors([*rows, *lately, *before])
    own, others = vectors[: len(rows)], vectors[len(rows) :]
    leaders: list[int] = []
    mine: list[int] = []
    for place, vector in enumerate(own):
        alike = own[leaders] @ vector if leaders else np.zeros(0)
        nearest = int(alike.argmax()) if len(alike) else -1
        if nearest < 0 or alike[nearest] < ALIKE:
            leaders.append(place)
            nearest = len(leaders) - 1
        mine.append(leaders[nearest])
    grown = _grown(own[leaders], others, len(lately))
    told = dict(zip(leaders, grown, strict=True))
    turns: dict[int, int] = {}
    found: list[Kind] = []
    for leader in mine:
        found.append(Kind(leader, turns.get(leader, 0), told[leader]))
        turns[leader] = turns.get(leader, 0) + 1
    return found


def row_vectors(rows: Sequence[Row]) -> Array:
    """One vector of length 1 a row, float32 (rows, width): all columns count alike.

    >>> found = row_vectors([{"age": float(age), "job": "cook" if age < 50 else "nurse"} for age in range(100)])
    >>> bool(found[20] @ found[22] > 0.8 > found[20] @ found[40] > found[20] @ found[80])
    True
    """
    names = sorted({name for row in rows for name in row})
    texts: list[str] = []
    parts: list[Array] = []
    for name in names:
        values = [row.get(name) for row in rows]
        if any(isinstance(value, bytes) for value in values):
            parts.append(_pictures(values))
        elif any(isinstance(value, int | float) for value in values):
            parts.append(_numbers(values))
        elif any(isinstance(value, str) for value in values):
            texts.append(name)
    if texts:
        joined = [" | ".join(str(row[name]) for name in texts if row.get(name) is not None) for row in rows]
        parts.append(text_vectors(joined) * np.float32(len(texts) ** 0.5))
    if not parts:
        return np.zeros((len(rows), 1), np.float32)
    whole = np.concatenate(parts, axis=1)
    length = np.sqrt((whole * whole).sum(axis=1, keepdims=True))
    return whole / np.where(length > 0, length, 1)


def _numbers(values: Sequence[Any]) -> Array:
    """Each number as its place between the deciles of all, shared by the two knots beside it; missing is all zeros."""
    known = np.array([float(value) if isinstance(value, int | float) else np.nan for value in values])
    found = np.zeros((len(values), _KNOTS), np.float32)
    good = np.isfinite(known)
    if not good.any():
        return found
    knots = np.quantile(known[good], np.linspace(0, 1, _KNOTS))
    place = np.interp(known[good], *_rising(knots))
    low = np.minimum(place.astype(int), _KNOTS - 2)
    part = (place - low).astype(np.float32)
    there = np.flatnonzero(good)
    found[there, low], found[there, low + 1] = 1 - part, part
    return found / np.maximum(np.sqrt((found * found).sum(axis=1, keepdims=True)), np.float32(1e-9))


def _rising(knots: Array) -> tuple[Array, Array]:
    """Knots without repetition, and where each stands."""
    return np.unique(knots), np.flatnonzero(np.r_[True, np.diff(knots) > 0]).astype(float)


def _pictures(values: Sequence[Any]) -> Array:
    found = np.zeros((len(values), SIDE * SIDE), np.float32)
    for place, value in enumerate(values):
        looks = [*picture_numbers([value])["look"]] if isinstance(value, bytes) else []
        for look in looks:
            centred = look - look.mean()
            found[place] = centred / max(float(np.sqrt(centred @ centred)), 1e-6)
    return found


def _grown(leaders: Array, others: Array, lately: int) -> list[str]:
    """For each leader how many are like it lately and before, where that has grown; else nothing."""
    if not len(leaders) or not len(others):
        return [""] * len(leaders)
    alike = others @ leaders.T >= ALIKE
    now, then = alike[:lately].sum(axis=0), alike[lately:].sum(axis=0)
    before = len(others) - lately
    return [
        f"one of {n:,} like it among the last {lately:,} answers, after {t:,} of {before:,}"
        if n >= LEAST and rate_rise(int(t), before, int(n), lately).p < RISEN
        else ""
        for n, t in zip(now.tolist(), then.tolist(), strict=True)
    ]
