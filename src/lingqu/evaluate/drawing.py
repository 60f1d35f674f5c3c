"""Small pictures for the page: intervals as lines of HTML, scatters as SVG. Every picture says in words what it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from typing import Any

from lingqu.evaluate.markup import Markup, el
from lingqu.evaluate.wording import between, measured


@dataclass(frozen=True, slots=True)
class Scale:
    """A range of values that pictures share.

    >>> Scale(0.5, 1.0).at(0.75)
    50.0
    """

    low: float
    high: float

    def at(self, value: float) -> float:
        """Where a value lies, in percent, kept within the picture."""
        width = self.high - self.low
        return round(min(100.0, max(0.0, 100 * (value - self.low) / width)), 3) if width > 0 else 50.0


def scale_of(values: Sequence[float | None], *, bounded: bool) -> Scale:
    """Round ends around these values; a bounded scale ends at 1, an unbounded one starts at 0.

    >>> scale_of([0.93, 0.96], bounded=True), scale_of([12.0, 48.0], bounded=False)
    (Scale(low=0.9, high=1.0), Scale(low=0.0, high=50.0))
    """
    known = [value for value in values if value is not None] or [0.0]
    if bounded:
        return Scale(floor((min(known) - 0.005) * 10) / 10, 1.0)
    top, least = max(*known, 1e-9), min(0.0, *known)
    step = 10 ** floor(log10(top - least)) / 2
    return Scale(floor(least / step) * step, ceil(top / step) * step)


def track(
    one: Mapping[str, Any], scale: Scale, *, ticks: Mapping[str, float] | None = None, line: float | None = None
) -> Markup:
    """A value and its interval on a line; ticks are other models, the dashed line is something to compare with."""
    parts: list[Markup] = []
    if line is not None:
        parts.append(el("i", cls="line", style=f"left:{scale.at(line)}%"))
    for name, value in (ticks or {}).items():
        parts.append(el("i", cls="tick", style=f"left:{scale.at(value)}%", title=f"{name}: {measured(value)}"))
    if one.get("low") is not None and one.get("high") is not None:
        left, right = scale.at(one["low"]), scale.at(one["high"])
        parts.append(el("i", cls="span", style=f"left:{left}%;width:{round(right - left, 3)}%"))
    if one.get("value") is not None:
        parts.append(el("i", cls="dot", style=f"left:{scale.at(one['value'])}%"))
    said = f"{measured(one.get('value'))}, {between(one)}"
    return el("div", *parts, cls="track", role="img", aria_label=said)


def row(name: Any, note: Any, picture: Markup, one: Mapping[str, Any], cls: str = "") -> Markup:
    """One line of a list: what, picture, value with its interval."""
    return el(
        "div",
        el("div", el("b", name), el("small", note) if note else None, cls="name"),
        picture,
        el("div", el("b", measured(one.get("value"))), el("small", between(one)), cls="num"),
        cls=f"row {cls}".strip(),
    )


def ends(scale: Scale) -> Markup:
    """The ends of a scale, above the lines that share it."""
    return el(
        "div",
        el("div"),
        el("div", el("span", f"{scale.low:g}"), el("span", f"{scale.high:g}"), cls="ends"),
        el("div"),
        cls="scale",
        aria_hidden="true",
    )


SIDE, LEFT, BOTTOM = 360, 40, 40


def reliability(bins: Sequence[Mapping[str, Any]]) -> Markup:
    """How often answers of each confidence are right, with intervals, against the diagonal of perfect honesty."""
    side = SIDE - LEFT
    filled = [one for one in bins if one["rows"]]
    most = max((one["rows"] for one in filled), default=1)
    parts = [*_frame(side), _svg("line", "ideal", x1=LEFT, y1=side, x2=SIDE, y2=0)]
    for one in filled:
        x = LEFT + side * one["confidence"]
        right = one["accuracy"]
        height = round(56 * one["rows"] / most, 1)
        bar = LEFT + side * one["low"] + 2
        parts.append(
            _svg("rect", "bar", x=round(bar, 1), y=round(side - height, 1), width=side / 10 - 4, height=height)
        )
        parts.append(
            _svg(
                "line",
                "whisker",
                x1=_r(x),
                x2=_r(x),
                y1=_r(side * (1 - right["low"])),
                y2=_r(side * (1 - right["high"])),
            )
        )
        parts.append(_svg("circle", "point", cx=_r(x), cy=_r(side * (1 - right["value"])), r=6))
    parts.append(el("text", "confidence", x=SIDE, y=side + 36, text_anchor="end"))
    parts.append(el("text", "share right", x=LEFT, y=-14))
    said = ", ".join(f"at {one['confidence']:.2f}: {one['accuracy']['value']:.2f}" for one in filled)
    return _picture(f"Share right by confidence, {said}", parts, SIDE, side + BOTTOM)


def scatter(points: Sequence[Sequence[float]]) -> Markup:
    """Predicted numbers against true ones; on the diagonal they agree."""
    side = SIDE - LEFT
    values = [value for point in points for value in point]
    low, high = min(values), max(values)
    scale = Scale(low - (high - low) * 0.04, high + (high - low) * 0.04)
    parts: list[Markup] = [_svg("line", "ideal", x1=LEFT, y1=side, x2=SIDE, y2=0)]
    for truth, guess in points:
        x, y = LEFT + side * scale.at(truth) / 100, side * (1 - scale.at(guess) / 100)
        parts.append(_svg("circle", "cloud", cx=_r(x), cy=_r(y), r=3.2))
    for value in (low, high):
        parts.append(
            el("text", measured(value), x=_r(LEFT + side * scale.at(value) / 100), y=side + 18, text_anchor="middle")
        )
    parts += [
        _svg("line", "grid", x1=LEFT, y1=side, x2=SIDE, y2=side),
        _svg("line", "grid", x1=LEFT, y1=0, x2=LEFT, y2=side),
        el("text", "true value", x=SIDE, y=side + 36, text_anchor="end"),
        el("text", "predicted", x=LEFT + 8, y=12),
    ]
    return _picture(
        f"{len(points)} predictions against true values from {measured(low)} to {measured(high)}",
        parts,
        SIDE,
        side + BOTTOM,
    )


WIDE, HIGH = 400, 190


def climb(rungs: Sequence[Mapping[str, Any]], shipped: str, metric: str) -> Markup:
    """Quality against training time (logarithmic) for every model that was tried."""
    known = [rung for rung in rungs if rung.get("value") is not None]
    edges = [v for rung in known for v in (rung.get("low"), rung.get("high"), rung["value"]) if v is not None]
    pad = (max(edges) - min(edges)) * 0.12 or 0.05
    heights = Scale(min(edges) - pad, max(edges) + pad)
    times = [log10(max(rung.get("seconds") or 0.0, 0.01)) for rung in known]
    spread = Scale(floor(min(times)), max(floor(min(times)) + 1, ceil(max(times))))
    parts = [_svg("line", "grid", x1=LEFT, y1=HIGH, x2=WIDE, y2=HIGH)]
    for power in range(int(spread.low), int(spread.high) + 1):
        x = LEFT + (WIDE - LEFT - 60) * spread.at(power) / 100
        parts.append(_svg("line", "grid", x1=_r(x), y1=0, x2=_r(x), y2=HIGH))
        parts.append(el("text", f"{10.0**power:g} s", x=_r(x), y=HIGH + 18, text_anchor="middle"))
    for level in (min(edges), max(edges)):
        parts.append(
            el("text", measured(level), x=LEFT - 8, y=_r(HIGH * (1 - heights.at(level) / 100) + 4), text_anchor="end")
        )
    for rung, time in zip(known, times, strict=True):
        x, y = LEFT + (WIDE - LEFT - 60) * spread.at(time) / 100, HIGH * (1 - heights.at(rung["value"]) / 100)
        own = rung.get("recipe") == shipped
        marks = [_svg("circle", "point", cx=_r(x), cy=_r(y), r=6)]
        if rung.get("low") is not None:
            top, base = (HIGH * (1 - heights.at(rung[end]) / 100) for end in ("high", "low"))
            marks.insert(0, _svg("line", "whisker", x1=_r(x), x2=_r(x), y1=_r(top), y2=_r(base)))
        marks.append(el("text", rung.get("recipe", ""), x=_r(x + 12), y=_r(y + 4), cls="strong" if own else None))
        parts.append(el("g", *marks, cls=None if own else "other"))
    said = ", ".join(f"{r.get('recipe')}: {measured(r['value'])} in {r.get('seconds')} s" for r in known)
    return _picture(f"{metric} against training time; {said}", parts, WIDE, HIGH + 28)


def _frame(side: int) -> list[Markup]:
    parts: list[Markup] = []
    for step in range(5):
        at = side * step / 4
        parts.append(_svg("line", "grid", x1=LEFT, y1=_r(at), x2=SIDE, y2=_r(at)))
        parts.append(el("text", f"{1 - step / 4:g}", x=LEFT - 8, y=_r(at + 4), text_anchor="end"))
        parts.append(el("text", f"{step / 4:g}", x=_r(LEFT + at), y=side + 18, text_anchor="middle"))
    return parts


def _r(value: float) -> float:
    return round(value, 1)


def _svg(name: str, cls: str, **where: float) -> Markup:
    return el(name, cls=cls, **where)


def _picture(said: str, parts: Sequence[Markup], width: int, height: int) -> Markup:
    return el("svg", *parts, viewBox=f"0 -28 {width} {height + 28}", role="img", aria_label=said)
