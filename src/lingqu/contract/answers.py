"""What a task may answer.

>>> LabelScores.of({"spam": 0.9, "ham": 0.1}).cells()
{'prediction': 'spam', 'confidence': 0.9}
>>> NumberValue(3.0, 2.5, 3.5).cells()
{'prediction': 3.0, 'low': 2.5, 'high': 3.5}
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, ClassVar

JOINT = "|"
"""What stands between the labels of one cell; no name of a label holds it."""


class Answer(ABC):
    """One answer for one row."""

    kind: ClassVar[str]

    @abstractmethod
    def cells(self, *, scores: bool = False) -> dict[str, Any]:
        """The answer as named cells of a table; with `scores`, every detail that has a column of its own."""


@dataclass(frozen=True, slots=True)
class LabelScores(Answer):
    """A label, how sure the model is of it, and the probability of each label."""

    label: str
    confidence: float
    scores: Mapping[str, float] = field(default_factory=dict)
    kind: ClassVar[str] = "label-scores"

    @classmethod
    def of(cls, scores: Mapping[str, float]) -> LabelScores:
        """The answer that a probability per label implies; of equal ones the first wins."""
        label = max(scores, key=lambda name: scores[name])
        return cls(label, scores[label], dict(scores))

    def chance(self, label: str) -> float:
        """The probability that this answer gave to a label."""
        return self.scores.get(label, 0.0)

    def cells(self, *, scores: bool = False) -> dict[str, Any]:
        cells: dict[str, Any] = {"prediction": self.label, "confidence": self.confidence}
        if scores:
            cells.update({f"score.{label}": score for label, score in self.scores.items()})
        return cells


@dataclass(frozen=True, slots=True)
class LabelSet(Answer):
    """Any number of labels, and the probability of each label that there is.

    `confidence` is that of the least sure of all its decisions, yes or no.

    >>> LabelSet.of({"crime": 0.9, "sport": 0.2, "taxes": 0.6}, 0.5).cells()
    {'prediction': 'crime|taxes', 'confidence': 0.6}
    """

    labels: tuple[str, ...]
    confidence: float
    scores: Mapping[str, float] = field(default_factory=dict)
    kind: ClassVar[str] = "label-set"

    @classmethod
    def of(cls, scores: Mapping[str, float], threshold: float) -> LabelSet:
        """The labels whose probability reaches the threshold."""
        chosen = tuple(sorted(label for label, score in scores.items() if score >= threshold))
        sure = min((score if label in chosen else 1 - score for label, score in scores.items()), default=1.0)
        return cls(chosen, sure, dict(scores))

    @property
    def label(self) -> str:
        """The labels as one cell, the way rows hold them."""
        return JOINT.join(self.labels)

    def chance(self, cell: str) -> float:
        """The probability that this answer gave to exactly these labels, each decision taken by itself.

        >>> LabelSet.of({"a": 0.9, "b": 0.5}, 0.5).chance("a")
        0.45
        """
        names = cell.split(JOINT)
        return prod(score if label in names else 1 - score for label, score in self.scores.items())

    def cells(self, *, scores: bool = False) -> dict[str, Any]:
        cells: dict[str, Any] = {"prediction": self.label, "confidence": self.confidence}
        if scores:
            cells.update({f"score.{label}": score for label, score in self.scores.items()})
        return cells


@dataclass(frozen=True, slots=True)
class NumberValue(Answer):
    """A number and the range that holds the truth nine times in ten."""

    value: float
    low: float
    high: float
    kind: ClassVar[str] = "number-value"

    def cells(self, *, scores: bool = False) -> dict[str, Any]:
        return {"prediction": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Refusal(Answer):
    """No answer: the row breaks what the model learned to expect, and `error` says how.

    >>> Refusal("Expected a number in 'age', found 'old'.").cells()
    {'error': "Expected a number in 'age', found 'old'."}
    """

    error: str
    kind: ClassVar[str] = "refusal"

    def cells(self, *, scores: bool = False) -> dict[str, Any]:
        return {"error": self.error}
