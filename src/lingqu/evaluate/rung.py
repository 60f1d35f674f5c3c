"""What a rung of the ladder is worth on validation rows: the deciding metric with its interval, and its price per row."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from lingqu.bundle.read import Bundle
from lingqu.contract import Rows
from lingqu.evaluate.judged import judge
from lingqu.metrics import find_metric
from lingqu.statistics import percentile, replicates

REPEATS = 500
TIMED_ROWS = 200


def score(bundle: Bundle, rows: Rows, metric: str) -> dict[str, Any]:
    """The metric on these rows with a 95 % bootstrap interval: {"metric", "value", "low", "high"}."""
    judged = judge(rows[bundle.task.target.name], bundle.predict(rows), bundle.memory.get("labels", ()))
    scorer = find_metric(metric).scorer(judged.truth, judged.prediction)
    drawn = replicates({metric: scorer}, len(judged), REPEATS, seed=0)[metric]
    interval = percentile(drawn[~np.isnan(drawn)], 0.95)
    value = float(scorer(np.ones((1, len(judged))))[0])
    return {"metric": metric, "value": value, "low": interval.low, "high": interval.high}


def price(bundle: Bundle, rows: Rows) -> float:
    """Milliseconds for one row on its own: the median of at most 200, after a warm-up."""
    singles = [rows.take([place]) for place in range(min(TIMED_ROWS, len(rows)))]
    for single in singles[:3]:
        bundle.predict(single)
    seconds = []
    for single in singles:
        started = time.perf_counter()
        bundle.predict(single)
        seconds.append(time.perf_counter() - started)
    return round(float(np.median(seconds)) * 1000, 4)
