"""What a rung of the ladder is worth on validation rows, what it costs per row, and which rung is chosen."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from lingqu.bundle.read import Bundle
from lingqu.contract import Answer, Rows, Task
from lingqu.evaluate.comparison import Comparison, compare, rows_to_show
from lingqu.evaluate.judged import Judged, judge
from lingqu.evaluate.measures import measure
from lingqu.evaluate.wording import written_out
from lingqu.metrics import find_metric

REPEATS = 500
COMPARED = 1000
TOLD_APART = 0.05
TIMED_ROWS = 200


def score(bundle: Bundle, rows: Rows, metric: str) -> dict[str, Any]:
    """The metric on these rows with its 95 % interval: {"metric", "value", "low", "high"} and, where it has none, "why"."""
    return {"metric": metric, **measure(judged_rung(bundle, rows), [metric], repeats=REPEATS)[metric]}


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


def judged_rung(bundle: Bundle, rows: Rows, answers: Sequence[Answer] | None = None) -> Judged:
    """A rung's answers beside the truth: the bundle's, or those given by the same recipe."""
    told = bundle.predict(rows) if answers is None else answers
    return judge(rows[bundle.task.target.name], told, bundle.memory.get("labels", ()))


def error_of(task: Task, rows: Rows, answers: Sequence[Answer]) -> float:
    """How far these answers are from right, by the metric that decides: 1 - score, or the error itself."""
    metric = find_metric(task.decide_by)
    judged = judge(rows[task.target.name], answers)
    value = float(metric.function(judged.truth, judged.prediction))
    return round(1 - value if metric.higher_is_better else value, 6)


def choose(names: Sequence[str], judged: Sequence[Judged], metric: str) -> dict[str, Any]:
    """The cheapest rung that cannot be told apart from the best one, from rungs in the order of their price.

    A rung is as good as the best when a paired test on the same rows does not see the best one's lead at 5 %. Few rows so
    speak for the simple model, and many let the better one win (the thought of the one-standard-error rule, Breiman et
    al. 1984, "Classification and Regression Trees", section 3.4.3, with a test in its place).
    """
    found = find_metric(metric)
    values = [found.function(one.truth, one.prediction) * (1 if found.higher_is_better else -1) for one in judged]
    best = int(np.argmax(np.nan_to_num(values, nan=-np.inf)))
    for place, one in enumerate(judged):
        lead = compare(found, one, judged[best], resamples=COMPARED)
        if place == best or lead.p >= TOLD_APART:
            why = "the best of all" if place == best else _as_good(names[best], lead, len(one))
            return {"chosen": place, "best": best, "why": why}
    raise AssertionError("the best rung is as good as itself")


def _as_good(best: str, found: Comparison, rows: int) -> str:
    """Why a cheaper rung is kept, and how many rows would have shown that the best one leads."""
    if not found.lead > 0:
        return f"{best} is no better on the same {rows:,} rows"
    needed, lead = rows_to_show(found, found.lead, TOLD_APART, rows), written_out(f"{found.lead:.3g}", found.lead)
    return (
        f"the lead of {best}, {lead}, may be luck on {rows:,} rows (paired test, p = {found.p:.2g}); "
        f"about {max(needed, rows + 1):,} would show it"
    )
