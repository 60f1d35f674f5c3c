"""Metrics with their intervals.

>>> judged = Judged("numbers", (), np.arange(50.0), np.arange(50.0) + np.tile([1.0, -1.0, 0.5, 0.0, 0.0], 10))
>>> found = measure(judged, ["mae"])["mae"]
>>> found["value"], round(found["low"], 2), round(found["high"], 2), found["method"]
(0.5, 0.36, 0.62, 'bootstrap')
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lingqu.evaluate.judged import Judged
from lingqu.metrics import Metric, find_metric
from lingqu.statistics import clopper_pearson, paired_bootstrap, percentile, replicates

Groups = NDArray[np.int64] | None

UNDEFINED_SHARE = 0.05
"""An interval is not shown when more resamples than this leave the metric undefined."""
SAME, APART = "every resample gives this value", "no row tells the two apart"


def measure(
    judged: Judged,
    names: Iterable[str],
    *,
    repeats: int = 1000,
    seed: int = 0,
    groups: Groups = None,
    confidence: float = 0.95,
) -> dict[str, dict[str, Any]]:
    """Each metric as value, low, high and method; where a number is None, `why` says the reason."""
    metrics = {name: find_metric(name) for name in names}
    resampled = {name: metric for name, metric in metrics.items() if len(judged) and not metric.no_interval}
    scorers = {name: metric.scorer(judged.truth, judged.prediction) for name, metric in resampled.items()}
    drawn = replicates(scorers, len(judged), repeats, seed=seed, groups=groups)
    found: dict[str, dict[str, Any]] = {}
    for name, metric in metrics.items():
        value = metric.function(judged.truth, judged.prediction)
        if not np.isfinite(value):
            found[name] = _unknown(None, f"it needs {metric.needs}")
        elif name == "accuracy" and groups is None:
            low, high = clopper_pearson(int(judged.right.sum()), len(judged), confidence)
            found[name] = {"value": value, "low": low, "high": high, "method": "exact"}
        elif metric.no_interval:
            found[name] = _unknown(value, metric.no_interval)
        else:
            found[name] = _resampled(judged, value, drawn[name], confidence)
    return found


def lead(metric: Metric, before: Judged, after: Judged, **options: Any) -> dict[str, Any]:
    """By how much the second answers are better in a metric, above zero also where smaller is better, with its interval.

    `options` are those of the paired bootstrap; where a number is None, `why` says the reason.
    """
    first, second = (metric.scorer(one.truth, one.prediction) for one in (before, after))
    paired = paired_bootstrap(first, second, len(after), **options)
    if not np.isfinite(paired.difference) or not len(paired.replicates):
        return {"value": None, "low": None, "high": None, "why": f"it needs {metric.needs}"}
    sign = 1.0 if metric.higher_is_better else -1.0
    value = sign * paired.difference
    if metric.no_interval:
        return {"value": value, "low": None, "high": None, "why": metric.no_interval}
    low, high = sorted(sign * end for end in paired.interval())
    return {"value": value, **ends(low, high, SAME if value else APART)}


def ends(low: float, high: float, why: str) -> dict[str, Any]:
    """The ends of an interval, or why there is none where all resamples agree but for rounding.

    Rows that are all alike (all right, say) resample to themselves: a spread of zero would claim a certainty that is not there.

    >>> ends(0.5, 0.75, SAME), ends(1.0, 1.0, SAME)["why"]
    ({'low': 0.5, 'high': 0.75}, 'every resample gives this value')
    """
    agree = np.isclose(low, high, rtol=1e-9, atol=1e-12)
    return {"low": None, "high": None, "why": why} if agree else {"low": low, "high": high}


def _resampled(judged: Judged, value: float, drawn: NDArray[np.float64], confidence: float) -> dict[str, Any]:
    undefined = float(np.mean(~np.isfinite(drawn)))
    if undefined > UNDEFINED_SHARE:
        return _unknown(value, f"{undefined:.0%} of resamples leave it undefined: too few rows of some kind")
    why = f"all {len(judged):,} right: too few to tell more" if judged.right.all() else SAME
    found = ends(*percentile(drawn, confidence), why)
    return {"value": value, **found, "method": "none" if "why" in found else "bootstrap"}


def _unknown(value: float | None, why: str) -> dict[str, Any]:
    return {"value": value, "low": None, "high": None, "method": "none", "why": why}
