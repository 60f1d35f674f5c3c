"""The answer that needs no model: what any model has to beat before it may be a version.

>>> from lingqu.tasks import find_task
>>> constant(find_task("text-classification"), ["a", "b", "b", "b"]).cells(scores=True)
{'prediction': 'b', 'confidence': 0.75, 'score.a': 0.25, 'score.b': 0.75}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from lingqu.contract import Answer, LabelScores, NumberValue, Task

NAMES = {LabelScores: "majority", NumberValue: "mean"}


def constant(task: Task, truth: Sequence[Any]) -> Answer:
    """The same answer for every row: how often each label stands in the training rows, or their mean.

    The range of the mean holds the middle nine tenths of the training rows.
    """
    if task.answer is NumberValue:
        values = np.array(truth, np.float64)
        low, high = np.quantile(values, [0.05, 0.95]).tolist()
        return NumberValue(float(values.mean()), low, high)
    counts = Counter(truth)
    return LabelScores.of({label: counts[label] / len(truth) for label in sorted(counts)})
