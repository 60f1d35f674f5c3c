"""Whether confidence means what it says: how often answers of a confidence are right, and how often ranges hold the truth.

>>> judged = Judged("labels", ("a", "b"), np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.95, 0.05], [0.92, 0.08]]))
>>> [(b["low"], b["rows"], round(b["accuracy"]["value"], 2)) for b in reliability(judged) if b["rows"]]
[(0.8, 1, 1.0), (0.9, 2, 0.5)]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lingqu.contract import Answer, NumberValue
from lingqu.evaluate.judged import Judged
from lingqu.statistics import clopper_pearson

BINS = 10
POINTS = 400


def reliability(judged: Judged) -> list[dict[str, Any]]:
    """Ten bins of confidence: rows, mean confidence, and accuracy with its exact interval."""
    sure, right = judged.prediction.max(axis=1), judged.right
    place = np.clip(np.ceil(sure * BINS).astype(int) - 1, 0, BINS - 1)
    bins: list[dict[str, Any]] = []
    for i in range(BINS):
        inside = place == i
        rows = int(inside.sum())
        one: dict[str, Any] = {"low": i / BINS, "high": (i + 1) / BINS, "rows": rows}
        if rows:
            one["confidence"] = float(sure[inside].mean())
            one["accuracy"] = _share(int(right[inside].sum()), rows)
        bins.append(one)
    return bins


def coverage(truth: Sequence[float], answers: Sequence[Answer]) -> dict[str, Any]:
    """How often the range of an answer holds the truth; nine times in ten is promised."""
    ranges = [(t, a) for t, a in zip(truth, answers, strict=True) if isinstance(a, NumberValue)]
    held = sum(a.low <= float(t) <= a.high for t, a in ranges)
    width = float(np.median([a.high - a.low for _, a in ranges])) if ranges else None
    return {"promised": 0.9, "median_width": width, **(_share(held, len(ranges)) if ranges else {})}


def errors(judged: Judged, seed: int = 0) -> dict[str, Any]:
    """Quantiles of the error of numbers, and a sample of points for the picture of truth against prediction."""
    gap = judged.prediction - judged.truth
    chosen = np.random.default_rng(seed).permutation(len(judged))[:POINTS]
    return {
        "quantiles": {str(q): float(np.quantile(gap, q)) for q in (0.05, 0.25, 0.5, 0.75, 0.95)},
        "points": [[float(judged.truth[i]), float(judged.prediction[i])] for i in np.sort(chosen)],
    }


def by_label(judged: Judged) -> list[dict[str, Any]]:
    """Of each label: rows, share found (recall) and share right when said (precision), with exact intervals."""
    found: list[dict[str, Any]] = []
    for i, label in enumerate(judged.labels):
        true, said = judged.of_label(i)
        both = int((true & said).sum())
        one: dict[str, Any] = {"label": label, "rows": int(true.sum()), "predicted": int(said.sum())}
        for name, out_of in (("recall", one["rows"]), ("precision", one["predicted"])):
            one[name] = _share(both, out_of) if out_of else {"value": None, "low": None, "high": None, "why": "no rows"}
        found.append(one)
    return found


def confusion(judged: Judged) -> dict[str, Any]:
    """How often each true label (row) was called each label (column), and the pairs that are confused most."""
    size = len(judged.labels)
    matrix = np.zeros((size, size), dtype=int)
    np.add.at(matrix, (judged.truth, judged.guess), 1)
    wrong = [(int(matrix[i, j]), i, j) for i, j in zip(*np.nonzero(matrix), strict=True) if i != j]
    pairs = [
        {"truth": judged.labels[i], "prediction": judged.labels[j], "rows": rows}
        for rows, i, j in sorted(wrong, key=lambda pair: (-pair[0], pair[1], pair[2]))[:20]
    ]
    return {"labels": list(judged.labels), "matrix": matrix.tolist(), "pairs": pairs}


def _share(successes: int, rows: int) -> dict[str, float]:
    low, high = clopper_pearson(successes, rows)
    return {"value": successes / rows, "low": low, "high": high}
