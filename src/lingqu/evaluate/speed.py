"""How fast a bundle answers and loads, and how large it is: measured here, on this machine, by the clock."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from lingqu.contract import Rows
from lingqu.statistics import percentile

SINGLE_ROWS = 100
MOST_SECONDS = 2.0
WARM_UP = 3
LOADS = 3


def latency(bundle: Any, rows: Rows) -> dict[str, Any]:
    """The time of one answer at a time, in milliseconds: median and 95th percentile, each with its interval."""
    if len(rows) == 0:
        return {"rows": 0}
    places = np.linspace(0, len(rows) - 1, min(SINGLE_ROWS, len(rows))).astype(int)
    singles = [rows.take([int(place)]) for place in places]
    # The first answers pay for memory that later ones reuse.
    for single in singles[:WARM_UP]:
        bundle.predict(single)
    times: list[float] = []
    began = perf_counter()
    for single in singles:
        start = perf_counter()
        bundle.predict(single)
        times.append((perf_counter() - start) * 1000)
        if perf_counter() - began > MOST_SECONDS:
            break
    measured = np.array(times)
    return {"rows": len(times), **_quantile("p50", measured, 0.5), **_quantile("p95", measured, 0.95)}


def _quantile(name: str, times: np.ndarray[Any, np.dtype[np.float64]], share: float) -> dict[str, float]:
    drawn = np.random.default_rng(0).choice(times, (500, len(times)))
    low, high = percentile(np.quantile(drawn, share, axis=1))
    return {f"{name}_ms": float(np.quantile(times, share)), f"{name}_low": low, f"{name}_high": high}


def load_ms(bundle: Any) -> float:
    """The median time to open the bundle, hashes checked, in milliseconds."""
    times: list[float] = []
    for _ in range(LOADS):
        start = perf_counter()
        type(bundle).open(bundle.path)
        times.append((perf_counter() - start) * 1000)
    return float(np.median(times))


def size_bytes(path: Path) -> int:
    """The size of all files of a bundle.

    >>> folder = getfixture("tmp_path")
    >>> _ = (folder / "model.onnx").write_bytes(b"12345")
    >>> size_bytes(folder)
    5
    """
    return sum(file.stat().st_size for file in Path(path).rglob("*") if file.is_file())
