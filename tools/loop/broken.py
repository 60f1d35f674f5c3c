"""P4: after how many audit labels a broken champion is rolled back, and how often a sound one is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lingqu.monitor.risk import LEAST, risk
from lingqu.statistics import risk_evalues
from lingqu.statistics.live_risk import ACT
from tools.loop.draw import bars
from tools.loop.record import Proof, Row, of

RUNS, HELD_OUT, RIGHT, TOLERANCE = 1000, 2000, 1800, 0.02
WINDOW, SOUND_LABELS = 50, 5000
ERRORS = (0.5, 0.3, 0.2)
Floats = NDArray[np.floating[Any]]


def prove(_: Path) -> Proof:
    """Draw labels of a champion that errs so often, and count them until each rule acts."""
    found = risk([], held_out_right=RIGHT, held_out=HELD_OUT, tolerance=TOLERANCE)
    assert found is not None
    limit, rows, drawn = found.limit, [], ([], [])
    told: dict[str, Any] = {"limit": limit}
    for error in ERRORS:
        ours, theirs = (_labels(rule, error, limit, 3000) for rule in (_ours, _moving))
        # The function of the product itself says the same on some of the runs.
        assert all(_agrees(run, error, ours[run]) for run in range(0, 50, 10))
        broken = error == 0.5
        rows.append(
            Row(
                f"errs on {100 * error:.0f} %: audit labels until it is rolled back, median / 9 of 10 runs",
                _spread(ours),
                f"mean of the last {WINDOW} labels above the limit",
                _spread(theirs),
                "median <= 20" if broken else "",
                bool(np.median(ours) <= 20) if broken else None,
            )
        )
        told[f"{error}"] = {"ours": float(np.median(ours)), "theirs": float(np.median(theirs))}
        drawn[0].append(float(np.median(ours)))
        drawn[1].append(float(np.median(theirs)))
    for error in (0.10, limit):
        ours, theirs = (
            int(np.isfinite(_labels(rule, error, limit, SOUND_LABELS, runs=300)).sum()) for rule in (_ours, _moving)
        )
        what = "as on held-out rows (10 %)" if error == 0.10 else f"exactly at its limit ({100 * limit:.1f} %)"
        rows.append(
            Row(
                f"errs {what}: rolled back within {SOUND_LABELS:,} labels",
                of(ours, 300),
                f"mean of the last {WINDOW} labels above the limit",
                of(theirs, 300),
                "<= 1 %",
                ours / 300 <= 0.01,
            )
        )
        told[f"sound at {error:.3f}"] = {"ours": ours, "theirs": theirs}
    return Proof(
        "P4. A broken champion",
        rows,
        [
            (f"The champion erred on 10 % of {HELD_OUT:,} held-out rows; the limit that `lingqu.monitor.risk` draws from it "
            f"(upper bound plus a tolerance of {100 * TOLERANCE:.0f} points) is {100 * limit:.1f} %. Labels of the audit "
            "sample are drawn with the stated error, and the rollback comes where the e-process reaches 100 (alpha 0.01) "
            f"with at least {LEAST} labels: the rule by which `lingqu.feedback.guard` rolls back a champion on probation. "
            "That the whole of it works on a real store, once and without flapping, is "
            "`tests/feedback/test_guard.py`. A version that fails to load, or whose answers differ from its golden ones, "
            "never goes live, and one whose requests fail is put back by the service itself within seconds: "
            "`tests/serve/test_candidates.py` and `tests/serve/test_challengers.py`."),
        ],
        {"loop-broken": bars(
            "Audit labels until a bad champion is rolled back (median)",
            [f"errs on {100 * e:.0f} %" for e in ERRORS],
            [("lingqu", drawn[0]), (f"mean of the last {WINDOW}", drawn[1])], up="labels",
        )},
        "Median number of labels until a champion is rolled back that errs on 50, 30 and 20 per cent.",
        told,
    )  # fmt: skip


def _losses(run: int, error: float, labels: int) -> Floats:
    return (np.random.default_rng([run, int(1e4 * error)]).random(labels) < error) * 1.0


def _ours(losses: Floats, limit: float) -> float:
    reached = risk_evalues(losses.astype(float), limit) >= -np.log(ACT)
    return float(max(reached.argmax() + 1, LEAST)) if reached.any() else np.inf


def _moving(losses: Floats, limit: float) -> float:
    means = np.convolve(losses, np.ones(WINDOW), "valid") / WINDOW
    reached = means > limit
    return float(reached.argmax() + WINDOW) if reached.any() else np.inf


def _agrees(run: int, error: float, at: float) -> bool:
    """Whether `risk` itself acts after so many labels and not one before."""
    if not np.isfinite(at):
        return True
    right = [not loss for loss in _losses(run, error, 3000)]
    asked = (
        risk(right[: int(labels)], held_out_right=RIGHT, held_out=HELD_OUT, tolerance=TOLERANCE)
        for labels in (at - 1, at)
    )
    levels = [one.level for one in asked if one is not None]
    return levels[1] == "act" and (levels[0] != "act" or at == LEAST)


Rule = Callable[[Floats, float], float]


def _labels(rule: Rule, error: float, limit: float, labels: int, *, runs: int = RUNS) -> Floats:
    return np.array([rule(_losses(run, error, labels), limit) for run in range(runs)])


def _spread(values: Floats) -> str:
    median, most = np.quantile(values, [0.5, 0.9])
    return f"{median:,.0f} / {most:,.0f}"
