"""Intervals and tests in pure NumPy, each with a simulation in tests/statistics that shows its error rate."""

from lingqu.statistics.calibration import Calibration, by_confidence, calibration_error
from lingqu.statistics.confidence_sequences import mean_sequence, share_sequence
from lingqu.statistics.confident import Confident, confident
from lingqu.statistics.contingency import Contingency, chi_square, counted
from lingqu.statistics.domain_classifier import Domains, domain_classifier
from lingqu.statistics.estimated import Estimate, estimated_accuracy
from lingqu.statistics.false_discoveries import benjamini_hochberg
from lingqu.statistics.holm import holm
from lingqu.statistics.intervals import Interval, bca, clopper_pearson, percentile, wilson
from lingqu.statistics.kolmogorov import Smirnov, smirnov
from lingqu.statistics.live_risk import LiveRisk, live_risk, risk_evalues
from lingqu.statistics.mcnemar import McNemar, mcnemar
from lingqu.statistics.means import MeanTest, mean_below
from lingqu.statistics.mmd import Discrepancy, mmd
from lingqu.statistics.paired import Paired, paired_bootstrap
from lingqu.statistics.power import in_words, power, rows_needed, smallest_effect, spread
from lingqu.statistics.rates import Rates, above_rate, rate_rise
from lingqu.statistics.resample import Score, counts, replicates
from lingqu.statistics.sequential_sign import SignTest, sign_evalues
from lingqu.statistics.spending import alpha_at, exhausted
from lingqu.statistics.stability import Stability, stability_index
from lingqu.statistics.swapping import swap_test

__all__ = [
    "Calibration",
    "Confident",
    "Contingency",
    "Discrepancy",
    "Domains",
    "Estimate",
    "Interval",
    "LiveRisk",
    "McNemar",
    "MeanTest",
    "Paired",
    "Rates",
    "Score",
    "SignTest",
    "Smirnov",
    "Stability",
    "above_rate",
    "alpha_at",
    "bca",
    "benjamini_hochberg",
    "by_confidence",
    "calibration_error",
    "chi_square",
    "clopper_pearson",
    "confident",
    "counted",
    "counts",
    "domain_classifier",
    "estimated_accuracy",
    "exhausted",
    "holm",
    "in_words",
    "live_risk",
    "mcnemar",
    "mean_below",
    "mean_sequence",
    "mmd",
    "paired_bootstrap",
    "percentile",
    "power",
    "rate_rise",
    "replicates",
    "risk_evalues",
    "rows_needed",
    "share_sequence",
    "sign_evalues",
    "smallest_effect",
    "smirnov",
    "spread",
    "stability_index",
    "swap_test",
    "wilson",
]
