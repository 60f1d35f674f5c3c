"""The closed table of metrics, under the names that scikit-learn and torchmetrics users know.

>>> find_metric("rmse").higher_is_better
False
>>> sorted(METRICS)[:3]
['accuracy', 'average_precision', 'balanced_accuracy']
"""

from __future__ import annotations

from lingqu.errors import Problem, UnknownNameError, near
from lingqu.metrics.label_sets import SET_METRICS
from lingqu.metrics.labels import LABEL_METRICS
from lingqu.metrics.metric import Metric, Scorer
from lingqu.metrics.numbers import NUMBER_METRICS

METRICS: dict[str, Metric] = {metric.name: metric for metric in (*LABEL_METRICS, *SET_METRICS, *NUMBER_METRICS)}


def find_metric(name: str) -> Metric:
    """The metric of this name; UnknownNameError, with the nearest one, if there is none.

    >>> find_metric("f1").about
    'The harmonic mean of precision and recall; mean over labels.'
    """
    if name not in METRICS:
        raise UnknownNameError(Problem("a metric that lingqu knows", f"'{name}'", near(name, METRICS)))
    return METRICS[name]


__all__ = ["METRICS", "Metric", "Scorer", "find_metric"]
