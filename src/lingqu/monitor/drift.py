"""Drift that means something: a rule that seldom alarms where nothing moved, and soon where something did.

Each signal of a window is compared with the reference: numbers by the Kolmogorov-Smirnov test, names by chi-square on the
table of counts, events by an exact test of their rate, vectors by a domain classifier. A signal drifts when its p-value,
adjusted for the number of signals (Benjamini-Hochberg), is at most q, and its effect is large enough to matter. It alarms
when it drifts in two consecutive windows.

q is 0.01, or less where there are many windows: with W windows a year, at most W q of them err, so q is at most the
number of false alarms a year that the user allows, divided by W. Asking for two windows in a row makes it rarer still.

Drift asks for labels. It never promotes and never rolls back: what moved may not matter, and what matters may not move.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lingqu.monitor.signals import EVENTS, NAMES, NUMBERS, VECTORS, Signal
from lingqu.statistics import benjamini_hochberg, chi_square, counted, domain_classifier, rate_rise, smirnov

LEVEL = 0.01
"""The largest q."""

FLOORS: Mapping[str, float] = {NUMBERS: 0.1, NAMES: 0.1, EVENTS: 0.02, VECTORS: 0.6}
"""The smallest effect that counts: KS distance, Cramér's V, rise of a rate, AUC."""

TESTS: Mapping[str, str] = {
    NUMBERS: "Kolmogorov-Smirnov",
    NAMES: "chi-square",
    EVENTS: "exact rate",
    VECTORS: "domain classifier",
}
_SAID: Mapping[str, str] = {NUMBERS: "KS distance", NAMES: "Cramér's V", EVENTS: "rise", VECTORS: "AUC"}

LEAST = 100
"""With fewer rows on either side nothing is decided about a signal."""

IN_A_ROW = 2
MOST_VECTORS = 2000
_YEAR = 365.25 * 86_400.0
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Moved:
    """One signal of one window beside the reference.

    >>> print(Moved("age", "age", "numbers", 0.231, 1e-9, 2e-8, True).sentence())
    age moved: KS distance 0.23, adjusted p < 0.0001 (Kolmogorov-Smirnov).
    """

    signal: str
    column: str
    kind: str
    effect: float
    p: float
    adjusted: float
    drifted: bool

    def sentence(self) -> str:
        """What was found, in words."""
        p = f"= {self.adjusted:.2g}" if self.adjusted >= 1e-4 else "< 0.0001"
        did = "moved" if self.drifted else "stayed"
        return f"{self.signal} {did}: {_SAID[self.kind]} {self.effect:.2f}, adjusted p {p} ({TESTS[self.kind]})."

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {**asdict(self), "test": TESTS[self.kind]}


def level(false_alarms_per_year: float, rows: int, seconds: float, size: int) -> float:
    """The q of one window, from how many rows came in how many seconds and how many make a window.

    Less than a day is taken for a day, since nobody knows a year from an hour.

    >>> level(1.0, 5_000, 10 * 86_400, 300), round(level(1.0, 3_000_000, 10 * 86_400, 300) * 1e6, 2)
    (0.0016427104722792608, 2.74)
    """
    windows = rows / max(seconds, _DAY) * _YEAR / size
    return min(LEVEL, false_alarms_per_year / windows) if windows > 0 else LEVEL


def compare(reference: Sequence[Signal], window: Sequence[Signal], q: float = LEVEL) -> list[Moved]:
    """Every signal that both have, tested and judged together; those of too few rows on either side are left out.

    >>> rng = np.random.default_rng(0)
    >>> before, now = (Signal("age", "age", NUMBERS, rng.normal(shift, 1, 500)) for shift in (0.0, 0.5))
    >>> [(one.signal, one.drifted) for one in compare([before], [now])]
    [('age', True)]
    """
    before = {signal.name: signal for signal in reference}
    pairs = [
        (before[now.name], now)
        for now in window
        if now.name in before and now.kind == before[now.name].kind and min(len(now), len(before[now.name])) >= LEAST
    ]
    found = [_TESTS[now.kind](old.values, now.values) for old, now in pairs]
    adjusted = benjamini_hochberg([p for _, p in found])
    return [
        Moved(
            now.name,
            now.column,
            now.kind,
            round(float(effect), 6),
            float(p),
            float(corrected),
            bool(corrected <= q and effect >= FLOORS[now.kind]),
        )
        for (_, now), (effect, p), corrected in zip(pairs, found, adjusted, strict=True)
    ]


def standing(windows: Sequence[Sequence[str]]) -> list[str]:
    """The signals that drifted in each of the last two windows, given the names of those that drifted in each.

    >>> standing([["age"], ["age", "job"], ["age"]]), standing([["age"]]), standing([["age"], []])
    (['age'], [], [])
    """
    if len(windows) < IN_A_ROW:
        return []
    return sorted(set.intersection(*(set(names) for names in windows[-IN_A_ROW:])))


def _numbers(before: Any, now: Any) -> tuple[float, float]:
    found = smirnov(before, now)
    return found.distance, found.p


def _names(before: Any, now: Any) -> tuple[float, float]:
    found = chi_square(*counted(before, now))
    return found.effect, found.p


def _events(before: Any, now: Any) -> tuple[float, float]:
    found = rate_rise(int(np.sum(before)), len(before), int(np.sum(now)), len(now))
    return found.now - found.before, found.p


def _vectors(before: Any, now: Any) -> tuple[float, float]:
    # No permutation could give a p-value as small as many signals and many windows ask for.
    found = domain_classifier(before, now, repeats=0, most=MOST_VECTORS)
    return found.auc, found.p_ranks


_TESTS: Mapping[str, Callable[[Any, Any], tuple[float, float]]] = {
    NUMBERS: _numbers,
    NAMES: _names,
    EVENTS: _events,
    VECTORS: _vectors,
}
