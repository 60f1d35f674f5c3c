"""Intervals hold the truth as often as they say: exactly by enumeration, or in seeded simulations."""

import numpy as np
import pytest
from scipy import stats

from lingqu.statistics import Interval, bca, clopper_pearson, percentile, wilson
from lingqu.statistics.beta import binomial_at_least, incomplete_beta, student_below


def test_incomplete_beta_agrees_with_scipy() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        a, b = 10 ** rng.uniform(-1, 6, 2)
        x = float(rng.beta(a, b))
        assert incomplete_beta(a, b, x) == pytest.approx(float(stats.beta.cdf(x, a, b)), abs=1e-8)
    assert (incomplete_beta(2, 2, 0.0), incomplete_beta(2, 2, 1.0)) == (0.0, 1.0)


def test_tails_agree_with_scipy() -> None:
    for n, k, p in [(10, 9, 0.5), (1000, 531, 0.5), (200_000, 100_400, 0.5), (7, 0, 0.1), (7, 8, 0.1)]:
        assert binomial_at_least(k, n, p) == pytest.approx(float(stats.binom.sf(k - 1, n, p)), rel=1e-6)
    for t, freedom in [(-3.0, 4), (0.0, 9), (1.5, 300), (2.0, 1)]:
        assert student_below(t, freedom) == pytest.approx(float(stats.t.cdf(t, freedom)), abs=1e-10)


def test_clopper_pearson_agrees_with_scipy() -> None:
    for k, n in [(0, 10), (3, 10), (10, 10), (700, 1000), (24_900, 25_000)]:
        expected = stats.binomtest(k, n).proportion_ci(0.95, "exact")
        assert clopper_pearson(k, n) == pytest.approx((expected.low, expected.high), abs=1e-9)
        expected = stats.binomtest(k, n).proportion_ci(0.95, "wilson")
        assert wilson(k, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


def covered(intervals: list[Interval], share: float, n: int) -> float:
    """The exact chance that the interval holds the share: a sum over every possible number of successes."""
    chances = stats.binom.pmf(np.arange(n + 1), n, share)
    return float(sum(c for c, (low, high) in zip(chances, intervals, strict=True) if low <= share <= high))


@pytest.mark.parametrize("n", [20, 100])
def test_coverage_of_a_share_by_enumeration(n: int) -> None:
    exact = [clopper_pearson(k, n) for k in range(n + 1)]
    score = [wilson(k, n) for k in range(n + 1)]
    shares = np.linspace(0.02, 0.98, 97)
    assert min(covered(exact, s, n) for s in shares) >= 0.95
    assert np.mean([covered(score, s, n) for s in shares]) == pytest.approx(0.95, abs=0.01)


def test_bootstrap_coverage_of_a_skewed_mean() -> None:
    """95 % intervals of an exponential mean, 60 rows, 400 data sets: BCa is nearer to 95 % than percentile."""
    rng = np.random.default_rng(1)
    hits = np.zeros(2)
    for _ in range(400):
        x = rng.exponential(size=60)
        means = rng.choice(x, (800, 60)).mean(axis=1)
        plain, better = percentile(means), bca(float(x.mean()), means, (x.sum() - x) / 59)
        hits += [plain.low <= 1 <= plain.high, better.low <= 1 <= better.high]
    assert 0.90 <= hits[0] / 400 <= 0.97
    assert 0.92 <= hits[1] / 400 <= 0.98


def test_undefined_replicates_are_left_out() -> None:
    assert percentile(np.array([1.0, np.nan, 3.0]), 0.5) == (1.5, 2.5)
    assert bca(2.0, np.full(9, 2.0), np.full(3, 2.0)) == (2.0, 2.0)
