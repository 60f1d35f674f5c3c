"""What is explained: one number per row, from the shipped bundle itself.

For a label it is the log-odds of its probability, log p - log(1 - p), which never saturates as a probability does; for a
number it is the number. Of a set of labels each label is a question of its own.

>>> odds(np.array([[2.0, 0.0]]), 0, temperature=1.0).tolist()
[2.0]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lingqu.contract import LabelScores, LabelSet, NumberValue, Rows
from lingqu.errors import Problem, RequestError, near

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """The scores of rows, and the probabilities or numbers that people read, both float64 (rows,)."""

    values: Floats
    read: Floats


def score(bundle: Bundle, rows: Rows, label: str | None) -> Scores:
    """The score of each accepted row for this label, or for the number when there are no labels."""
    outputs = bundle.outputs(rows)
    if label is None:
        numbers = [
            answer.value for answer in bundle.task.decode(outputs, bundle.memory) if isinstance(answer, NumberValue)
        ]
        return Scores(np.array(numbers), np.array(numbers))
    place, temperature = bundle.memory["labels"].index(label), bundle.memory.get("temperature", 1.0)
    if bundle.task.answer is LabelSet:
        # A label that is asked about by itself has its log-odds for a logit.
        values = outputs["logits"][:, place].astype(np.float64) / temperature
    else:
        values = odds(outputs["logits"], place, temperature)
    return Scores(values, 1 / (1 + np.exp(-np.clip(values, -700, 700))))


def odds(logits: NDArray[Any], label: int, temperature: float = 1.0) -> Floats:
    """The log-odds log p - log(1 - p) of one label under a softmax: its logit less the log-sum-exp of all others."""
    scaled = logits.astype(np.float64) / temperature
    others = np.delete(scaled, label, axis=1)
    highest = others.max(axis=1)
    return scaled[:, label] - highest - np.log(np.exp(others - highest[:, None]).sum(axis=1))


EXPLAINED = (LabelScores, LabelSet, NumberValue)
"""The answers that can be explained."""


def chosen_label(bundle: Bundle, answer: Any, label: str | None) -> str | None:
    """The label to explain: the one that was asked for, else the one that was answered; None for numbers.

    Of an answered set it is the likeliest label, also where the set is empty.
    """
    if isinstance(answer, NumberValue):
        if label is None:
            return None
        raise RequestError(Problem("no label, for this model answers with a number", repr(label)))
    if not isinstance(answer, LabelScores | LabelSet):
        raise RequestError(
            Problem("an answer that is a label or a number", answer.kind, "Only those can be explained.")
        )
    known = bundle.memory["labels"]
    if label is not None and label not in known:
        raise RequestError(Problem("a label of this model", repr(label), near(label, known)))
    if label is not None:
        return label
    return answer.label if isinstance(answer, LabelScores) else max(known, key=lambda name: answer.scores[name])
