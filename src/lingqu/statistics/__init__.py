"""Intervals and tests in pure NumPy, each with a simulation in tests/statistics that shows its error rate."""

from lingqu.statistics.confident import Confident, confident
from lingqu.statistics.holm import holm
from lingqu.statistics.intervals import Interval, bca, clopper_pearson, percentile, wilson
from lingqu.statistics.mcnemar import McNemar, mcnemar
from lingqu.statistics.means import MeanTest, mean_below
from lingqu.statistics.paired import Paired, paired_bootstrap
from lingqu.statistics.power import power, rows_needed, smallest_effect, spread
from lingqu.statistics.resample import Score, counts, replicates
from lingqu.statistics.spending import alpha_at, exhausted
from lingqu.statistics.swapping import swap_test

__all__ = [
    "Confident",
    "Interval",
    "McNemar",
    "MeanTest",
    "Paired",
    "Score",
    "alpha_at",
    "bca",
    "clopper_pearson",
    "confident",
    "counts",
    "exhausted",
    "holm",
    "mcnemar",
    "mean_below",
    "paired_bootstrap",
    "percentile",
    "power",
    "replicates",
    "rows_needed",
    "smallest_effect",
    "spread",
    "swap_test",
    "wilson",
]
