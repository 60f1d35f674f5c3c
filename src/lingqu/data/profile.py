"""What rows look like, column by column, as plain JSON values: the reference that later rows are held against.

>>> about = profile(Rows({"age": [20.0, None, 40.0], "job": ["chef", "chef", "nurse"]}), {"age": "number", "job": "category"})
>>> about["columns"]["age"]["missing"], about["columns"]["job"]["values"]
(1, {'chef': 2, 'nurse': 1})
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from lingqu.contract import Rows
from lingqu.data.groups import row_digests
from lingqu.data.values import time_key

SAMPLE = 20_000
"""How many rows are looked at; versions hold them in the order of a hash, so the first ones are a fair sample."""

TEXTS = 5_000
MOST_VALUES = 500
BINS = 50
CONTENT = ("number", "category", "text", "label", "image")


def profile(rows: Rows, kinds: Mapping[str, str], target: str = "") -> dict[str, Any]:
    """Counts, ranges, values, characters, and how much each feature tells about the target."""
    rows = rows.take(range(min(len(rows), SAMPLE)))
    held = {name: kind for name, kind in kinds.items() if name in rows}
    about: dict[str, Any] = {
        "rows": len(rows),
        "target": target,
        "columns": {name: _column(rows[name], kind) for name, kind in held.items()},
        "repeated": repeated(rows, kinds),
    }
    if target and target in held:
        labels = classes(rows[target], held[target], about["columns"][target])
        for name, kind in held.items():
            if kind in ("number", "category") and name != target:
                column = about["columns"][name]
                found = cells(rows[name], kind, column)
                column |= {"tells": tells(found, labels), "guess": guesses(found, labels)}
                column["right"] = right(found, labels, column["guess"])
        about["usual"] = max(Counter(labels).values(), default=0)
    return about


def _column(values: Sequence[Any], kind: str) -> dict[str, Any]:
    present = [value for value in values if value is not None]
    about: dict[str, Any] = {"kind": kind, "missing": len(values) - len(present)}
    if not present:
        return about
    if kind == "number":
        about |= _numbers(present)
    elif kind in ("category", "label"):
        counts = Counter(present)
        about |= {"values": dict(counts.most_common(MOST_VALUES)), "different": len(counts)}
    elif kind == "text":
        about |= _texts(present)
    elif kind == "time":
        about |= _times(present)
    return about


def _numbers(present: Sequence[float]) -> dict[str, Any]:
    values = np.array(present, np.float64)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1]))
    return {
        "low": float(values.min()),
        "high": float(values.max()),
        "median": float(np.median(values)),
        "spread": float(np.quantile(values, 0.75) - np.quantile(values, 0.25)),
        "typical": float(np.median(np.abs(values))),
        "edges": edges.tolist(),
        "different": int(min(len(np.unique(values)), MOST_VALUES)),
    }


def _texts(present: Sequence[str]) -> dict[str, Any]:
    sample = present[:TEXTS]
    half = len(sample) // 2
    known = characters(sample[:half])
    # How often a text holds a character that half of the others lack: what is to be expected of new texts.
    surprising = sum(not known.issuperset(text) for text in sample[half:])
    return {
        "characters": "".join(sorted(characters(sample))),
        "texts": len(sample) - half,
        "surprising": surprising,
        "different": min(len(set(sample)), MOST_VALUES),
    }


def characters(texts: Sequence[str]) -> set[str]:
    """Every character that occurs.

    >>> sorted(characters(["ab", "b"]))
    ['a', 'b']
    """
    return set(chain.from_iterable(map(set, texts)))


def _times(present: Sequence[str]) -> dict[str, Any]:
    keys = [time_key(value) for value in present]
    dates = [value for value in present if value[4:5] == "-"]
    return {
        "first": min(keys),
        "last": max(keys),
        "dates": len(dates),
        "late_days": sum(int(value[8:10]) > 12 for value in dates),
        "different": min(len(set(present)), MOST_VALUES),
    }


def repeated(rows: Rows, kinds: Mapping[str, str]) -> int:
    """How many rows repeat an earlier one, ids and times not counted.

    >>> repeated(Rows({"x": ["a", "b", "a"]}), {"x": "category"})
    1
    """
    names = [name for name in rows.names if kinds.get(name) in CONTENT]
    digests = row_digests(rows, names) if names else []
    return len(digests) - len(set(digests))


def cells(values: Sequence[Any], kind: str, about: Mapping[str, Any]) -> list[Any]:
    """Values as the bins of a profile: which quantile a number is in, which name a category is.

    >>> cells([0.5, None, 2.0], "number", {"edges": [1.0]})
    [0, None, 1]
    """
    if kind != "number":
        return list(values)
    edges = about.get("edges", [])
    present = np.array([np.nan if value is None else value for value in values], np.float64)
    bins = np.searchsorted(edges, present, side="right")
    return [None if value is None else int(found) for value, found in zip(values, bins, strict=True)]


def classes(values: Sequence[Any], kind: str, about: Mapping[str, Any]) -> list[Any]:
    """The target as classes: labels as they are, numbers as fifths of their reference.

    >>> classes(["a", "b"], "label", {})
    ['a', 'b']
    """
    if kind != "number":
        return list(values)
    edges = about.get("edges", [])
    return cells(values, kind, {"edges": edges[9::10]})


def guesses(values: Sequence[Any], labels: Sequence[Any]) -> dict[str, Any]:
    """The most frequent label of each value.

    >>> guesses(["x", "x", "y"], ["a", "a", "b"])
    {'x': 'a', 'y': 'b'}
    """
    counts: dict[str, Counter[Any]] = {}
    for value, label in zip(values, labels, strict=True):
        counts.setdefault(str(value), Counter())[label] += 1
    return {value: max(found, key=lambda label: (found[label], str(label))) for value, found in counts.items()}


def right(values: Sequence[Any], labels: Sequence[Any], guess: Mapping[str, Any]) -> int:
    """How many labels these guesses get right.

    >>> right(["x", "y", "z"], ["a", "a", "a"], {"x": "a", "y": "b"})
    1
    """
    return sum(guess.get(str(value)) == label for value, label in zip(values, labels, strict=True))


def tells(values: Sequence[Any], labels: Sequence[Any]) -> float:
    """How much better the label is guessed from this column alone, from 0 (not at all) to 1 (always right).

    Goodman and Kruskal's lambda: (right guesses with - without) / (all - without). Each guess is made without the row
    itself, so that a column of names that occur once tells nothing.

    >>> tells(["x", "x", "y", "y"] * 5, ["a", "a", "b", "b"] * 5), tells(["1", "2", "3", "4"], ["a", "a", "b", "b"])
    (1.0, 0.0)
    """
    pairs = [(value, label) for value, label in zip(values, labels, strict=True) if label is not None]
    if not pairs:
        return 0.0
    base = Counter(label for _, label in pairs).most_common(1)[0][1]
    if base == len(pairs):
        return 0.0
    counts: dict[Any, Counter[Any]] = {}
    for value, label in pairs:
        counts.setdefault(value, Counter())[label] += 1
    right = 0
    for found in counts.values():
        best = found.most_common(2)
        top = best[0][1]
        second = best[1][1] if len(best) > 1 else 0
        # Without the row itself a winner that leads by one, or stands alone, is not the guess any more.
        right += top if top - second > 1 and top > 1 else 0
    return max(0.0, round((right - base) / (len(pairs) - base), 6))
