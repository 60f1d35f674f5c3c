"""The gate: whether a challenger has proved, on the same rows, that it should take the champion's place.

It must win a paired test in the metric that decides, at the alpha of this round; lose nowhere that matters (the lower
bound of its lead stays above minus the margin; no slice of at least 50 rows, nor the calibration, is provably worse);
and keep the limits of the spec, also on each slice that they name. When it leads but cannot prove it, or a slice is too
small to judge a limit on it, the answer is how many rows are missing.
A challenger that is no better is promoted in at most alpha of all cases: tests/evaluate/test_gate.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import ceil, isfinite, isnan, nan
from typing import Any, Literal

from lingqu.contract import Answer, Task
from lingqu.evaluate.comparison import RESAMPLES, Comparison, compare, group_index, rows_to_show
from lingqu.evaluate.judged import Judged, judge, labels_of
from lingqu.evaluate.limits import Check, held_limits, held_slice_limits, rows_of, value_of
from lingqu.evaluate.measures import Groups
from lingqu.evaluate.slices import Slices
from lingqu.metrics import Metric, find_metric
from lingqu.spec.amounts import Limit
from lingqu.statistics import holm, mean_below, paired_bootstrap

LEAST_GROUPS = 20
"""Fewer groups than this, and the bootstrap over groups does not keep its error rate."""
PROOF_OF_HARM = 0.05
GROUPS = "groups"
CALIBRATION, CALIBRATION_RESAMPLES = "ece", 1000

Verdict = Literal["promote", "keep", "not-enough-rows", "unseen"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate decided, and every number it rests on.

    `difference`, `low` and `high` are the challenger's lead in `metric`: above zero the challenger is better, also where
    a smaller metric is better. `p` is NaN where these rows were not asked to prove anything.

    >>> print(Decision("promote", "accuracy", "exact McNemar test", p=0.001, alpha=0.025, rows=500, difference=0.04,
    ...     low=0.01, high=0.07, champion=0.8, challenger=0.84).sentence())
    Promote: accuracy 0.84 against 0.8, a lead of 0.04 (0.01 to 0.07), p = 0.001 < 0.025 on 500 rows.
    """

    decision: Verdict
    metric: str
    test: str
    p: float
    alpha: float
    rows: int
    difference: float
    low: float
    high: float
    champion: float
    challenger: float
    missing_rows: int = 0
    margin: float = 0.0
    discordance: float | None = None
    first: bool = False
    checks: tuple[Check, ...] = ()

    @property
    def promoted(self) -> bool:
        """Whether the challenger should become champion."""
        return self.decision == "promote"

    def sentence(self) -> str:
        """The decision in one line."""
        test = "" if isnan(self.p) else f", p = {self.p:.2g} {_sign(self.p, self.alpha)} {self.alpha:.2g}"
        facts = (
            f"{self.metric} {self.challenger:.4g} against {self.champion:.4g}, a lead of {self.difference:.3g} "
            f"({self.low:.3g} to {self.high:.3g}){test} on {self.rows:,} rows."
        )
        if self.decision == "promote":
            return f"Promote: {facts}"
        if self.decision == "unseen":
            return f"No harm on the test rows; today's traffic has to prove it: {facts}"
        if self.decision == "not-enough-rows":
            few = "".join(f" {check.sentence}" for check in self.checks if check.name == GROUPS and not check.passed)
            unjudged = sum(check.missing_share > 0 for check in self.checks)
            few += f" {unjudged} of the limits on slices cannot be judged." if unjudged else ""
            return f"Not enough rows to tell, about {self.missing_rows:,} more are needed: {facts}{few}"
        failed = ", ".join(check.name for check in self.checks if not check.passed)
        return f"{'Not good enough' if self.first else 'Keep the champion'}: {facts} Failed: {failed}."

    def to_json(self) -> dict[str, Any]:
        """For the record and the report; a number that is undefined becomes None."""
        values = {name: None if isinstance(v, float) and not isfinite(v) else v for name, v in asdict(self).items()}
        return {**values, "checks": [check.to_json() for check in self.checks], "sentence": self.sentence()}


def decide(
    task: Task,
    truth: Sequence[Any],
    champion: Sequence[Answer],
    challenger: Sequence[Answer],
    *,
    alpha: float,
    margin: float = 0.01,
    slices: Slices | None = None,
    groups: Groups | Sequence[Any] = None,
    thresholds: Sequence[Limit] = (),
    slice_thresholds: Mapping[str, Sequence[Limit]] | None = None,
    latency_ms: float | None = None,
    size_bytes: float | None = None,
    first: bool = False,
    also: Sequence[Check] = (),
    prove: bool = True,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Decision:
    """Whether the challenger should be promoted, from both models' answers to the same rows.

    `alpha` is what this round may spend. For a `first` version the "champion" is its baseline, which it must beat by the
    same test; a baseline that knows one label is perfect on that label, so slices are not compared with it.
    `margin` is in points of a metric that lies within 0 and 1, else a share of the champion's value. What `also` holds
    must pass besides: what other rows said, for one. Without `prove` these rows only have to show no harm, and who shows
    none answers `unseen`: the proof is left to today's traffic.
    """
    metric, index, parts = find_metric(task.decide_by), group_index(groups), slices or {}
    labels = labels_of(truth, challenger, champion)
    old, new = judge(truth, champion, labels), judge(truth, challenger, labels)
    before, after = (metric.function(one.truth, one.prediction) for one in (old, new))
    allowed = margin if isfinite(metric.range[1] - metric.range[0]) else margin * abs(before)
    found = compare(metric, old, new, groups=index, seed=seed, resamples=resamples)
    measured = {limit.name: value_of(limit.name, new) for limit in thresholds}
    checks = [
        *([_better(metric, found, alpha)] if prove else []),
        _not_worse(metric, found, allowed),
        *_groups(_size(index)),
        *held_limits(thresholds, {**measured, "latency_p95": latency_ms, "size": size_bytes}),
        *held_slice_limits(slice_thresholds or {}, new, parts),
        *also,
    ]
    if not first:
        checks += [*_slices(old, new, parts, margin, index), *_calibration(old, new, margin, index, seed)]
    verdict, missing = _verdict(checks, found, alpha=alpha, allowed=allowed, rows=len(new), groups=_size(index) or 0)
    if verdict == "promote" and not prove:
        verdict = "unseen"
    return Decision(
        verdict,
        metric.name,
        found.test,
        found.p if prove else nan,
        alpha,
        len(new),
        found.lead,
        found.low,
        found.high,
        before,
        after,
        missing,
        margin,
        found.discordance,
        first,
        tuple(checks),
    )


def keeps(decision: Decision, rows: str) -> list[Check]:
    """What these rows ask of a challenger that proves itself on others: all but being better.

    It has learned the new when it wins on fresh rows, and kept the old when it is not worse here.
    """
    return [
        replace(check, name=f"{check.name} ({rows})")
        for check in decision.checks
        if check.name not in ("better", GROUPS)
    ]


def _sign(p: float, alpha: float) -> str:
    return "<" if p < alpha else ">="


def _size(groups: Groups) -> int | None:
    return None if groups is None else int(groups.max()) + 1


def _better(metric: Metric, found: Comparison, alpha: float) -> Check:
    told = f"{found.test} of {metric.name}: p = {found.p:.2g} {_sign(found.p, alpha)} {alpha:.2g}, this round's alpha."
    return Check("better", found.p < alpha, told)


def _not_worse(metric: Metric, found: Comparison, allowed: float) -> Check:
    told = f"the lead in {metric.name} is at least {found.bound:.3g} with 95 % confidence, and {-allowed:.3g} is the limit."
    return Check("not worse", found.bound > -allowed, told)


def _groups(count: int | None) -> list[Check]:
    """Fails when rows that are not independent come from too few groups; nothing to check when they are independent."""
    if count is None or count >= LEAST_GROUPS:
        return []
    return [Check(GROUPS, False, f"These rows belong to {count} groups, and {LEAST_GROUPS} is the least for a proof.")]


def _slices(old: Judged, new: Judged, slices: Slices, margin: float, groups: Groups) -> list[Check]:
    """One check when no slice is provably worse than the margin allows, else one for each that is."""
    gain = old.cost - new.cost
    allowed = margin if new.kind == "labels" else margin * float(old.cost.mean())
    named = [(f"{column} = {name}", inside) for column, names in slices.items() for name, inside in rows_of(names)]
    if not named:
        return []
    tests = [mean_below(gain[places], -allowed, None if groups is None else groups[places]) for _, places in named]
    adjusted = holm([test.p for test in tests])
    unit = {"labels": "accuracy", "label-sets": "hamming loss"}.get(new.kind, "mean squared error")
    worse = [
        Check(
            name,
            False,
            f"{unit} is worse by {-test.mean:.3g} on {len(places):,} rows where {name} (Holm-adjusted p = {p:.2g}).",
        )
        for (name, places), test, p in zip(named, tests, adjusted, strict=True)
        if p < PROOF_OF_HARM
    ]
    fine = f"none of {len(named)} slices is provably worse (Holm-adjusted tests at {PROOF_OF_HARM:g})."
    return worse or [Check("slices", True, fine)]


def _calibration(old: Judged, new: Judged, margin: float, groups: Groups, seed: int) -> list[Check]:
    """Fails when the calibration error is provably larger by more than the margin."""
    if new.kind != "labels":
        return []
    metric = find_metric(CALIBRATION)
    first, second = (metric.scorer(one.truth, one.prediction) for one in (old, new))
    paired = paired_bootstrap(first, second, len(new), repeats=CALIBRATION_RESAMPLES, seed=seed, groups=groups)
    p, change = paired.p_above(margin), "higher" if paired.difference > 0 else "lower"
    told = (
        f"the calibration error is {abs(paired.difference):.3g} {change}; "
        f"p = {p:.2g} that it rose by at most {margin:g}."
    )
    return [Check("calibration", p >= PROOF_OF_HARM, told)]


def _verdict(
    checks: Sequence[Check], found: Comparison, *, alpha: float, allowed: float, rows: int, groups: int
) -> tuple[Verdict, int]:
    """Promote when all pass; ask for rows when only the proof is missing and more rows may bring it; else keep."""
    if all(check.passed for check in checks):
        return "promote", 0
    unproved = [
        check for check in checks if check.name not in ("better", "not worse", GROUPS) and not check.missing_share
    ]
    if not found.lead > 0 or not all(check.passed for check in unproved):
        return "keep", 0
    if any(check.name == GROUPS for check in checks):
        return "not-enough-rows", max(1, rows * LEAST_GROUPS // groups - rows)
    unjudged = ceil(rows * max(check.missing_share for check in checks))
    if unjudged and all(check.passed or check.missing_share for check in checks):
        return "not-enough-rows", unjudged
    if found.lead < allowed:
        # A lead too small to matter: keep, if so many rows would have shown one that does.
        needed = rows_to_show(found, allowed, alpha, rows)
        return ("not-enough-rows", needed - rows) if needed > rows else ("keep", 0)
    return "not-enough-rows", max(rows_to_show(found, found.lead, alpha, rows) - rows, ceil(rows / 10))
