"""The paired bootstrap: by how much one model is better than another on the same rows, whatever the metric.

Both are scored on the same resamples of rows, or of groups of rows, so what the rows have in common cancels out.
p(margin) = (1 + number of replicates with difference <= margin) / (1 + replicates), the percentile interval inverted.
Source: Efron and Tibshirani 1993, chapters 13 and 15; Field and Welsh 2007 for resampling groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lingqu.statistics.intervals import Interval, percentile
from lingqu.statistics.resample import Floats, Score, replicates


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """The difference second minus first and its bootstrap replicates.

    >>> result = Paired(0.5, np.array([0.2, 0.4, 0.6, 0.8]), undefined=0)
    >>> result.p_above(0.0), result.p_below(0.0)
    (0.2, 1.0)
    """

    difference: float
    replicates: Floats
    undefined: int
    """How many resamples left the metric undefined; they are not among the replicates."""

    def p_above(self, margin: float = 0.0) -> float:
        """The one-sided p-value against "the true difference is at most `margin`"."""
        return (1 + int(np.sum(self.replicates <= margin))) / (1 + len(self.replicates))

    def p_below(self, margin: float = 0.0) -> float:
        """The one-sided p-value against "the true difference is at least `margin`"."""
        return (1 + int(np.sum(self.replicates >= margin))) / (1 + len(self.replicates))

    def interval(self, confidence: float = 0.95) -> Interval:
        """The two-sided percentile interval of the difference."""
        return percentile(self.replicates, confidence)

    @property
    def error(self) -> float:
        """The standard error of the difference."""
        return float(np.std(self.replicates))


def paired_bootstrap(
    first: Score,
    second: Score,
    rows: int,
    *,
    repeats: int = 5000,
    seed: int = 0,
    groups: NDArray[np.int64] | None = None,
    times: NDArray[np.int64] | None = None,
    mix: Floats | None = None,
) -> Paired:
    """Compares two scores on the same resamples; `times` and `mix` draw equal rows together, as in `counts`.

    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.normal(0, 1, 400), rng.normal(0.3, 1, 400)
    >>> result = paired_bootstrap(lambda c: c @ a / 400, lambda c: c @ b / 400, 400)
    >>> result.p_above(0) < 0.01, result.interval().low > 0
    (True, True)
    """
    once = np.ones((1, rows)) if times is None else times[None].astype(float)
    once = once if mix is None else once @ mix
    drawn = replicates(
        {"first": first, "second": second}, rows, repeats, seed=seed, groups=groups, times=times, mix=mix
    )
    differences = drawn["second"] - drawn["first"]
    defined = differences[~np.isnan(differences)]
    return Paired(float((second(once) - first(once))[0]), defined, repeats - len(defined))
