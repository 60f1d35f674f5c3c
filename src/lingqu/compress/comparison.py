"""The before-and-after row of a step of compression: what it saved, what it cost, and whether it is kept.

>>> Comparison("int8", False, "it is not smaller").to_json()["kept"]
False
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from lingqu.bundle.read import Bundle
from lingqu.contract import Answer, LabelScores, LabelSet, NumberValue, Rows
from lingqu.statistics import mcnemar, mean_below

SEEN = 0.05
MOST_LOST = 0.01
SLACK = 0.001
"""A mean log loss that grows by less than this, or a mean error by this share, is rounding and no cost."""
TIMED_ROWS = 50


@dataclass(frozen=True, slots=True)
class Comparison:
    """One before-and-after row: what was tried, what it saved, what it cost, and whether it was kept.

    Losses are the share of wrong labels, or the mean absolute error of numbers, on `rows` validation rows; `p` is that
    of the test for a cost; bytes are those of the whole bundle, milliseconds those of one row on its own.
    """

    method: str
    kept: bool
    why: str
    rows: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    loss_before: float = 0.0
    loss_after: float = 0.0
    p: float | None = None
    score_before: float = 0.0
    score_after: float = 0.0
    """The mean log loss of labels; for numbers as the loss."""
    ms_before: float = 0.0
    ms_after: float = 0.0
    escalated: float | None = None
    """Of a cascade: the share of rows that the dear member answered."""

    def to_json(self) -> dict[str, Any]:
        """For the report."""
        return asdict(self)

    def refused(self, why: str) -> Comparison:
        """The same row, not kept for this reason."""
        return replace(self, kept=False, why=why)


def compare(
    before: Bundle, after: Bundle, rows: Rows, method: str = "int8", *, for_speed: bool = False, slack: float = SLACK
) -> Comparison:
    """The before-and-after row of two bundles on the same rows with their targets.

    The test is one-sided: was `before` better than `after` on the same rows? Labels by McNemar's exact test on right and
    wrong and a paired test on the log loss, numbers by a paired test on absolute errors. `after` is kept when the test
    sees no cost, at most one point is lost, and the bundle is smaller, or `for_speed` faster. The mean log loss may grow
    by `slack`.
    """
    truth = rows[before.task.target.name]
    answers = [one.predict(rows) for one in (before, after)]
    first, second = (losses(given, truth) for given in answers)
    p, zero_one = cost(answers[0], answers[1], truth, slack=slack)
    sizes = [bundle_bytes(bundle) for bundle in (before, after)]
    times = interleaved_ms(before, after, rows, mean=for_speed)
    gain = times[0] / times[1] if for_speed else sizes[0] / sizes[1]
    lost = float(second.mean() - first.mean()) / (1.0 if zero_one else max(float(first.mean()), 1e-12))
    if p < SEEN:
        kept, why = False, f"the paired test sees a cost (p = {p:.3g} < {SEEN})"
    elif lost > MOST_LOST:
        kept, why = False, f"it loses {lost:.1%}, more than {MOST_LOST:.0%}"
    elif gain <= 1:
        kept, why = False, "it is not faster" if for_speed else "it is not smaller"
    else:
        more = "faster" if for_speed else "smaller"
        kept, why = True, f"{gain:.1f} times {more} and no cost that the test can see (p = {p:.3g})"
    means = (round(float(first.mean()), 6), round(float(second.mean()), 6))
    by_label = before.task.answer in (LabelScores, LabelSet)
    scores = [round(float(surprise(given, truth).mean()), 6) for given in answers] if by_label else [*means]
    return Comparison(
        method,
        kept,
        why,
        rows=len(rows),
        bytes_before=sizes[0],
        bytes_after=sizes[1],
        loss_before=means[0],
        loss_after=means[1],
        p=p,
        score_before=scores[0],
        score_after=scores[1],
        ms_before=times[0],
        ms_after=times[1],
    )


def cost(before: list[Answer], after: list[Answer], truth: list[Any], *, slack: float = SLACK) -> tuple[float, bool]:
    """How likely so much worse answers are by chance alone (small: a cost was seen), and whether losses are 0 or 1.

    Labels may all stay while the ranking behind them is lost: the scores are tested as well, each at half the level.
    A mean log loss that grows by no more than `slack`, or a mean error by no more than this share, is no cost.

    >>> good, bad = ([LabelScores.of({"a": a, "b": 1 - a})] * 20 for a in (0.9, 0.2))
    >>> cost(good, bad, ["a"] * 20)[0] < 1e-5, cost(good, good, ["a"] * 20)[0]
    (True, 1.0)
    """
    first, second = losses(before, truth), losses(after, truth)
    zero_one = set(np.unique([first, second])) <= {0.0, 1.0}
    if not zero_one:
        return float(mean_below(first - second, -slack * float(first.mean())).p), zero_one
    by_label = mcnemar(second == 0, first == 0).p
    by_score = mean_below(surprise(before, truth) - surprise(after, truth), -slack).p
    return float(min(1.0, 2 * min(by_label, by_score))), zero_one


def losses(answers: list[Answer], truth: list[Any]) -> np.ndarray[Any, Any]:
    """What each answer costs: 0 or 1 for a label, the absolute error for a number, float64 (rows,)."""
    costs = []
    for answer, right in zip(answers, truth, strict=True):
        if isinstance(answer, LabelScores | LabelSet):
            costs.append(float(answer.label != right))
        elif isinstance(answer, NumberValue):
            costs.append(abs(answer.value - float(right)))
        else:
            costs.append(1.0)
    return np.array(costs, np.float64)


def surprise(answers: list[Answer], truth: list[Any]) -> np.ndarray[Any, Any]:
    """-log of the score that each answer gave the right label, float64 (rows,); a refusal scored it nothing."""
    scores = [
        answer.chance(right) if isinstance(answer, LabelScores | LabelSet) else 0.0
        for answer, right in zip(answers, truth, strict=True)
    ]
    return -np.log(np.maximum(np.array(scores, np.float64), 1e-6))


def bundle_bytes(bundle: Bundle) -> int:
    """The size of all files of a bundle."""
    return sum(file.stat().st_size for file in bundle.path.rglob("*") if file.is_file())


def interleaved_ms(before: Bundle, after: Bundle, rows: Rows, *, mean: bool = False) -> tuple[float, float]:
    """Milliseconds for one row on its own, of both bundles turn by turn, so that a busy machine is as unkind to each.

    The median over rows; or the `mean`, where rows differ by what they cost: then each row counts with its best of three,
    for a mean would keep every interruption.
    """
    singles = [rows.take([place]) for place in range(min(TIMED_ROWS * (2 if mean else 1), len(rows)))]
    seconds = np.empty((2, 3 if mean else 1, len(singles)))
    for bundle in (before, after):
        for single in singles[:3]:
            bundle.predict(single)
    for attempt in range(seconds.shape[1]):
        for place, single in enumerate(singles):
            for which, bundle in enumerate((before, after)):
                started = time.perf_counter()
                bundle.predict(single)
                seconds[which, attempt, place] = time.perf_counter() - started
    best = 1000 * seconds.min(axis=1)
    middle = best.mean(axis=1) if mean else np.median(best, axis=1)
    return round(float(middle[0]), 4), round(float(middle[1]), 4)
