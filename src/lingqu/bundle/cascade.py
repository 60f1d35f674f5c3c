"""Two models as one: the cheap one answers, and where it is unsure, the dear one does.

Both members' logits are divided by their own temperatures, so that the confidences of either mean what they say, and so
that what a cascade gives is one array of logits whoever answered.
Source: Viola and Jones 2001, "Rapid Object Detection using a Boosted Cascade of Simple Features"; Chow 1970 (reject
what is unsure: no other rule errs less at the same share of rejections).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lingqu.contract import Answer, LabelScores, LabelSet, Rows
from lingqu.data.label_sets import sigmoid
from lingqu.data.labels import softmax

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle
    from lingqu.contract.task import Array, Arrays


@dataclass(frozen=True, slots=True)
class Cascade:
    """A cheap and a dear bundle of one task, and the confidence from which the cheap one's answer stands."""

    cheap: Bundle
    dear: Bundle
    threshold: float

    def raw(self, rows: Rows) -> Arrays:
        """The calibrated logits of whichever member answered, (rows, classes) float32, finite or not."""
        logits = calibrated(self.cheap, rows)
        unsure = self.unsure(logits)
        if unsure.any():
            logits[unsure] = calibrated(self.dear, rows.take(np.flatnonzero(unsure).tolist()))
        return {"logits": logits}

    def unsure(self, logits: Array) -> Array:
        """Where the cheap member's calibrated logits leave the answer to the dear one, bool (rows,)."""
        # What is not a number is not sure either.
        return ~(confidence(logits, self.dear.task.answer) >= self.threshold)


def calibrated(bundle: Bundle, rows: Rows) -> Array:
    """A member's logits divided by its temperature, float32 (rows, classes)."""
    return (bundle.raw(rows)["logits"] / bundle.memory.get("temperature", 1.0)).astype(np.float32)


def confidence(logits: Array, answer: type[Answer] = LabelScores) -> Array:
    """How sure each row is of its answer, float64 (rows,): the largest probability, or of a set the least sure decision.

    >>> confidence(np.array([[0.0, 0.0], [0.0, 50.0]])).tolist()
    [0.5, 1.0]
    >>> confidence(np.array([[-50.0, 50.0], [0.0, 50.0]]), LabelSet).tolist()
    [1.0, 0.5]
    """
    # A row that is not finite has no confidence; NumPy would say so as a warning.
    with np.errstate(invalid="ignore"):
        if answer is LabelSet:
            return sigmoid(np.abs(logits)).min(axis=1)
        return softmax(logits).max(axis=1)
