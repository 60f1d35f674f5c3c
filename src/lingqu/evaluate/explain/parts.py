"""An explanation: what each part of a row's input did for its answer."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan
from typing import Any

from lingqu.contract import Answer


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the input: a word, a patch of a picture, or a column's value.

    `weight` is what the score loses without it (log-odds of the label, or the number's own unit): above zero it speaks for
    the answer. `without` is the probability or the number that is left without it (nan where weights are gradients). `place` is where it stands: first and
    last-plus-one character of a text, or left, top, right and bottom of a patch as shares of the picture.

    >>> Part("text", "salty", 1.5, 0.4, (9, 14)).to_json()["what"]
    'salty'
    """

    column: str
    what: Any
    weight: float
    without: float
    place: tuple[float, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """For the record."""
        value = self.what if self.what is None or isinstance(self.what, (str, int, float)) else str(self.what)
        return {
            "column": self.column,
            "what": value,
            "weight": round(self.weight, 6),
            "without": None if isnan(self.without) else round(self.without, 6),
            "place": list(self.place),
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """The parts of one row, the weightiest first, for one label (None for a number).

    `read` is the probability or the number that is explained, `score` its log-odds or again the number. A row that was
    refused has no parts.

    >>> from lingqu.contract import LabelScores
    >>> one = Explanation(LabelScores.of({"a": 0.9, "b": 0.1}), "a", 2.2, 0.9, (Part("x", "y", 1.0, 0.7),))
    >>> one.to_json()["label"], one.to_json()["parts"][0]["weight"]
    ('a', 1.0)
    """

    answer: Answer
    label: str | None
    score: float
    read: float
    parts: tuple[Part, ...]

    def to_json(self, most: int | None = None) -> dict[str, Any]:
        """For the record; at most so many parts."""
        return {
            "answer": self.answer.cells(),
            "label": self.label,
            "score": round(self.score, 6),
            "read": round(self.read, 6),
            "parts": [part.to_json() for part in self.parts[:most]],
        }
