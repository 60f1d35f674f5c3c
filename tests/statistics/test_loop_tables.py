"""What the sequential tests and the stability index need and get wrong, in runs long enough to be quoted.

The figures in the docstrings were measured before, with other mixtures, and are what was hoped for; those in the tests are
what this code gives.
"""

import numpy as np
import pytest

from lingqu.statistics import risk_evalues, sign_evalues, stability_index

pytestmark = pytest.mark.slow


def first_at(log_evalues: np.ndarray, alpha: float) -> np.ndarray:
    reached = log_evalues >= -np.log(alpha)
    return np.where(reached.any(axis=1), reached.argmax(axis=1) + 1.0, np.inf)


def labels_to_promote(lead: float, runs: int, labels: int, seed: int, discordance: float = 0.08) -> np.ndarray:
    """After how many labels the sign test promotes a challenger with this lead, at alpha 0.05."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(runs):
        draw = rng.random(labels)
        differs = np.flatnonzero(draw < discordance)
        won = draw[differs] < (discordance + lead) / 2
        at = first_at(sign_evalues(won)[None], 0.05)[0]
        found.append(differs[int(at) - 1] + 1 if np.isfinite(at) else np.inf)
    return np.array(found)


@pytest.mark.parametrize(
    ("lead", "median", "most"),
    [(0.02, 1200, 2421), (0.03, 517, 992), (0.05, 184, 311)],
)
def test_labels_that_a_better_challenger_needs_in_shadow(lead: float, median: int, most: int) -> None:
    """With another mixture 1321, 514 and 222 labels were measured, and 2557, 1010 and 412 for eight runs in ten."""
    found = labels_to_promote(lead, 2000, 30_000, seed=int(lead * 100))
    print(f"+{lead * 100:g} points: median {np.median(found):.0f}, 80 % {np.quantile(found, 0.8):.0f}")
    assert np.median(found) == pytest.approx(median, rel=0.12)
    assert np.quantile(found, 0.8) == pytest.approx(most, rel=0.12)


def test_an_equal_challenger_is_promoted_rarely_over_20_000_labels_and_by_peeking_often() -> None:
    found = labels_to_promote(0.0, 2000, 20_000, seed=0)
    promoted = np.mean(np.isfinite(found))
    rng, naive = np.random.default_rng(1), 0
    for _ in range(1000):
        draw = rng.random(20_000)
        step = np.where(draw < 0.04, 1, np.where(draw < 0.08, -1, 0))
        total, spread = np.cumsum(step)[49::50], np.sqrt(np.cumsum(step**2)[49::50])
        naive += bool((total[spread > 0] / spread[spread > 0] > 1.645).any())
    print(f"false promotions: sequential sign test {promoted:.3f}, z-test at every 50th label {naive / 1000:.2f}")
    assert promoted <= 0.05
    assert naive / 1000 > 0.25


@pytest.mark.parametrize(
    ("true", "labels", "warned", "acted"),
    [(0.15, 4000, 788, 1319), (0.20, 2000, 148, 208), (0.30, 500, 33, 50), (0.50, 100, 11, 15)],
)
def test_labels_that_a_broken_model_needs(true: float, labels: int, warned: int, acted: int) -> None:
    """With one level at 0.05 and another mixture 1172, 123, 27 and 7 labels (90 % of the last: 18) were measured."""
    rng = np.random.default_rng(int(true * 100))
    parts = [risk_evalues((rng.random((10, labels)) < true) * 1.0, 0.12) for _ in range(20)]
    warn, act = (np.concatenate([first_at(part, alpha) for part in parts]) for alpha in (0.05, 0.01))
    print(f"{true:g}: warn {np.median(warn):.0f} (90 % {np.quantile(warn, 0.9):.0f}), act {np.median(act):.0f}")
    assert np.median(warn) == pytest.approx(warned, rel=0.15, abs=2)
    assert np.median(act) == pytest.approx(acted, rel=0.15, abs=2)


@pytest.mark.parametrize(("true", "most"), [(0.10, 0.02), (0.12, 0.05)])
def test_a_sound_model_is_left_alone_for_5000_labels(true: float, most: float) -> None:
    rng = np.random.default_rng(int(true * 1000))
    parts = [risk_evalues((rng.random((10, 5000)) < true) * 1.0, 0.12) for _ in range(30)]
    warn, act = (np.mean(np.concatenate([np.isfinite(first_at(part, a)) for part in parts])) for a in (0.05, 0.01))
    print(f"{true:g}: alarms in 5,000 labels {warn:.3f} (warn), {act:.3f} (act)")
    assert warn <= most
    assert act <= 0.01


@pytest.mark.parametrize(
    ("bins", "rows", "alarms"),
    [(10, 100, 0.40), (10, 200, 0.028), (10, 500, 0.0), (30, 100, 1.0), (30, 200, 0.94), (30, 500, 0.04)],
)
def test_the_usual_limit_of_the_stability_index_alarms_where_nothing_moved(bins: int, rows: int, alarms: float) -> None:
    rng, usual, ours = np.random.default_rng(bins + rows), [], []
    for _ in range(1500):
        reference, now = rng.normal(size=10_000), rng.normal(size=rows)
        usual.append(stability_index(reference, now, bins=bins, least=1).value >= 0.1)
        found = stability_index(reference, now, bins=bins)
        ours.append(found.value > found.threshold)
    print(
        f"{bins} bins, {rows} rows: 0.1 alarms {np.mean(usual):.3f}, the threshold that knows the rows {np.mean(ours):.3f}"
    )
    assert np.mean(usual) == pytest.approx(alarms, abs=0.06)
    assert np.mean(ours) <= 0.03
