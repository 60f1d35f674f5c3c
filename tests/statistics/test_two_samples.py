"""Tests of two samples: they agree with scipy, err as rarely as they say, and see what is there."""

import numpy as np
import pytest
from scipy import stats

from lingqu.statistics import (
    above_rate,
    benjamini_hochberg,
    chi_square,
    counted,
    domain_classifier,
    mmd,
    rate_rise,
    smirnov,
    stability_index,
)
from lingqu.statistics.gamma import chi_square_above, chi_square_quantile, upper_gamma


def errs(p_values: list[float], alpha: float) -> bool:
    """Whether so many p-values below alpha are more than alpha and three standard errors allow."""
    share = float(np.mean(np.array(p_values) < alpha))
    return share > alpha + 3 * np.sqrt(alpha * (1 - alpha) / len(p_values))


def test_chi_square_tails_agree_with_scipy() -> None:
    for freedom in (1, 2, 9, 40, 300):
        for probability in (0.5, 0.95, 0.99, 1 - 1e-6):
            value = float(stats.chi2.ppf(probability, freedom))
            assert chi_square_above(value, freedom) == pytest.approx(1 - probability, rel=1e-8)
            assert chi_square_quantile(probability, freedom) == pytest.approx(value, rel=1e-9)
    assert upper_gamma(3.0, 0.0) == 1.0
    assert chi_square_above(2000.0, 9) == pytest.approx(float(stats.chi2.sf(2000.0, 9)), rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(5, 7), (60, 60), (300, 800), (37, 400)])
def test_smirnov_counts_orders_exactly(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    for shift in (0.0, 0.3, 1.5):
        a, b = rng.normal(0, 1, n), rng.normal(shift, 1, m)
        expected = stats.ks_2samp(a, b, method="exact")
        found = smirnov(a, b)
        assert found.distance == pytest.approx(float(expected.statistic), abs=1e-12)
        assert found.p == pytest.approx(float(expected.pvalue), rel=1e-6, abs=1e-11)


def test_smirnov_on_many_rows_and_on_none() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 2000), rng.normal(0.08, 1, 1500)
    assert smirnov(a, b).p == pytest.approx(float(stats.ks_2samp(a, b, method="exact").pvalue), rel=0.05)
    assert smirnov([], a) == (0.0, 1.0)
    assert smirnov([1.0, 1.0], [1.0]) == (0.0, 1.0)
    assert smirnov(a, a + 50) == (1.0, 0.0)


def test_chi_square_agrees_with_scipy_where_nothing_is_rare() -> None:
    a, b = [120, 80, 40], [60, 70, 30]
    expected = stats.chi2_contingency([a, b], correction=False)
    found = chi_square(a, b)
    assert (found.statistic, found.freedom, found.p) == pytest.approx((expected.statistic, 2, expected.pvalue))
    assert chi_square([200, 100], [100, 200]).effect == pytest.approx(1 / 3)
    # The effect is one of shares: a hundred times the reference changes nothing.
    assert chi_square([20_000, 10_000], [100, 200]).effect == pytest.approx(1 / 3)


def test_rare_levels_are_pooled_until_each_expects_five() -> None:
    found = chi_square([500, 480, 3, 1, 2, 9, 5], [100, 90, 1, 0, 1, 3, 5])
    # 100 of 1,200 rows are the smaller sample's: of 30 rare rows it expects 5, and they are one level.
    pooled = stats.chi2_contingency([[500, 480, 20], [100, 90, 10]], correction=False)
    assert (found.statistic, found.freedom) == pytest.approx((pooled.statistic, 2))
    assert chi_square([3, 1], [2, 2]) == (0.0, 0, 1.0, 0.0)
    assert chi_square([5, 5], [0, 0]).p == 1.0
    first, second = counted(["a", "b"], ["b", "c"])
    assert (first.tolist(), second.tolist()) == ([1, 1, 0], [0, 1, 1])


def test_rates_agree_with_the_binomial() -> None:
    assert rate_rise(4, 1000, 9, 500).p == pytest.approx(float(stats.binom.sf(8, 13, 1 / 3)))
    assert above_rate(3, 100, 0.01) == pytest.approx(float(stats.binom.sf(2, 100, 0.01)))
    assert rate_rise(0, 0, 5, 10).p == 1.0
    assert rate_rise(0, 100, 0, 100).p == 1.0


def test_benjamini_hochberg_agrees_with_scipy() -> None:
    p = np.random.default_rng(0).random(25) ** 2
    assert benjamini_hochberg(p.tolist()) == pytest.approx(stats.false_discovery_control(p).tolist())
    assert benjamini_hochberg([]) == []


def test_stability_by_hand() -> None:
    halves = stability_index([0.0] * 50 + [1.0] * 50, [0.0] * 80 + [1.0] * 20, bins=2)
    assert halves.value == pytest.approx(0.3 * np.log(0.8 / 0.5) + -0.3 * np.log(0.2 / 0.5))
    assert halves.threshold == pytest.approx((1 / 100 + 1 / 100) * float(stats.chi2.ppf(0.99, 1)))
    assert stability_index([1.0] * 50, [1.0] * 50).value == 0.0


@pytest.mark.parametrize(("n", "m"), [(40, 40), (120, 60)])
def test_smirnov_chi_square_and_rates_err_as_rarely_as_they_say(n: int, m: int) -> None:
    rng = np.random.default_rng(7)
    shares = np.array([0.5, 0.3, 0.1, 0.06, 0.03, 0.01])
    found: dict[str, list[float]] = {"smirnov": [], "ties": [], "chi": [], "rates": []}
    for _ in range(150):
        found["smirnov"].append(smirnov(rng.exponential(size=n), rng.exponential(size=m)).p)
        found["ties"].append(smirnov(rng.poisson(3, n), rng.poisson(3, m)).p)
        found["chi"].append(chi_square(rng.multinomial(n, shares), rng.multinomial(m, shares)).p)
        found["rates"].append(rate_rise(int(rng.binomial(n, 0.03)), n, int(rng.binomial(m, 0.03)), m).p)
    for name, p in found.items():
        assert not errs(p, 0.05), name
        assert not errs(p, 0.01), name


@pytest.mark.heavy
def test_many_thousand_tests_err_as_rarely_as_they_say() -> None:
    """And the mistake that `contingency` names: the reference, scaled, as if it were known exactly."""
    rng = np.random.default_rng(8)
    shares = np.array([0.4, 0.3, 0.2, 0.1])
    right, wrong, distances = [], [], []
    for _ in range(2000):
        a, b = rng.multinomial(300, shares), rng.multinomial(300, shares)
        right.append(chi_square(a, b).p)
        wrong.append(float(stats.chisquare(b, a * b.sum() / a.sum()).pvalue))
        distances.append(smirnov(rng.normal(size=200), rng.normal(size=300)).p)
    assert not errs(right, 0.05)
    assert not errs(right, 0.01)
    assert not errs(distances, 0.05)
    assert np.mean(np.array(right) < 0.05) == pytest.approx(0.05, abs=0.015)
    assert np.mean(np.array(wrong) < 0.05) > 0.2


@pytest.mark.heavy
def test_permutation_tests_err_as_rarely_as_they_say_and_see_a_shift() -> None:
    rng = np.random.default_rng(9)
    discrepancy, domains, ranks = [], [], []
    for i in range(200):
        a, b = rng.normal(size=(40, 5)), rng.normal(size=(50, 5))
        discrepancy.append(mmd(a, b, repeats=99, seed=i).p)
        found = domain_classifier(a, b, repeats=99, seed=i)
        domains.append(found.p)
        ranks.append(found.p_ranks)
    assert not any(errs(p, 0.05) for p in (discrepancy, domains, ranks))
    moved = [rng.normal(0.7, 1, (80, 5)) for _ in range(20)]
    fixed = [rng.normal(size=(80, 5)) for _ in range(20)]
    assert all(mmd(a, b, repeats=99).p <= 0.02 for a, b in zip(fixed, moved, strict=True))
    seen = [domain_classifier(a, b, repeats=99) for a, b in zip(fixed, moved, strict=True)]
    assert all(one.p <= 0.02 and one.p_ranks < 0.01 and one.auc > 0.7 for one in seen)


@pytest.mark.heavy
def test_rows_that_repeat_each_other_do_not_fool_the_classifier() -> None:
    rng = np.random.default_rng(10)
    kinds = rng.normal(size=(6, 30))
    p = [
        domain_classifier(kinds[rng.integers(0, 6, 60)], kinds[rng.integers(0, 6, 60)], repeats=99).p
        for _ in range(150)
    ]
    assert not errs(p, 0.05)
    assert domain_classifier(np.ones((20, 3)), np.ones((20, 3)), repeats=99).p > 0.05


@pytest.mark.heavy
def test_mmd_and_auc_are_those_of_the_books() -> None:
    from sklearn.linear_model import Ridge
    from sklearn.metrics import pairwise_distances, roc_auc_score

    rng = np.random.default_rng(11)
    a, b = rng.normal(0, 1, (30, 3)), rng.normal(0.5, 1, (40, 3))
    squared = pairwise_distances(np.concatenate([a, b])) ** 2
    kernel = np.exp(-squared / np.median(squared[np.triu_indices(70, 1)]))
    xx = (kernel[:30, :30].sum() - 30) / (30 * 29)
    yy = (kernel[30:, 30:].sum() - 40) / (40 * 39)
    assert mmd(a, b, repeats=1).squared == pytest.approx(xx + yy - 2 * kernel[:30, 30:].mean())
    # The same halves, learned and judged by scikit-learn.
    for width in (3, 60):
        c, d = rng.normal(0, 1, (40, width)), rng.normal(0.3, 1, (40, width))
        order = np.random.default_rng(0).permutation(80)
        rows = np.concatenate([c, d])[order]
        rows = (rows - rows.mean(0)) / rows.std(0)
        told = (np.arange(80) >= 40)[order].astype(float)
        judged = []
        for learn, test in ((slice(0, 40), slice(40, 80)), (slice(40, 80), slice(0, 40))):
            ridge = Ridge(alpha=400, fit_intercept=False).fit(rows[learn], told[learn] - told[learn].mean())
            judged.append(roc_auc_score(told[test], ridge.predict(rows[test])))
        assert domain_classifier(c, d, repeats=1).auc == pytest.approx(np.mean(judged))


@pytest.mark.heavy
def test_what_benjamini_and_hochberg_call_found_is_mostly_there() -> None:
    rng, shares, nothing = np.random.default_rng(12), [], []
    for _ in range(500):
        p = np.concatenate([stats.norm.sf(rng.normal(3, 1, 20)), rng.random(80)])
        called = np.array(benjamini_hochberg(p.tolist())) <= 0.1
        shares.append(called[20:].sum() / max(1, called.sum()))
        nothing.append(min(benjamini_hochberg(rng.random(20).tolist())))
    assert np.mean(shares) <= 0.1
    assert not errs(nothing, 0.05)


@pytest.mark.heavy
def test_the_threshold_of_the_stability_index_knows_the_rows() -> None:
    rng = np.random.default_rng(13)
    for n, m in [(2000, 200), (1000, 1000), (300, 300)]:
        found = [stability_index(rng.normal(size=n), rng.normal(size=m), alpha=0.05) for _ in range(400)]
        assert np.mean([one.value > one.threshold for one in found]) <= 0.05 + 3 * np.sqrt(0.05 / 400)
    moved = [stability_index(rng.normal(size=2000), rng.normal(0.5, 1, 300)) for _ in range(50)]
    assert all(one.value > one.threshold for one in moved)
