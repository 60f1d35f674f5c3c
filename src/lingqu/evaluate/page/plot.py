"""Line plots as SVG: axes with round ticks, bands, lines, points, and names that do not lie on each other.

>>> axes = Axes(Scale(0.0, 1.0), Scale(0.0, 10.0))
>>> axes.at(0.5, 5.0), ticks(Scale(0.0, 10.0), 5)
((222.0, 110.0), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any

from lingqu.evaluate.page.markup import Markup, el

LEFT, RIGHT, TOP, BOTTOM = 48, 4, 10, 44
LETTER, LINE_HIGH = 7.0, 15.0
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Scale:
    """A range of values that pictures share; `log` counts powers of ten.

    >>> Scale(0.5, 1.0).at(0.75), Scale(1.0, 100.0, log=True).at(10.0)
    (50.0, 50.0)
    """

    low: float
    high: float
    log: bool = False

    def at(self, value: float) -> float:
        """Where a value lies, in percent, kept within the picture."""
        low, high, value = (log10(max(v, 1e-12)) if self.log else v for v in (self.low, self.high, value))
        return round(min(100.0, max(0.0, 100 * (value - low) / (high - low))), 3) if high > low else 50.0


@dataclass(frozen=True, slots=True)
class Axes:
    """A picture's frame: what lies where, in the units of the SVG.

    >>> Axes(Scale(0, 1), Scale(0, 1), width=400, height=240).at(0, 0)
    (48.0, 196.0)
    """

    x: Scale
    y: Scale
    width: float = 400
    height: float = 254

    def at(self, x: float, y: float) -> Point:
        """The place of a value."""
        right, base = self.width - RIGHT - LEFT, self.height - TOP - BOTTOM
        return round(LEFT + right * self.x.at(x) / 100, 1), round(TOP + base * (1 - self.y.at(y) / 100), 1)

    def frame(
        self,
        x_name: str,
        y_name: str,
        *,
        x_text: Callable[[float], str] = "{:g}".format,
        y_text: Callable[[float], str] = "{:g}".format,
        most: int = 5,
    ) -> list[Markup]:
        """Grid, ticks and the names of both axes."""
        base, right = self.height - BOTTOM, self.width - RIGHT
        parts: list[Markup] = []
        for value in ticks(self.y, most):
            y = self.at(self.x.low, value)[1]
            parts.append(el("line", cls="grid", x1=LEFT, y1=y, x2=right, y2=y))
            parts.append(el("text", y_text(value), x=LEFT - 7, y=y + 4, text_anchor="end"))
        for value in ticks(self.x, most):
            x = self.at(value, self.y.low)[0]
            parts.append(el("line", cls="grid", x1=x, y1=TOP, x2=x, y2=base))
            anchor = "end" if x > right - 8 else "middle"
            parts.append(el("text", x_text(value), x=x, y=base + 17, text_anchor=anchor))
        parts.append(el("text", x_name, cls="axis-name", x=right, y=base + 36, text_anchor="end"))
        parts.append(el("text", y_name, cls="axis-name", x=0, y=TOP - 16))
        return parts

    def line(self, xs: Sequence[float], ys: Sequence[float], cls: str) -> Markup:
        """A line through these points."""
        return el("polyline", cls=cls, points=" ".join(f"{x:g},{y:g}" for x, y in map(self.at, xs, ys)))

    def band(self, xs: Sequence[float], low: Sequence[float], high: Sequence[float], cls: str = "band") -> Markup:
        """The area between two lines."""
        there = [*map(self.at, xs, high)]
        back = [*map(self.at, xs, low)][::-1]
        return el("polygon", cls=cls, points=" ".join(f"{x:g},{y:g}" for x, y in [*there, *back]))

    def dot(self, x: float, y: float, cls: str = "point", size: float = 5.5) -> Markup:
        """A point."""
        cx, cy = self.at(x, y)
        return el("circle", cls=cls, cx=cx, cy=cy, r=size)

    def whisker(self, x: float, low: float, high: float) -> Markup:
        """An upright interval."""
        (left, top), (_, base) = self.at(x, high), self.at(x, low)
        return el("line", cls="whisker", x1=left, x2=left, y1=top, y2=base)

    def names(self, points: Sequence[tuple[float, float, str, str]]) -> list[Markup]:
        """Names beside their points (x, y, name, class): to the left where the right has no room, and apart."""
        taken: list[tuple[float, float, float]] = []
        parts: list[Markup] = []
        for x, y, name, cls in sorted(points, key=lambda point: -self.at(point[0], point[1])[1]):
            px, py = self.at(x, y)
            long = sum(2 if ord(letter) > 0x2E80 else 1 for letter in name) * LETTER
            left = px + 11 + long > self.width
            start = px - 11 - long if left else px + 11
            level = py + 4
            while any(
                abs(level - other) < LINE_HIGH and start < end and begin < start + long for begin, end, other in taken
            ):
                level -= 3
            taken.append((start, start + long, level))
            where = {"x": round(px - 11 if left else px + 11, 1), "y": round(level, 1)}
            parts.append(el("text", name, cls=f"name {cls}".strip(), text_anchor="end" if left else "start", **where))
        return parts

    def picture(self, said: str, *parts: Any) -> Markup:
        """The finished SVG, with a sentence for those who cannot see it."""
        box = f"0 -20 {self.width:g} {self.height + 20:g}"
        return el("svg", *parts, viewBox=box, role="img", aria_label=said)


def ticks(scale: Scale, most: int = 5) -> list[float]:
    """Round values within a scale, at most about so many; of a logarithmic one the powers of ten.

    >>> ticks(Scale(0.1, 1000.0, log=True)), ticks(Scale(0.87, 0.95), 4)
    ([0.1, 1.0, 10.0, 100.0, 1000.0], [0.88, 0.9, 0.92, 0.94])
    """
    if scale.log:
        low, high = ceil(log10(scale.low) - 1e-9), floor(log10(scale.high) + 1e-9)
        every = max(1, ceil((high - low) / 6))
        return [10.0**power for power in range(low, high + 1, every)]
    width = scale.high - scale.low
    if width <= 0:
        return [scale.low]
    rough = width / max(1, most)
    power = 10 ** floor(log10(rough))
    step = next(power * k for k in (1, 2, 5, 10) if power * k >= rough * 0.999)
    first = ceil(scale.low / step - 1e-9)
    return [float(round(step * i, 12)) for i in range(first, floor(scale.high / step + 1e-9) + 1)]


def around(values: Sequence[float], share: float = 0.08) -> Scale:
    """A linear scale with a little room beyond these values.

    >>> around([1.0, 2.0], 0.1)
    Scale(low=0.9, high=2.1, log=False)
    """
    room = (max(values) - min(values)) * share or abs(max(values)) * 0.1 or 1.0
    return Scale(min(values) - room, max(values) + room)


def powers(values: Sequence[float]) -> Scale:
    """A logarithmic scale from one power of ten below these values to one above; zeros count as the smallest other.

    >>> powers([3.0, 250.0])
    Scale(low=1.0, high=1000.0, log=True)
    """
    known = [value for value in values if value > 0] or [1.0]
    low, high = floor(log10(min(known))), ceil(log10(max(known)))
    return Scale(10.0**low, 10.0 ** max(high, low + 1), log=True)
