"""Spending an error budget over rounds, and what a number of rows can show."""

import numpy as np
import pytest

from lingqu.statistics import alpha_at, exhausted, mcnemar, power, rows_needed, smallest_effect, spread


def test_spending_never_exceeds_the_budget() -> None:
    assert sum(alpha_at(k) for k in range(1, 100_000)) == pytest.approx(0.05, abs=1e-6)
    assert sum(alpha_at(k) for k in range(1, 100_000)) < 0.05
    assert not exhausted(6)
    assert exhausted(7)
    assert exhausted(31, alpha=1.0)


def rounds_of_equal_models(rng: np.random.Generator, rows: int, rounds: int) -> bool:
    """Whether any of many equally good challengers is promoted on one set of gate rows."""
    champion = rng.random(rows) < 0.85
    for k in range(1, rounds + 1):
        # A challenger as good as the champion in truth, and right elsewhere on 8 % of rows.
        flip = rng.random(rows) < np.where(champion, 0.04 / 0.85, 0.04 / 0.15)
        challenger = champion ^ flip
        if mcnemar(champion, challenger).p < alpha_at(k):
            return True
    return False


def test_thirty_rounds_on_one_holdout_promote_an_equal_model_in_at_most_five_percent() -> None:
    rng = np.random.default_rng(0)
    promoted = np.mean([rounds_of_equal_models(rng, 500, 30) for _ in range(400)])
    assert promoted <= 0.05


@pytest.mark.parametrize(("rows", "found"), [(500, 0.42), (1000, 0.69), (2000, 0.93)])
def test_power_is_that_of_the_exact_test(rows: int, found: float) -> None:
    """Two points better, 8 % of rows decided by one model: the shares that the exact test finds."""
    rng = np.random.default_rng(rows)
    draws = rng.choice(3, (2000, rows), p=[0.92, 0.05, 0.03])
    promoted = np.mean([mcnemar(d == 2, d == 1).p < 0.05 for d in draws])
    assert promoted == pytest.approx(found, abs=0.035)
    assert power(rows, 0.02, spread(0.08, 0.02)) == pytest.approx(promoted, abs=0.06)


def test_rows_needed_and_smallest_effect_are_inverse() -> None:
    rows = rows_needed(0.02, spread(0.08))
    assert smallest_effect(rows, spread(0.08)) == pytest.approx(0.02, rel=0.001)
    assert power(rows, 0.02, spread(0.08)) == pytest.approx(0.8, abs=0.001)
