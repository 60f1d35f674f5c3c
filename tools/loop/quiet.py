"""P1: years of real rows in which nothing moves, and how often each rule of drift alarms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lingqu.contract import Rows
from lingqu.monitor.drift import LEVEL, compare, standing
from lingqu.monitor.signals import EVENTS, NUMBERS, Signal, of_columns
from lingqu.statistics import stability_index
from tools.loop.draw import bars
from tools.loop.record import Proof, Row, percent

YEARS, WINDOWS, ROWS, HELD_OUT = 20, 52, 300, 2000
PSI = 0.1


def prove(data: Path) -> Proof:
    """Shuffle the rows of Adult, so that nothing moves, and look at 52 windows a year."""
    rows, kinds, known = _people(data)
    years = [_year(rows, kinds, known, seed) for seed in range(YEARS)]
    alarms = [year["ours"] for year in years]
    windows = YEARS * WINDOWS
    theirs = {name: sum(year[name] for year in years) for name in ("tests", "psi")}
    shares = {name: float(np.mean([year[f"{name} columns"] for year in years])) for name in ("tests", "psi")}
    told = {"alarms a year": alarms, "windows that alarm": theirs, "columns that are flagged": shares}
    names = {"tests": "a column with p < 0.05", "psi": "a column with PSI >= 0.1"}
    return Proof(
        "P1. Years in which nothing moves",
        [
            Row(
                f"alarms in {YEARS} years without drift (mean a year, most in a year)",
                f"{np.mean(alarms):.2f}, {max(alarms)}",
                rule,
                f"{theirs[name] / YEARS:.1f} of {WINDOWS} windows a year; {percent(shares[name])} of columns flagged",
                "<= 1 a year",
                max(alarms) <= 1,
            )
            for name, rule in names.items()
        ],
        [
            (f"The rows of Adult are shuffled anew for each year: {HELD_OUT:,} are the reference, and {WINDOWS} windows of "
            f"{ROWS} rows follow, {windows:,} in all, none of which differs from the reference but by chance. lingqu: "
            "`monitor.drift.compare` on all signals of all columns at the default level, and `standing`, which alarms at the "
            "second window in a row. Beside it, on the same windows: the usual test of each column (Kolmogorov and Smirnov "
            "for numbers, chi-square for categories) at 0.05, and the stability index with ten bins at 0.1. That a change is "
            "seen, on texts in two languages, a table and pictures, is `tests/monitor/test_real_streams.py`."),
        ],
        {"loop-quiet": bars(
            "Windows a year that raise an alarm while nothing moves (of 52)", ["per year"],
            [("lingqu", [float(np.mean(alarms))]), *((rule, [theirs[name] / YEARS]) for name, rule in names.items())],
            up="alarms a year",
        )},
        "Alarms a year without drift: none or nearly none with lingqu, most windows with the usual rules.",
        told,
    )  # fmt: skip


def _people(data: Path) -> tuple[Rows, dict[str, str], dict[str, list[str]]]:
    import pyarrow.parquet

    read = pyarrow.parquet.read_table(data / "adult" / "train.parquet").to_pydict()
    kinds = {
        name: "number" if isinstance(values[0], int | float) else "category"
        for name, values in read.items()
        if name != "income"
    }
    known = {name: sorted({str(v) for v in read[name]}) for name, kind in kinds.items() if kind == "category"}
    return Rows(read).select(kinds), kinds, known


def _year(rows: Rows, kinds: Mapping[str, str], known: Mapping[str, list[str]], seed: int) -> dict[str, Any]:
    order = np.random.default_rng(seed).permutation(len(rows))
    reference = of_columns(rows.take(order[:HELD_OUT].tolist()), kinds, known)
    seen: list[list[str]] = []
    told: dict[str, Any] = {"ours": 0, "tests": 0, "psi": 0, "tests columns": [], "psi columns": []}
    for number in range(WINDOWS):
        places = order[HELD_OUT + number * ROWS : HELD_OUT + (number + 1) * ROWS]
        window = of_columns(rows.take(places.tolist()), kinds, known)
        found = compare(reference, window, LEVEL)
        seen.append([one.signal for one in found if one.drifted])
        told["ours"] += bool(standing(seen))
        tests = [one.p < 0.05 for one in found if one.kind != EVENTS]
        stable = [
            _psi(before, now) >= PSI for before, now in zip(reference, window, strict=True) if now.kind == NUMBERS
        ]
        for name, flags in (("tests", tests), ("psi", stable)):
            told[name] += any(flags)
            told[f"{name} columns"].append(float(np.mean(flags)))
    return {name: float(np.mean(value)) if isinstance(value, list) else value for name, value in told.items()}


def _psi(before: Signal, now: Signal) -> float:
    return stability_index(before.values, now.values).value
