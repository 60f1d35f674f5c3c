"""P3: how many labels a better challenger needs in shadow, and how often one that is no better wins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lingqu.registry.alpha import alpha_of
from lingqu.statistics import sign_evalues
from tools.loop.draw import Line, lines
from tools.loop.news import pair
from tools.loop.record import Proof, Row, of

RUNS, MOST, ALPHA, PEEK = 1000, 20_000, 0.05, 50
LEADS = (0.02, 0.03, 0.05)
IN_A_ROW, EACH = 30, 1000
Floats = NDArray[np.float64]


def prove(data: Path) -> Proof:
    """Deal pairs with a known lead from the answers of two real models, and count labels until each test decides."""
    held = pair(data)
    first, second = held.right(held.first), held.right(held.second)
    both, differs = float(np.mean(first & second)), held.discordance
    told: dict[str, Any] = {"discordance": differs, "both_right": both}
    rows: list[Row] = []
    curves: list[Line] = []
    for lead in LEADS:
        found = {name: _labels(test, lead, both, differs) for name, test in TESTS.items()}
        goal = "fewer"
        ours = found["shadow"]
        rows.append(
            Row(
                f"+{100 * lead:.0f} points: labels to a promotion, median / 8 of 10 runs",
                _spread(ours),
                "A/B 50:50, mSPRT",
                _spread(found["msprt"]),
                goal,
                bool(np.quantile(ours, 0.8) < np.quantile(found["msprt"], 0.8)),
            )
        )
        told[f"{lead}"] = {name: [float(np.quantile(v, q)) for q in (0.5, 0.8)] for name, v in found.items()}
        if lead == 0.03:
            curves = [Line(NAMES[name], _by_then(values)) for name, values in found.items()]
    equal = {name: int(np.isfinite(_labels(test, 0.0, both, differs)).sum()) for name, test in TESTS.items()}
    told["equal"] = equal
    for name, rule in (("peeking", "paired z-test, looked at every 50 labels"), ("msprt", "A/B 50:50, mSPRT")):
        goal = "<= 5 %" if name == "peeking" else ""
        rows.append(
            Row(
                f"no better: promoted within {MOST:,} labels",
                of(equal["shadow"], RUNS),
                rule,
                of(equal[name], RUNS),
                goal,
                equal["shadow"] <= ALPHA * RUNS if goal else None,
            )
        )
    ours, once = _in_a_row(differs)
    told["in a row"] = [ours, once]
    rows.append(
        Row(
            f"{IN_A_ROW} in a row that are no better, {EACH:,} labels each, one budget (`proof: unseen`): any promotion",
            of(ours, RUNS),
            "paired z-test, looked at once",
            of(once, RUNS),
            "<= 5 %",
            ours <= ALPHA * RUNS,
        )
    )
    return Proof(
        "P3. A better challenger in shadow",
        rows,
        [
            ("Champion and challenger are dealt from the answers of two real models of AG News, which disagree in being "
            f"right on {100 * differs:.1f} % of the test rows: where exactly one is right, the challenger is with a "
            "probability that gives the lead. Every label is seen by both models (shadow), and `sign_evalues` of "
            "`lingqu.statistics`, the sequential sign test, may be looked at after each. An A/B test shows each row to "
            "one of the two. Its mSPRT (normal mixture, of the spread 0.03, which suits a lead of three points best) "
            f"stays valid too. {RUNS:,} runs each, alpha {ALPHA}, at most {MOST:,} labels. Where the proof is left to the "
            "shadow, the k-th challenger against one champion may spend alpha / (k (k + 1)); the last row lets each of "
            "thirty try, and the usual rule tests each at alpha."),
        ],
        {"loop-shadow": lines(
            "A challenger three points better: runs that have promoted it", GRID, curves,
            across="labels", up="share of runs", y_range=(0.0, 1.0),
        )},
        "The share of runs that promoted a challenger three points better, over the number of labels: the sign test in shadow needs several times fewer than an A/B test.",
        told,
    )  # fmt: skip


def _in_a_row(differs: float) -> tuple[int, int]:
    """In how many runs any of thirty equal challengers is promoted, by one budget for all, and by a test of each."""
    rng, rows = np.random.default_rng(7), round(EACH * differs)
    ours, once = np.zeros(RUNS, dtype=bool), np.zeros(RUNS, dtype=bool)
    for number in range(1, IN_A_ROW + 1):
        won = rng.random((RUNS, rows)) < 0.5
        ours |= sign_evalues(won).max(axis=-1) >= -np.log(alpha_of(number, ALPHA))
        once |= (2 * won.sum(1) - rows) / np.sqrt(rows) > NormalDist().inv_cdf(1 - ALPHA)
    return int(ours.sum()), int(once.sum())


GRID = list(range(0, 8001, 100))


def _by_then(values: Floats) -> list[float]:
    return [float(np.mean(values <= labels)) for labels in GRID]


def _spread(values: Floats) -> str:
    median, most = np.quantile(values, [0.5, 0.8])
    return f"{median:,.0f} / {most:,.0f}" if np.isfinite(most) else f"{median:,.0f} / more than {MOST:,}"


def _sign(rng: np.random.Generator, lead: float, both: float, differs: float) -> float:
    draw = rng.random(MOST)
    discordant = np.flatnonzero(draw < differs)
    reached = sign_evalues(draw[discordant] < (differs + lead) / 2) >= -np.log(ALPHA)
    return float(discordant[reached.argmax()] + 1) if reached.any() else np.inf


def _peeking(rng: np.random.Generator, lead: float, both: float, differs: float) -> float:
    draw = rng.random(MOST)
    step = np.where(draw < (differs + lead) / 2, 1, np.where(draw < differs, -1, 0))
    total, spread = np.cumsum(step)[PEEK - 1 :: PEEK], np.sqrt(np.cumsum(step**2)[PEEK - 1 :: PEEK])
    reached = total > NormalDist().inv_cdf(1 - ALPHA) * np.maximum(spread, 1e-9)
    return float((reached.argmax() + 1) * PEEK) if reached.any() else np.inf


def _msprt(rng: np.random.Generator, lead: float, both: float, differs: float, tau: float = 0.03) -> float:
    """Two arms of single answers; the mixture likelihood ratio of Johari et al. 2017 (KDD), one-sided by the sign."""
    half = MOST // 2
    middle = both + differs / 2
    old, new = (np.cumsum(rng.random(half) < middle + part) for part in (-lead / 2, lead / 2))
    count = np.arange(1, half + 1)
    gap, mean = (new - old) / count, (new + old) / (2 * count)
    variance = np.maximum(2 * mean * (1 - mean), 1e-6) / count
    ratio = 0.5 * np.log(variance / (variance + tau**2)) + gap**2 * tau**2 / (2 * variance * (variance + tau**2))
    # The mixture is two-sided; a half of it bets on the challenger.
    reached = (ratio >= np.log(1 / (2 * ALPHA))) & (gap > 0) & (count >= 10)
    return float(2 * (reached.argmax() + 1)) if reached.any() else np.inf


Test = Callable[[np.random.Generator, float, float, float], float]
TESTS: dict[str, Test] = {"shadow": _sign, "msprt": _msprt, "peeking": _peeking}
NAMES = {
    "shadow": "lingqu: shadow, sign test",
    "msprt": "A/B 50:50, mSPRT",
    "peeking": "paired z-test, peeking (invalid)",
}


def _labels(test: Test, lead: float, both: float, differs: float) -> Floats:
    return np.array([test(np.random.default_rng([run, int(1000 * lead)]), lead, both, differs) for run in range(RUNS)])
