"""Answers as JSON.

A confidence is rounded to two digits: more would say more than the model knows, and makes it easier to copy (Tramèr et
al. 2016, "Stealing Machine Learning Models via Prediction APIs").

>>> from lingqu.contract import LabelScores
>>> told(LabelScores.of({"spam": 0.98765, "ham": 0.01235}), scores=True)
{'prediction': 'spam', 'confidence': 0.99, 'scores': {'spam': 0.9877, 'ham': 0.0123}}
"""

from __future__ import annotations

from typing import Any

from lingqu.contract import Answer, LabelSet

CONFIDENCE_DIGITS = 2
SCORE_DIGITS = 4


def told(answer: Answer, *, scores: bool = False) -> dict[str, Any]:
    """The named parts of an answer of any kind; a set of labels is a list, and with `scores` there is one a label.

    >>> told(LabelSet.of({"a": 0.9, "b": 0.75, "c": 0.1}, 0.5))
    {'prediction': ['a', 'b'], 'confidence': 0.75}
    """
    cells = answer.cells()
    if "confidence" in cells:
        cells["confidence"] = round(cells["confidence"], CONFIDENCE_DIGITS)
    if isinstance(answer, LabelSet):
        cells["prediction"] = list(answer.labels)
    given = getattr(answer, "scores", None)
    if scores and given:
        cells["scores"] = {label: round(score, SCORE_DIGITS) for label, score in given.items()}
    return cells
