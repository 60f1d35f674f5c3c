"""Paired tests: their error rate where the models are equal, and their power where they are not."""

import time

import numpy as np
import pytest
from scipy import stats

from lingqu.metrics import find_metric
from lingqu.statistics import holm, mcnemar, mean_below, paired_bootstrap, swap_test
from lingqu.statistics.beta import binomial_at_least


def test_mcnemar_is_the_exact_sign_test() -> None:
    rng = np.random.default_rng(0)
    for n in (10, 200, 5000):
        first, second = rng.random(n) < 0.8, rng.random(n) < 0.85
        result = mcnemar(first, second)
        expected = stats.binomtest(result.wins, result.wins + result.losses, alternative="greater").pvalue
        assert result.p == pytest.approx(float(expected), rel=1e-9)
        assert result.difference == pytest.approx(second.mean() - first.mean())
        assert result.discordance == pytest.approx(np.mean(first != second))
    assert mcnemar([True], [True]).p == 1.0


@pytest.mark.parametrize("discordant", [5, 30, 160])
@pytest.mark.parametrize("alpha", [0.05, 0.025, 0.0083])
def test_mcnemar_never_errs_more_often_than_alpha(discordant: int, alpha: float) -> None:
    chances = stats.binom.pmf(np.arange(discordant + 1), discordant, 0.5)
    p = np.array([binomial_at_least(w, discordant, 0.5) for w in range(discordant + 1)])
    assert chances[p < alpha].sum() <= alpha


def error_rate(name: str, rows: int, *, alpha: float = 0.05, data_sets: int = 300, groups: int | None = None) -> float:
    """How often a paired bootstrap calls the second of two equally good models better."""
    metric, rng = find_metric(name), np.random.default_rng(2)
    wrong = 0
    for i in range(data_sets):
        index = None if groups is None else np.arange(rows) % groups
        size = rows if groups is None else groups
        shared, own = rng.normal(size=size), rng.normal(size=(2, size))
        truth = rng.integers(0, 2, size)
        if index is not None:
            # Rows of one group are copies of each other: the hardest dependence there is.
            shared, own, truth = shared[index], own[:, index], truth[index]
        if metric.kind == "labels":
            margin = (2 * truth - 1) * 0.8 + shared * 0.7 + own * 0.7
            predictions = [np.stack([1 / (1 + np.exp(m)), 1 / (1 + np.exp(-m))], axis=1) for m in margin]
        else:
            truth, predictions = shared, list(shared + own)
        scores = [metric.scorer(truth, p) for p in predictions]
        result = paired_bootstrap(scores[0], scores[1], rows, repeats=400, seed=i, groups=index)
        sign = 1 if metric.higher_is_better else -1
        p = result.p_above() if sign > 0 else result.p_below()
        wrong += p < alpha
    return wrong / data_sets


@pytest.mark.parametrize("name", [*(pytest.param(name, marks=pytest.mark.heavy) for name in ("f1", "roc_auc")), "rmse"])
def test_paired_bootstrap_errs_as_often_as_it_says(name: str) -> None:
    # 300 data sets: three standard errors of a 5 % rate are 3.8 points.
    assert error_rate(name, 200) <= 0.088


@pytest.mark.slow
def test_resampling_groups_keeps_the_error_rate_where_rows_depend() -> None:
    assert error_rate("f1", 300, groups=60, data_sets=200) <= 0.096
    naive = paired_groups_ignored()
    assert naive > 0.15


def paired_groups_ignored() -> float:
    """The same dependent rows with the groups forgotten: the error that grouping prevents."""
    rng, wrong = np.random.default_rng(3), 0
    for i in range(100):
        difference = np.repeat(rng.normal(size=60), 5)
        result = paired_bootstrap(lambda c: c[:, 0] * 0, lambda c, d=difference: c @ d / 300, 300, repeats=300, seed=i)
        wrong += result.p_above() < 0.05
    return wrong / 100


def test_swap_test_is_exact_on_few_rows() -> None:
    # Five rows won, none lost: one chance in 32, which no bootstrap of five differing rows would admit.
    right = np.array([False] * 5 + [True] * 45 + [True] * 50)
    p = swap_test(lambda counts: counts @ right / 50, 50)
    assert p == pytest.approx(1 / 32, abs=0.008)
    together = swap_test(lambda c: c @ np.array([0.0, 1, 1, 1]) / 50, 2, times=np.array([5, 45]))
    assert together == pytest.approx(p, abs=0.01)
    # As one group they are one witness.
    assert swap_test(lambda counts: counts @ right / 50, 50, groups=np.zeros(50, dtype=np.int64)) > 0.4


def test_undefined_resamples_are_counted_and_left_out() -> None:
    auc = find_metric("roc_auc")
    truth, scores = np.array([0, 0, 0, 1]), np.array([[0.9, 0.1]] * 3 + [[0.2, 0.8]])
    result = paired_bootstrap(auc.scorer(truth, scores), auc.scorer(truth, scores), 4, repeats=200)
    assert result.undefined > 20
    assert len(result.replicates) == 200 - result.undefined


def test_equal_rows_may_be_drawn_together() -> None:
    rng, f1 = np.random.default_rng(0), find_metric("f1")
    truth = rng.integers(0, 2, 600)
    a, b = (np.eye(2)[np.where(rng.random(600) < share, truth, 1 - truth)] for share in (0.8, 0.83))
    keys = np.stack([truth, *(p.argmax(axis=1) for p in (a, b))])
    _, first, times = np.unique(keys, axis=1, return_index=True, return_counts=True)
    one_by_one = paired_bootstrap(f1.scorer(truth, a), f1.scorer(truth, b), 600)
    fewer = [f1.scorer(truth[first], p[first]) for p in (a, b)]
    together = paired_bootstrap(fewer[0], fewer[1], len(first), times=times)
    assert together.difference == pytest.approx(one_by_one.difference)
    assert together.interval() == pytest.approx(one_by_one.interval(), abs=0.004)
    assert together.error == pytest.approx(one_by_one.error, rel=0.05)


def test_groups_of_one_kind_may_be_drawn_together() -> None:
    # 100 groups of two kinds: a win and a tie, or a loss.
    groups = np.array([g for g in range(100) for _ in range(2 if g < 60 else 1)])
    lead = np.array([x for g in range(100) for x in ((1.0, 0.0) if g < 60 else (-1.0,))])
    times, mix = np.array([60, 40]), np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    few = np.array([1.0, 0.0, -1.0])

    def flat(counts: np.ndarray) -> np.ndarray:
        return counts[:, 0] * 0

    apart = paired_bootstrap(flat, lambda c: c @ lead / c.sum(axis=1), 160, groups=groups)
    together = paired_bootstrap(flat, lambda c: c @ few / c.sum(axis=1), 3, times=times, mix=mix)
    assert together.difference == pytest.approx(apart.difference)
    assert tuple(together.interval()) == pytest.approx(tuple(apart.interval()), abs=0.02)
    one_by_one = swap_test(lambda c: c @ np.concatenate([0 * lead, lead]), 160, groups=groups)
    assert swap_test(lambda c: c @ np.concatenate([0 * few, few]), 3, times=times, mix=mix) == pytest.approx(
        one_by_one, abs=0.02
    )


@pytest.mark.heavy
def test_five_thousand_resamples_of_25_000_rows_take_under_three_seconds() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 25_000)
    a, b = rng.random((2, 25_000, 2))
    f1 = find_metric("f1")
    start = time.process_time()
    paired_bootstrap(f1.scorer(truth, a), f1.scorer(truth, b), 25_000, repeats=1000)
    assert (time.process_time() - start) * 5 < 6  # Three seconds alone; twice that where others empty the caches.


def test_mean_test_agrees_with_student_and_keeps_its_rate_on_rare_losses() -> None:
    x = np.random.default_rng(0).normal(-0.1, 1, 80)
    test = mean_below(x, 0.0)
    expected = float(stats.t.cdf(x.mean() / (x.std(ddof=1) / np.sqrt(80)), 79))
    assert test.p == pytest.approx(expected)
    assert mean_below(np.repeat(x, 3), 0.0, np.repeat(np.arange(80), 3)).p == pytest.approx(test.p)
    assert mean_below(np.zeros(9), 0.1).p == 1.0
    # One point worse on 50 to 400 rows, lost row by lost row: the error at the very edge of the margin.
    rng = np.random.default_rng(1)
    for rows in (50, 400):
        wrong = 0
        for _ in range(1000):
            draws = rng.choice([-1.0, 0.0, 1.0], rows, p=[0.03, 0.95, 0.02])
            wrong += mean_below(draws, -0.01).p < 0.05
        assert wrong / 1000 <= 0.072


def test_holm_keeps_the_rate_of_any_error() -> None:
    rng = np.random.default_rng(0)
    any_error = np.mean([min(holm(list(rng.random(20)))) < 0.05 for _ in range(2000)])
    assert any_error <= 0.065
    assert holm([]) == []
