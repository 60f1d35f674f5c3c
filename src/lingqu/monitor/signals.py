"""What is watched of rows and answers: each column by its kind, so that a new task is watched without a line of code.

A signal is one thing that can be compared between two samples: numbers, names, events that happen or not, or vectors.

    number      its values, how often it is missing
    category    its names, how often it is missing, how often it is a name that training never saw
    text        its length in characters, and which short runs of characters it is made of
    image       brightness, contrast and size, and a small thumbnail
    answers     confidence and label, or the number and the width of its range; how often an answer was refused

Columns that never stay what they were (times, ids) are not watched.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lingqu.contract import Rows
from lingqu.monitor.pictures import picture_numbers
from lingqu.monitor.texts import text_vectors

Array = np.ndarray[Any, np.dtype[Any]]

NUMBERS, NAMES, EVENTS, VECTORS = "numbers", "names", "events", "vectors"
KINDS = (NUMBERS, NAMES, EVENTS, VECTORS)


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """One thing that is watched: float (rows,), str (rows,), bool (rows,) or float32 (rows, width), by its kind.

    >>> len(Signal("age", "age", NUMBERS, np.array([1.0, 2.0])))
    2
    """

    name: str
    column: str
    kind: str
    values: Array

    def __len__(self) -> int:
        return len(self.values)


def of_columns(rows: Rows, kinds: Mapping[str, str], known: Mapping[str, Collection[str]]) -> list[Signal]:
    """The signals of typed columns; `kinds` names the kind of each, `known` the names that training saw of a category.

    >>> found = of_columns(Rows({"age": [1.0, None], "job": ["x", "z"]}), {"age": "number", "job": "category"},
    ...                    {"job": {"x", "y"}})
    >>> [(one.name, one.values.tolist()) for one in found]
    [('age', [1.0]), ('age: missing', [False, True]), ('job', ['x', 'z']), ('job: unseen', [False, True]), ('job: missing', [False, False])]
    """
    signals: list[Signal] = []
    for name, kind in kinds.items():
        values = rows[name] if name in rows else [None] * len(rows)
        if kind in _OF_KIND:
            present = [value for value in values if value is not None]
            signals += _OF_KIND[kind](name, present, known.get(name, ()))
            missing = np.array([value is None for value in values], dtype=bool)
            signals.append(Signal(f"{name}: missing", name, EVENTS, missing))
    return signals


def of_answers(answers: Sequence[Mapping[str, Any]]) -> list[Signal]:
    """The signals of answers, given as the cells that the journal keeps: kind, prediction, confidence or low and high.

    >>> found = of_answers([{"kind": "label-scores", "prediction": "a", "confidence": 0.9}, {"kind": "refusal"}])
    >>> [(one.name, one.values.tolist()) for one in found]
    [('refused', [False, True]), ('confidence', [0.9]), ('answer', ['a'])]
    """
    given = [one for one in answers if one["kind"] != "refusal"]
    signals = [Signal("refused", "", EVENTS, np.array([one["kind"] == "refusal" for one in answers], dtype=bool))]
    sure = [float(one["confidence"]) for one in given if one.get("confidence") is not None]
    if sure:
        signals.append(Signal("confidence", "", NUMBERS, np.array(sure)))
    numbers = [one for one in given if one["kind"] == "number-value"]
    if numbers:
        signals.append(Signal("answer", "", NUMBERS, np.array([float(one["prediction"]) for one in numbers])))
        wide = np.array([float(one["high"]) - float(one["low"]) for one in numbers])
        signals.append(Signal("width of the range", "", NUMBERS, wide))
    elif given:
        signals.append(Signal("answer", "", NAMES, np.array([str(one["prediction"]) for one in given])))
    return signals


def watched(kinds: Mapping[str, str]) -> int:
    """How many columns of these kinds are watched."""
    return sum(kind in _OF_KIND for kind in kinds.values())


def _of_numbers(name: str, present: list[Any], known: Collection[str]) -> list[Signal]:
    del known
    return [Signal(name, name, NUMBERS, np.array(present, dtype=float))]


def _of_names(name: str, present: list[Any], known: Collection[str]) -> list[Signal]:
    signals = [Signal(name, name, NAMES, np.array([str(value) for value in present], dtype=str))]
    if known:
        unseen = np.array([str(value) not in known for value in present], dtype=bool)
        signals.append(Signal(f"{name}: unseen", name, EVENTS, unseen))
    return signals


def _of_texts(name: str, present: list[Any], known: Collection[str]) -> list[Signal]:
    del known
    texts = [str(value) for value in present]
    return [
        Signal(f"{name}: length", name, NUMBERS, np.array([float(len(text)) for text in texts])),
        Signal(f"{name}: wording", name, VECTORS, text_vectors(texts)),
    ]


def _of_pictures(name: str, present: list[Any], known: Collection[str]) -> list[Signal]:
    del known
    found = picture_numbers([value for value in present if isinstance(value, bytes)])
    numbers = [Signal(f"{name}: {what}", name, NUMBERS, found[what]) for what in ("brightness", "contrast", "pixels")]
    return [*numbers, Signal(f"{name}: look", name, VECTORS, found["look"])]


_OF_KIND: Mapping[str, Callable[[str, list[Any], Collection[str]], list[Signal]]] = {
    "number": _of_numbers,
    "category": _of_names,
    "text": _of_texts,
    "image": _of_pictures,
}
