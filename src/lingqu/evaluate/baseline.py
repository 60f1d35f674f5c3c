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

from lingqu.contract import JOINT, Answer, LabelScores, LabelSet, NumberValue, Task

NAMES = {LabelScores: "majority", LabelSet: "majority", NumberValue: "mean"}


def constant(task: Task, truth: Sequence[Any]) -> Answer:
    """The same answer for every row: how often each label stands in the training rows, or their mean.

    The range of the mean holds the middle nine tenths of the training rows.
    """
    if task.answer is NumberValue:
        values = np.array(truth, np.float64)
        low, high = np.quantile(values, [0.05, 0.95]).tolist()
        return NumberValue(float(values.mean()), low, high)
    if task.answer is LabelSet:
        return _most_frequent([name for value in truth for name in value.split(JOINT) if name], len(truth))
    counts = Counter(truth)
    return LabelScores.of({label: counts[label] / len(truth) for label in sorted(counts)})


def _most_frequent(names: Sequence[str], rows: int) -> LabelSet:
    """As many of the most frequent labels as give the best micro-averaged F1 on the training rows themselves."""
    counts = Counter(names).most_common()
    right, best, threshold = 0, -1.0, 1.0
    for place, (_, count) in enumerate(counts, 1):
        right += count
        f1 = 2 * right / (place * rows + len(names))
        if f1 > best:
            best, threshold = f1, count / rows
    return LabelSet.of({label: count / rows for label, count in sorted(counts)}, threshold)
