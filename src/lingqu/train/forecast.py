"""What a recipe should reach and cost on all rows, foretold from what it did on two parts of them.

A point holds `rows`, `error` (1 - score, or the error itself), `learning` (seconds to encode and fit), `peak_mib` (the
most memory that the process held meanwhile), `array_bytes` (the encoded rows), `disk_bytes` (what it would keep), `room`
(how many times larger it can get: a vocabulary ends somewhere), `judged` (the rows that gave the error) and, when it was
trained in steps, `looped`.

>>> points = [
...     {"rows": 500, "error": 0.2, "learning": 1.0, "peak_mib": 300.0, "array_bytes": 1 << 20, "disk_bytes": 4000},
...     {"rows": 1000, "error": 0.16, "learning": 2.0, "peak_mib": 301.0, "array_bytes": 2 << 20, "disk_bytes": 4000},
... ]
>>> forecast(points, 8000)
{'error': 0.097, 'slope': 0.2406, 'noise': 0.0, 'seconds': 16.0, 'memory_mib': 343.0, 'disk_bytes': 4000}
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Point = Mapping[str, Any]

STEEPEST, USUAL_SLOPE, POINTS_SHARE = 0.35, 0.2, 1 / 3
"""Errors fall with rows as n^-b, b from 0.05 to 0.35 (Hestness et al. 2017). Two points tell b badly: judged by a
thousand rows it has a standard error as large as its whole range, so two thirds are the middle of that range."""
FLATTEST = 0.5
"""So much of the seconds for the larger part at least is believed to grow with the rows."""
COPIES = 3
"""How often the encoded rows are held at once while a model learns from them."""


def forecast(points: Sequence[Point], rows: int) -> dict[str, Any]:
    """Error, seconds, memory (MiB) and disk (bytes) of a recipe on so many rows."""
    small, large = points[0], points[-1]
    seen = _power(small, large, "error", -1, STEEPEST)
    slope = POINTS_SHARE * seen + (1 - POINTS_SHARE) * USUAL_SLOPE
    more = rows / large["rows"]
    return {
        "error": round(large["error"] * more**-slope, 4),
        "slope": round(slope, 4),
        "noise": round(_noise(large), 4),
        "seconds": round(_seconds(small, large, rows), 1),
        "memory_mib": round(large["peak_mib"] + _mib_a_row(small, large) * (rows - large["rows"]), 1),
        "disk_bytes": int(large["disk_bytes"] * min(_growth(small, large, more), large.get("room", math.inf))),
    }


def sentence(told: Mapping[str, Any]) -> str:
    """A forecast in words.

    >>> sentence({"seconds": 95.0, "memory_mib": 612.0, "disk_bytes": 3_400_000})
    'should take about 1.6 min, 612 MiB of memory and 3.4 MB of disk'
    """
    seconds = told["seconds"]
    time = f"{seconds / 60:.1f} min" if seconds >= 90 else f"{seconds:.0f} s"
    return f"should take about {time}, {told['memory_mib']:.0f} MiB of memory and {told['disk_bytes'] / 1e6:.1f} MB of disk"


def _power(small: Point, large: Point, name: str, sign: int, most: float) -> float:
    """The exponent b, at least 0, with which a value grows (`sign` 1) or falls (-1) as rows^b between two points.

    The error is taken to fall as a power of the rows (Hestness et al. 2017, "Deep Learning Scaling is Predictable,
    Empirically").
    """
    wider = math.log(large["rows"] / small["rows"])
    found = sign * math.log(max(large[name], 1e-9) / max(small[name], 1e-9)) / wider if wider else 0.0
    return min(max(0.0, found), most)


def _noise(large: Point) -> float:
    """The standard error of the difference of two such errors as a share of them: of e n wrong answers, sqrt(2 / (e n))."""
    judged = large.get("judged", 0)
    return math.sqrt(2 / (judged * min(max(large["error"], 1 / judged), 1.0))) if judged else 0.0


def _growth(small: Point, large: Point, more: float) -> float:
    """How many times more is kept with so many times the rows, if it goes on as between the two points."""
    return more ** _power(small, large, "disk_bytes", 1, 1.0)


def _mib_a_row(small: Point, large: Point) -> float:
    """How much memory a row more takes: copies of what is encoded of it, or what it was seen to take in a loop.

    What steps allocate and free leaves gaps, more of them with each new length of a batch; a fit without steps has few,
    and two points of it differ by chance.
    """
    held = COPIES * large["array_bytes"] / large["rows"] / (1 << 20)
    wider = large["rows"] - small["rows"]
    return max(held, (large["peak_mib"] - small["peak_mib"]) / wider) if large.get("looped") and wider else held


def _seconds(small: Point, large: Point, rows: int) -> float:
    """Seconds along the line through both points: what does not grow with the rows is not multiplied."""
    mean = large["learning"] / large["rows"]
    wider = large["rows"] - small["rows"]
    each = (large["learning"] - small["learning"]) / wider if wider else mean
    each = min(max(each, FLATTEST * mean), mean)
    return large["learning"] + each * (rows - large["rows"])
