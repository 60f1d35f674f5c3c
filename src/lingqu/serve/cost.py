"""What rows cost, from the rows themselves: characters, pixels and cells, whatever the task.

A batch is padded to its longest row, so its cost is rows x longest. How many seconds that is, each model shows while it
answers; `Estimate` keeps the line through what was measured, and old measurements fade.

>>> estimate = Estimate()
>>> for rows in (1, 2, 4, 8) * 20:
...     estimate.saw(10.0 * rows, 0.001 + 0.0002 * rows)
>>> round(estimate.seconds(10.0 * 16), 4)
0.0042
"""

from __future__ import annotations

from collections.abc import Sequence

from lingqu.contract import Rows

FADE = 0.98
"""Each measurement counts so much of the one after it: about the last fifty decide."""


def costs(rows: Rows) -> list[float]:
    """The cost of each row: 1, the characters of its texts, and the pixels of its pictures.

    >>> costs(Rows({"text": ["four", None], "n": [1, 2]}))
    [5.0, 1.0]
    """
    total = [1.0] * len(rows)
    for name in rows.names:
        for place, value in enumerate(rows[name]):
            if isinstance(value, (str, bytes)):
                total[place] += len(value) if isinstance(value, str) else pixels(value)
    return total


def pixels(picture: bytes) -> float:
    """How many pixels a PNG says that it has, read from its header; for other files as many as they have bytes.

    >>> from lingqu.data.pictures import encode_png
    >>> import numpy as np
    >>> pixels(encode_png(np.zeros((4, 6), np.uint8))), pixels(b"no picture")
    (24.0, 10.0)
    """
    if picture[:8] == b"\x89PNG\r\n\x1a\n" and len(picture) >= 24:
        return float(int.from_bytes(picture[16:20], "big") * int.from_bytes(picture[20:24], "big"))
    return float(len(picture))


def bucket(cost: float) -> int:
    """Rows of one bucket differ in cost by less than a factor of two, so that padding wastes little.

    >>> bucket(1), bucket(16), bucket(17), bucket(100)
    (4, 4, 5, 7)
    """
    return max(4, (max(int(cost), 1) - 1).bit_length())


def padded(parts: Sequence[tuple[int, float]]) -> float:
    """What a batch costs, from the rows and the longest row of each of its parts.

    >>> padded([(2, 10.0), (1, 30.0)])
    90.0
    """
    return sum(rows for rows, _ in parts) * max((longest for _, longest in parts), default=0.0)


class Estimate:
    """Seconds of a batch as a line over its cost, fitted by least squares with fading weights."""

    def __init__(self) -> None:
        self._sums: list[float] = [0.0] * 5

    def saw(self, cost: float, seconds: float) -> None:
        """A batch of this cost took so long."""
        new = (1.0, cost, seconds, cost * cost, cost * seconds)
        self._sums = [FADE * old + one for old, one in zip(self._sums, new, strict=True)]

    def seconds(self, cost: float) -> float:
        """How long a batch of this cost should take; 0 while nothing was measured."""
        n, x, y, xx, xy = self._sums
        if n == 0:
            return 0.0
        spread = xx - x * x / n
        slope = max(0.0, (xy - x * y / n) / spread) if spread > 1e-9 * xx else 0.0
        # A line below zero at no cost would promise that ever smaller batches are free.
        start = y / n - slope * x / n
        if start < 0:
            start, slope = 0.0, xy / xx
        elif slope == 0.0 and cost > x / n:
            # Batches of one size say nothing of larger ones: these are taken to cost in proportion.
            return y / n * cost / (x / n)
        return start + slope * cost
