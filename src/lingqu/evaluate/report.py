"""The report of a bundle on rows that nothing was fitted on: every number from what is shipped, each with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from lingqu.contract import Answer, Rows
from lingqu.errors import DataError, Problem
from lingqu.evaluate.calibration import by_label, confusion, coverage, errors, reliability
from lingqu.evaluate.curves import curves
from lingqu.evaluate.doubts import doubtful
from lingqu.evaluate.explain.scores import EXPLAINED
from lingqu.evaluate.explain.summary import explanations
from lingqu.evaluate.judged import Judged, judge, labels_of
from lingqu.evaluate.languages import languages
from lingqu.evaluate.measures import Groups, lead, measure
from lingqu.evaluate.mistakes import worst
from lingqu.evaluate.slices import measure_slices, slice_columns
from lingqu.evaluate.speed import latency, load_ms, size_bytes
from lingqu.metrics import find_metric

FORMAT = 1
CONFIDENCE = 0.95


def evaluate(
    bundle: Any,
    rows: Rows,
    *,
    baselines: Mapping[str, Sequence[Answer]] | None = None,
    seed: int = 0,
    bootstrap: int = 1000,
    groups: Groups = None,
    background: Rows | None = None,
) -> dict[str, Any]:
    """Everything that is measured of a bundle, as JSON values.

    `rows` hold the target; `baselines` are answers of simpler models to the same rows; `groups` number rows that belong
    together (one user, one document), and intervals then resample whole groups. With `background`, training rows whose values
    stand in for a column's, answers are explained too.
    """
    task = bundle.task
    truth = _truth(task.target.name, rows)
    start = perf_counter()
    answers = bundle.predict(without(rows, task.target.name))
    seconds = perf_counter() - start
    others = dict(baselines or {})
    labels = labels_of(truth, answers, *others.values())
    judged = judge(truth, answers, labels)
    options: dict[str, Any] = {"repeats": bootstrap, "seed": seed, "groups": groups}
    parts = {name: held for name, held in slice_columns(task, rows).items() if name != task.target.name}
    report: dict[str, Any] = {
        **_about(bundle, rows, judged, options),
        "metrics": _metrics(judged, task.metrics, options),
        "baselines": {name: _baseline(judged, judge(truth, a, labels), task, options) for name, a in others.items()},
        "slices": measure_slices(judged, parts, task.decide_by, seed=seed, groups=groups),
        "mistakes": worst(task, rows, judged),
        "doubts": doubtful(rows, judged, task.target.name),
        "latency": {**latency(bundle, without(rows, task.target.name)), "rows_per_second": len(rows) / seconds},
        "size": {"bytes": size_bytes(bundle.path), "load_ms": load_ms(bundle)},
    }
    if background is not None and task.answer in EXPLAINED:
        report["explanations"] = explanations(bundle, rows, judged, background=background, groups=groups)
    match judged.kind:
        case "label-sets":
            return report | {"labels": list(judged.labels), "by_label": by_label(judged)}
        case "labels":
            return report | _of_labels(judged, options)
        case _:
            return report | _of_numbers(judged, truth, answers, seed)


def _truth(name: str, rows: Rows) -> list[Any]:
    if len(rows) == 0 or name not in rows:
        found = "no rows" if len(rows) == 0 else f"columns {', '.join(rows.names)}"
        raise DataError(Problem(f"test rows with a column '{name}'", found, "Check data.split and data.columns."))
    return rows[name]


def _about(bundle: Any, rows: Rows, judged: Judged, options: Mapping[str, Any]) -> dict[str, Any]:
    """What was measured, on what, and how."""
    task, groups = bundle.task, options["groups"]
    return {
        "format": FORMAT,
        "task": task.name,
        "about": task.about,
        "kind": judged.kind,
        "decide_by": task.decide_by,
        "rows": len(rows),
        "refused": judged.refused,
        "groups": None if groups is None else len(np.unique(groups)),
        "confidence": CONFIDENCE,
        "bootstrap": options["repeats"],
        "seed": options["seed"],
        "family": bundle.manifest.get("family", ""),
        "columns": [column["name"] for column in bundle.manifest["columns"]],
        "languages": _languages(task, rows),
    }


def without(rows: Rows, name: str) -> Rows:
    """The rows as a request has them: all columns but the target."""
    return rows.select(other for other in rows.names if other != name)


def _metrics(judged: Judged, names: Sequence[str], options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found = measure(judged, names, **options)
    for name, one in found.items():
        metric = find_metric(name)
        one["higher_is_better"], one["about"] = metric.higher_is_better, metric.about
    return found


def _baseline(judged: Judged, other: Judged, task: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """A baseline's own metrics, and by how much the model is better in the metric that decides (above zero: better)."""
    metric = find_metric(task.decide_by)
    names = dict.fromkeys([task.decide_by, *task.metrics[:1]])
    better = lead(metric, other, judged, **options)
    return {"metrics": _metrics(other, list(names), options), "better_by": better}


def _of_labels(judged: Judged, options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "labels": list(judged.labels),
        "by_label": by_label(judged),
        "confusion": confusion(judged),
        "calibration": reliability(judged),
        "curves": curves(judged, seed=options["seed"], groups=options["groups"]),
    }


def _of_numbers(judged: Judged, truth: Sequence[float], answers: Sequence[Answer], seed: int) -> dict[str, Any]:
    return {"errors": errors(judged, seed), "coverage": coverage(truth, answers)}


def _languages(task: Any, rows: Rows) -> list[str]:
    texts = [column.name for column in task.columns if column.kind == "text" and column.name in rows]
    return languages(str(value or "") for name in texts for value in rows[name][:500])
