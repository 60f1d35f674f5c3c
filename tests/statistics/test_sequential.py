"""Tests that may be looked at after every row: they agree with what they are made of, and err as rarely as they say."""

import numpy as np
import pytest
from scipy import stats

from lingqu.statistics import (
    SignTest,
    live_risk,
    mcnemar,
    mean_sequence,
    risk_evalues,
    share_sequence,
    sign_evalues,
)


def first_at(log_evalues: np.ndarray, alpha: float) -> np.ndarray:
    """After how many rows each run first reached 1/alpha; infinity for one that never did."""
    reached = log_evalues >= -np.log(alpha)
    return np.where(reached.any(axis=1), reached.argmax(axis=1) + 1.0, np.inf)


def in_parts(function, draws: np.ndarray, size: int = 10, **settings) -> np.ndarray:
    """The function on a few runs at a time, for it holds a grid for each row."""
    parts = [function(draws[i : i + size], **settings) for i in range(0, len(draws), size)]
    return np.concatenate(parts)


def test_the_sign_test_is_a_mixture_of_likelihood_ratios() -> None:
    won = np.random.default_rng(0).random(60) < 0.7
    test = SignTest()
    for one in won:
        test = test.after(bool(one))
    grid = np.linspace(0.52, 0.95, 44)
    wins, losses = int(won.sum()), int((~won).sum())
    by_hand = np.mean((2 * grid) ** wins * (2 * (1 - grid)) ** losses)
    assert test.evalue == pytest.approx(by_hand)
    assert np.exp(sign_evalues(won)[-1]) == pytest.approx(by_hand)
    assert test.p == pytest.approx(min(1.0, 1 / np.exp(sign_evalues(won)).max()))
    assert test.p > mcnemar(~won, won).p  # looking at any time has its price


def test_neither_a_long_win_nor_a_long_loss_overflows() -> None:
    won = SignTest(wins=10**7).after(True)
    assert (won.evalue, won.p, won.decides(1e-12)) == (np.inf, 0.0, True)
    lost = SignTest(losses=10**7).after(False)
    assert (lost.evalue, lost.p, lost.decides(0.05)) == (0.0, 1.0, False)
    assert lost.sentence().endswith("the challenger won 0: p = 1, valid at any look.")
    assert live_risk(np.ones(10**5), 0.1).evalue == np.inf


def test_live_risk_is_a_mixture_of_likelihood_ratios() -> None:
    wrong = np.random.default_rng(1).random(80) < 0.3
    limit = 0.12
    grid = limit + (1 - limit) * np.geomspace(0.02, 0.9, 20)
    first, second = (
        np.mean((grid / limit) ** some.sum() * ((1 - grid) / (1 - limit)) ** (~some).sum())
        for some in (wrong, wrong[50:])
    )
    # The second game began after 50 labels, and a third of the stake waits for those that come.
    by_hand = first / 2 + second / 6 + 1 / 3
    found = live_risk(wrong, limit)
    assert found.evalue == pytest.approx(by_hand)
    assert (found.labels, found.losses) == (80, wrong.sum())
    assert found.log_highest >= found.log_evalue
    running = risk_evalues(wrong.astype(float), limit)
    assert found.first_warn == int(np.argmax(running >= np.log(20))) + 1
    assert live_risk([], 0.1).level == "quiet"


def test_a_model_that_was_good_for_long_cannot_break_unseen() -> None:
    rng = np.random.default_rng(8)
    found = live_risk(np.concatenate([rng.random(3000) < 0.08, rng.random(100) < 0.5]), 0.12)
    assert found.first_act is not None
    assert 3000 < found.first_act <= 3060
    # One game alone would have needed hundreds of labels.
    assert live_risk(rng.random(3000) < 0.08, 0.12).level == "quiet"


@pytest.mark.parametrize("limit", [0.0, 1.0, -1.0])
def test_a_limit_that_no_mean_can_pass_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match=r"^a limit between 0 and 1 expected, found"):
        live_risk([0.0], limit)
    with pytest.raises(ValueError, match=r"^losses in 0..1 expected, found 0 to 2$"):
        live_risk([0.0, 2.0], 0.1)
    with pytest.raises(ValueError, match=r"^values in 0..1 expected, found -1 to 0$"):
        mean_sequence([0.0, -1.0])


def test_the_share_sequence_is_where_the_mixture_stays_small() -> None:
    for successes, trials in [(0, 1), (0, 40), (40, 40), (3, 10), (700, 1000), (0, 0)]:
        low, high = share_sequence(successes, trials)
        for edge in (low, high):
            if 0 < edge < 1:
                mixture = stats.beta.pdf(edge, successes + 1, trials - successes + 1)
                # B(s + 1, f + 1) / (m^s (1 - m)^f) is one over the density of a Beta(s + 1, f + 1) at m.
                assert 1 / mixture == pytest.approx(20, rel=1e-6)
        assert low <= successes / max(1, trials) <= high
    assert share_sequence(0, 0) == (0.0, 1.0)


@pytest.mark.heavy
def test_the_sign_test_promotes_an_equal_challenger_rarely_however_often_one_looks() -> None:
    rng = np.random.default_rng(2)
    evidence = in_parts(sign_evalues, rng.random((1000, 800)) < 0.5)
    for alpha in (0.05, 0.01):
        # 1,000 runs: three standard errors.
        assert np.mean(np.isfinite(first_at(evidence, alpha))) <= alpha + 3 * np.sqrt(alpha / 1000)
    worse = in_parts(sign_evalues, rng.random((300, 800)) < 0.45)
    assert np.mean(np.isfinite(first_at(worse, 0.05))) <= 0.02


@pytest.mark.heavy
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_live_risk_alarms_rarely_while_the_limit_is_kept(alpha: float) -> None:
    rng = np.random.default_rng(3)
    evidence = in_parts(risk_evalues, (rng.random((300, 600)) < 0.12).astype(float), limit=0.12)
    assert np.mean(np.isfinite(first_at(evidence, alpha))) <= alpha + 3 * np.sqrt(alpha / 300)


@pytest.mark.heavy
def test_live_risk_holds_for_losses_between_0_and_1() -> None:
    rng = np.random.default_rng(4)
    kept = in_parts(risk_evalues, rng.beta(1, 4, (200, 500)), limit=0.2)
    assert np.mean(np.isfinite(first_at(kept, 0.05))) <= 0.05
    broken = in_parts(risk_evalues, rng.beta(1, 2, (50, 500)), limit=0.2)
    assert np.mean(np.isfinite(first_at(broken, 0.01))) == 1.0


@pytest.mark.heavy
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_the_share_sequence_holds_the_truth_at_all_times(share: float) -> None:
    rng, missed = np.random.default_rng(5), 0
    for _ in range(150):
        # The interval shuts the share out first where the running count is farthest from it: there it is looked at.
        successes = np.cumsum(rng.random(2000) < share)
        trials = np.arange(1, 2001)
        far = np.argsort(-np.abs(successes - share * trials) / np.sqrt(trials))[:40]
        bounds = [share_sequence(int(successes[i]), int(trials[i])) for i in far]
        missed += any(not low <= share <= high for low, high in bounds)
    assert missed / 150 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)


@pytest.mark.heavy
def test_the_mean_sequence_holds_the_truth_at_all_times_and_narrows() -> None:
    rng = np.random.default_rng(6)
    for values, mean in [(rng.beta(2, 6, (300, 2000)), 0.25), ((rng.random((300, 2000)) < 0.1) * 1.0, 0.1)]:
        low, high = mean_sequence(values)
        assert np.mean(((low > mean) | (high < mean)).any(axis=1)) <= 0.05
        assert np.median((high - low)[:, -1]) < 0.1
