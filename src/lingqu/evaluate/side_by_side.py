"""Two versions on the same rows: every metric of both, the paired test of the one that decides, and what changed.

Only test rows that neither version was trained on count. This decides nothing and spends no error budget: it is for
looking. Whoever looks often at the same rows will see luck.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import numpy as np

from lingqu.bundle.read import Bundle
from lingqu.contract import Answer, Rows, Task
from lingqu.errors import GateError, Problem, RequestError
from lingqu.evaluate.comparison import compare, group_index
from lingqu.evaluate.judged import Judged, judge, labels_of
from lingqu.evaluate.limits import rows_of
from lingqu.evaluate.measures import APART, SAME, Groups, ends, lead, measure
from lingqu.evaluate.mistakes import answered, shown
from lingqu.evaluate.report import without
from lingqu.evaluate.slices import slice_columns
from lingqu.evaluate.unseen import data_of, unseen_rows
from lingqu.metrics import find_metric
from lingqu.registry import Version
from lingqu.statistics import holm, mean_below, percentile, replicates
from lingqu.store import Store

RESAMPLES = 1000
TIMED_ROWS = 60
MOST_CHANGED = 6


def side_by_side(new: Version, old: Version, store: Store) -> dict[str, Any]:
    """What the new version does better and worse than the old one, as JSON values.

    A lead above zero means that the new one is better, also where a smaller metric is better. RequestError for versions of
    different tasks, GateError when there is no row that neither was trained on.
    """
    if new.task != old.task:
        found = f"{new.task} and {old.task}"
        raise RequestError(Problem("two versions of one task", found, "Compare versions of the same name."))
    data = data_of(new, store)
    places = unseen_rows(data, old, store)
    if not places:
        advice = "Keep data.seed and data.split as they were, or bring fresh test rows."
        raise GateError(Problem(f"test rows that {old.reference} was not trained on", "none", advice))
    rows = data.rows("test", store).take(places)
    groups = group_index([data.groups("test", store)[place] for place in places])
    bundles = [Bundle.open(store.folder_path(version.bundle)) for version in (new, old)]
    task = bundles[0].task
    there, back = (bundle.predict(rows) for bundle in bundles)
    times = _times(bundles[0], bundles[1], without(rows, task.target.name))
    return {
        "format": 1,
        "task": task.name,
        "new": _about(new, bundles[0], times[0]),
        "old": _about(old, bundles[1], times[1]),
        **compared(task, rows, there, back, groups),
    }


def compared(
    task: Task, rows: Rows, new: Sequence[Answer], old: Sequence[Answer], groups: Groups = None
) -> dict[str, Any]:
    """What two versions' answers to the same rows say of them, as JSON values."""
    truth = rows[task.target.name]
    labels = labels_of(truth, new, old)
    after, before = (judge(truth, said, labels) for said in (new, old))
    return {
        "kind": after.kind,
        "decide_by": task.decide_by,
        "rows": len(rows),
        "groups": None if groups is None else len(np.unique(groups)),
        "test": _test(task.decide_by, before, after, groups),
        "metrics": _metrics(task.metrics, before, after, groups),
        "slices": _slices(slice_columns(task, rows), before, after, groups),
        **_changed(task, rows, before, after),
    }


def _about(version: Version, bundle: Bundle, times: dict[str, float]) -> dict[str, Any]:
    size = sum(file.stat().st_size for file in bundle.path.rglob("*") if file.is_file())
    family = bundle.manifest.get("family", "")
    return {"reference": version.reference, "at": version.at, "family": family, "bytes": size, **times}


def _test(name: str, before: Judged, after: Judged, groups: Groups) -> dict[str, Any]:
    """The paired test of the deciding metric in both directions; p is two-sided."""
    metric = find_metric(name)
    there, back = compare(metric, before, after, groups=groups), compare(metric, after, before, groups=groups)
    p = min(1.0, 2 * min(there.p, back.p))
    told: dict[str, Any] = {"value": None, "low": None, "high": None, "why": f"it needs {metric.needs}"}
    if np.isfinite(there.lead):
        told = {"value": there.lead, **ends(there.low, there.high, SAME if there.lead else APART)}
    return {"metric": name, "test": there.test, "p": p, **told}


def _metrics(names: tuple[str, ...], before: Judged, after: Judged, groups: Groups) -> dict[str, Any]:
    """Each metric of both versions, and the new one's lead with the interval of the paired bootstrap."""
    olds, news = (measure(one, names, groups=groups) for one in (before, after))
    found: dict[str, Any] = {}
    for name in names:
        metric = find_metric(name)
        gained = lead(metric, before, after, repeats=RESAMPLES, groups=groups)
        about = {"higher_is_better": metric.higher_is_better, "about": metric.about}
        found[name] = {"old": olds[name], "new": news[name], "lead": gained, **about}
    return found


def _slices(slices: Any, before: Judged, after: Judged, groups: Groups) -> list[dict[str, Any]]:
    """By how much each part of the rows gained, with Holm-adjusted two-sided tests, the largest changes first."""
    gain = before.cost - after.cost
    found, doubts = [], []
    for column, names in slices.items():
        for name, inside in rows_of(names):
            own = None if groups is None else groups[inside]
            worse, better = mean_below(gain[inside], 0.0, own), mean_below(-gain[inside], 0.0, own)
            doubts.append(min(1.0, 2 * min(worse.p, better.p)))
            one = {"column": column, "slice": name, "rows": len(inside), "value": float(gain[inside].mean())}
            found.append({**one, **_spread(gain[inside], own)})
    adjusted = [{**one, "p": p} for one, p in zip(found, holm(doubts), strict=True)]
    return sorted(adjusted, key=lambda one: (one["p"], -abs(one["value"])))


def _spread(gain: np.ndarray[Any, Any], groups: Groups) -> dict[str, Any]:
    """The 95 % interval of a mean, resampling whole groups where rows come in groups."""
    if groups is None:
        places = np.random.default_rng(0).integers(0, len(gain), (RESAMPLES // 2, len(gain)))
        means = gain[places].mean(axis=1)
    else:
        index = np.unique(groups, return_inverse=True)[1].astype(np.int64)
        means = replicates({"": lambda c: c @ gain / c.sum(axis=1)}, len(gain), RESAMPLES // 2, groups=index)[""]
    low, high = percentile(means)
    return ends(low, high, SAME if gain.any() else APART)


def _changed(task: Task, rows: Rows, before: Judged, after: Judged) -> dict[str, Any]:
    """How many answers became right or wrong, and the surest of both kinds with their input."""
    gain = before.cost - after.cost
    sure = after.prediction.max(axis=1) if after.kind == "labels" else np.abs(gain)
    told: dict[str, Any] = {}
    for name, chosen in (("mended", gain > 0), ("broken", gain < 0)):
        places = np.flatnonzero(chosen)
        places = places[np.argsort(-sure[places], kind="stable")]
        cards = shown(task, rows, after, [int(place) for place in places[:MOST_CHANGED]])
        for card in cards:
            card["before"] = answered(before, card["row"])["prediction"]
        told[name] = {"rows": int(chosen.sum()), "examples": cards}
    told["same"] = int((gain == 0).sum())
    return told


def _times(first: Bundle, second: Bundle, rows: Rows) -> tuple[dict[str, float], dict[str, float]]:
    """Milliseconds of one answer of each, asked in turn so that a busy machine is unfair to neither."""
    places = np.linspace(0, len(rows) - 1, min(TIMED_ROWS, len(rows))).astype(int)
    seconds: list[tuple[float, float]] = []
    for place in [*places[:3], *places]:
        single = rows.take([int(place)])
        marks = [perf_counter()]
        for bundle in (first, second):
            bundle.predict(single)
            marks.append(perf_counter())
        seconds.append((marks[1] - marks[0], marks[2] - marks[1]))
    middle = [float(np.median(one)) * 1000 for one in zip(*seconds[3:], strict=True)]
    return {"ms_per_row": middle[0]}, {"ms_per_row": middle[1]}
