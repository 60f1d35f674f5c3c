"""How often the rule of drift alarms where nothing moved, and how soon where something did; and the usual rules beside it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lingqu.monitor.drift import LEVEL, compare, level, standing
from lingqu.monitor.signals import EVENTS, NAMES, NUMBERS, VECTORS, Signal
from lingqu.statistics import stability_index

ROWS, HELD_OUT = 300, 1000


def table(rng: np.random.Generator, rows: int, shift: float = 0.0) -> list[Signal]:
    """Twenty columns of many shapes; the first may have moved by so many standard deviations."""
    numbers = [rng.normal(shift, 1, rows), *(rng.normal(size=rows) for _ in range(5))]
    numbers += [rng.exponential(size=rows).round(1) for _ in range(3)] + [rng.poisson(2, rows) * 1.0 for _ in range(2)]
    shares = [0.55, 0.25, 0.1, 0.05, 0.03, 0.01, 0.01]
    names = [rng.choice(list("abcdefg"), rows, p=shares) for _ in range(5)]
    events = [rng.random(rows) < 0.03 for _ in range(4)]
    return [
        *(Signal(f"n{i}", f"n{i}", NUMBERS, values) for i, values in enumerate(numbers)),
        *(Signal(f"c{i}", f"c{i}", NAMES, values) for i, values in enumerate(names)),
        *(Signal(f"e{i}", f"e{i}", EVENTS, values) for i, values in enumerate(events)),
    ]


def drifted(reference: list[Signal], window: list[Signal], q: float = LEVEL) -> list[str]:
    return [one.signal for one in compare(reference, window, q) if one.drifted]


def found_in(rng: np.random.Generator, shift: float, most: int, q: float = LEVEL) -> int:
    """In which window the alarm comes, one more than `most` when it does not."""
    reference, seen = table(rng, HELD_OUT), []
    for window in range(1, most + 1):
        seen.append(drifted(reference, table(rng, ROWS, shift), q))
        if "n0" in standing(seen):
            return window
    return most + 1


@pytest.mark.heavy
def test_a_shift_of_half_a_deviation_in_one_of_twenty_columns_is_found_in_five_windows() -> None:
    rng = np.random.default_rng(0)
    found = [found_in(rng, 0.5, 5) for _ in range(60)]
    assert np.mean(np.array(found) <= 5) >= 0.95
    assert np.median(found) == 2


@pytest.mark.heavy
def test_quiet_windows_are_left_alone() -> None:
    rng, alarms, windows = np.random.default_rng(1), 0, 0
    for _ in range(6):
        reference, seen = table(rng, HELD_OUT), []
        for _ in range(25):
            seen.append(drifted(reference, table(rng, ROWS)))
            alarms += bool(standing(seen))
            windows += 1
    assert windows == 150
    assert alarms == 0


@pytest.mark.slow
def test_at_most_one_in_a_hundred_of_1000_quiet_windows_alarms() -> None:
    rng, alarms, single = np.random.default_rng(2), 0, 0
    for _ in range(20):
        reference, seen = table(rng, HELD_OUT), []
        for _ in range(50):
            seen.append(drifted(reference, table(rng, ROWS)))
            single += bool(seen[-1])
            alarms += bool(standing(seen))
    print(f"1,000 quiet windows: {single} had a signal that drifted, {alarms} alarmed")
    assert alarms <= 10
    assert single <= 20


@pytest.mark.slow
def test_a_year_without_drift_and_the_usual_rules_beside_it() -> None:
    """40 years of 52 windows: at most one alarm a year is promised."""
    rng, years = np.random.default_rng(3), []
    usual: dict[str, list[float]] = {"p < 0.05 in a column": [], "PSI >= 0.1 in a column": [], "scaled counts": []}
    for _ in range(40):
        reference, seen, alarms = table(rng, HELD_OUT), [], 0
        for _ in range(52):
            window = table(rng, ROWS)
            seen.append(drifted(reference, window))
            alarms += bool(standing(seen))
            moved = [one for one in compare(reference, window) if one.kind != EVENTS]
            usual["p < 0.05 in a column"].append(float(np.mean([one.p < 0.05 for one in moved])))
        years.append(alarms)
        for before, now in zip(reference, window, strict=True):
            if before.kind == NUMBERS:
                usual["PSI >= 0.1 in a column"].append(stability_index(before.values, now.values[:150]).value >= 0.1)
            if before.kind == NAMES:
                levels = sorted(set(before.values) | set(now.values))
                a, b = (np.array([np.sum(x == one) for one in levels]) for x in (before.values, now.values))
                kept = a > 0
                expected = a[kept] * b[kept].sum() / a[kept].sum()
                usual["scaled counts"].append(float(stats.chisquare(b[kept], expected).pvalue) < 0.05)
    print(f"alarms in 40 years without drift: {sum(years)}; flagged columns: "
          + ", ".join(f"{rule} {np.mean(hits):.1%}" for rule, hits in usual.items()))  # fmt: skip
    assert max(years) <= 1


@pytest.mark.slow
@pytest.mark.parametrize(("shift", "within", "share"), [(0.5, 5, 0.95), (0.25, 12, 0.3)])
def test_how_soon_a_shift_is_found(shift: float, within: int, share: float) -> None:
    rng = np.random.default_rng(int(shift * 100))
    found = np.array([found_in(rng, shift, within) for _ in range(200)])
    print(f"{shift:g} sd in 1 of 20 columns: median window {np.median(found):g}, 95 % {np.quantile(found, 0.95):g}")
    assert np.mean(found <= within) >= share


@pytest.mark.slow
def test_a_busy_service_still_sees_half_a_deviation() -> None:
    """A million answers a day are 1.2 million windows a year: the level is 8e-7, and half a deviation is still seen."""
    q = level(1.0, 1_000_000, 86_400.0, ROWS)
    assert q == pytest.approx(300 / 1_000_000 / 365.25)
    rng = np.random.default_rng(4)
    found = np.array([found_in(rng, 0.5, 10, q) for _ in range(100)])
    print(f"q = {q:.1e}: half a deviation in window {np.median(found):g}, 95 % {np.quantile(found, 0.95):g}")
    assert np.mean(found <= 10) >= 0.95


@pytest.mark.slow
def test_vectors_are_left_alone_and_seen() -> None:
    rng, alone, seen = np.random.default_rng(5), 0, 0
    for _ in range(100):
        reference = [Signal("v", "v", VECTORS, rng.normal(size=(HELD_OUT, 64)).astype(np.float32))]
        quiet = [Signal("v", "v", VECTORS, rng.normal(size=(ROWS, 64)).astype(np.float32))]
        moved = [Signal("v", "v", VECTORS, rng.normal(0.12, 1, (ROWS, 64)).astype(np.float32))]
        alone += bool(drifted(reference, quiet))
        seen += bool(drifted(reference, moved))
    print(f"vectors of 64: {alone} of 100 quiet windows drifted, {seen} of 100 moved ones")
    assert alone <= 3
    assert seen >= 95
