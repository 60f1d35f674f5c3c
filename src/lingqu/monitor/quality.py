"""How good the answers are: estimated before labels come, and counted by cohort when they have come.

A cohort is one window of answers, and the newest one counts too, however few of its rows have labels. Labels that trusted
people gave to answers drawn at random (the audit) say how good all answers are; labels that users volunteer do not, for
people complain when something is wrong, so both are told apart. Until four in five of the labels that the audit asked for
have come, the estimate stands in front; from then on the count does.

An answer of labels is right when it is the label. One with a range is right when its range holds the number: nine times
in ten, if nothing changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lingqu.contract import JOINT
from lingqu.data.values import to_label
from lingqu.statistics import Estimate, clopper_pearson, estimated_accuracy

RIPE = 0.8
"""The share of the labels asked for from which on the count stands in front of the estimate."""
LEAST_LABELS = 30
"""With fewer labels a share is shown, and nothing is decided by it."""
LEAST_KNOWN = 100
"""With fewer labelled rows in the reference nothing is estimated."""


@dataclass(frozen=True, slots=True)
class Share:
    """How many of so many were right, with the exact 95 % interval.

    >>> print(Share.of(45, 50).sentence())
    45 of 50 right: 0.900 (0.782 to 0.967)
    """

    right: int
    labels: int
    value: float
    low: float
    high: float

    @classmethod
    def of(cls, right: int, labels: int) -> Share | None:
        """The share, or None without labels."""
        if not labels:
            return None
        return cls(right, labels, right / labels, *clopper_pearson(right, labels))

    @property
    def enough(self) -> bool:
        """Whether anything may be decided by it."""
        return self.labels >= LEAST_LABELS

    def sentence(self) -> str:
        """The share in words, with what it is not worth."""
        few = "" if self.enough else f", too few to decide by ({LEAST_LABELS} are needed)"
        return f"{self.right:,} of {self.labels:,} right: {self.value:.3f} ({self.low:.3f} to {self.high:.3f}){few}"


@dataclass(frozen=True, slots=True)
class Cohort:
    """One window of answers and what is known of it.

    >>> from lingqu.statistics import Interval
    >>> cohort = Cohort("a", "b", 300, 10, Share.of(7, 8), None, Estimate(0.9, Interval(0.87, 0.93), 300))
    >>> cohort.ripe, cohort.sentence()
    (True, '300 answers, 8 of 10 audit labels: 7 of 8 right: 0.875 (0.473 to 0.997), too few to decide by (30 are needed).')
    """

    first: str
    last: str
    rows: int
    asked: int
    """How many of its answers the audit asks a label for."""
    audited: Share | None
    volunteered: Share | None
    estimate: Estimate | None

    @property
    def ripe(self) -> bool:
        """Whether enough labels have come for the count to stand in front of the estimate."""
        return self.audited is not None and self.audited.labels >= RIPE * self.asked

    def sentence(self) -> str:
        """The best that is known of it, and what it is."""
        rows = f"{self.rows:,} answers"
        if self.ripe and self.audited is not None:
            return f"{rows}, {self.audited.labels:,} of {self.asked:,} audit labels: {self.audited.sentence()}."
        came = 0 if self.audited is None else self.audited.labels
        waiting = f"{came:,} of {self.asked:,} audit labels have come" if self.asked else "the audit asks for none"
        if self.estimate is None:
            return f"{rows}, {waiting}: nothing is known of their quality yet."
        return f"{rows}, {waiting}. {self.estimate.sentence()}"

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {**asdict(self), "ripe": self.ripe, "sentence": self.sentence()}


def right(answer: Mapping[str, Any], label: Any) -> bool:
    """Whether an answer, as the journal keeps it, says what a label says.

    >>> right({"kind": "label-scores", "prediction": "spam"}, "spam"), right({"kind": "label-set", "prediction": "a|b"}, ["b", "a"])
    (True, True)
    >>> right({"kind": "number-value", "prediction": 3.0, "low": 2.5, "high": 3.5}, "3.4"), right({"kind": "refusal"}, "x")
    (True, False)
    >>> right({"kind": "label-scores", "prediction": "1"}, "1.0")  # as spreadsheets write it
    True
    """
    kind = answer.get("kind")
    if kind == "number-value":
        try:
            return bool(float(answer["low"]) <= float(label) <= float(answer["high"]))
        except (TypeError, ValueError):
            return False
    if kind == "label-set":
        return _parts(answer["prediction"]) == _parts(label)
    # What is no label of any kind cannot be right.
    return "prediction" in answer and _spelled(answer["prediction"]) == _spelled(label)


def _spelled(label: Any) -> str:
    """A label as rows that train spell it."""
    return to_label(label) or str(label)


def _parts(labels: Any) -> list[str]:
    listed = labels if isinstance(labels, list | tuple) else str(labels).split(JOINT)
    return sorted(_spelled(part) for part in listed if str(part))


def estimate(confidences: Sequence[float], known: Sequence[float], was_right: Sequence[bool]) -> Estimate | None:
    """The accuracy of answers without labels, or None where there is too little to say it from."""
    if len(known) < LEAST_KNOWN or not confidences:
        return None
    return estimated_accuracy(confidences, known, was_right)
