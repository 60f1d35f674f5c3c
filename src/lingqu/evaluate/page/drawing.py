"""Intervals as lines of HTML, and the scatter of numbers. Every picture says in words what it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor, log10
from typing import Any

from lingqu.evaluate.page.markup import Markup, el
from lingqu.evaluate.page.plot import Axes, Scale, around
from lingqu.evaluate.translation import Words
from lingqu.evaluate.wording import between, measured


def scale_of(values: Sequence[float | None], *, bounded: bool) -> Scale:
    """Round ends around these values; a bounded scale ends at 1, an unbounded one starts at 0.

    >>> scale_of([0.93, 0.96], bounded=True), scale_of([12.0, 48.0], bounded=False)
    (Scale(low=0.9, high=1.0, log=False), Scale(low=0.0, high=50.0, log=False))
    """
    known = [value for value in values if value is not None] or [0.0]
    if bounded:
        return Scale(floor((min(known) - 0.005) * 10) / 10, 1.0)
    top, least = max(*known, 1e-9), min(0.0, *known)
    step = 10 ** floor(log10(top - least)) / 2
    return Scale(floor(least / step) * step, ceil(top / step) * step)


def track(
    one: Mapping[str, Any],
    scale: Scale,
    say: Words,
    *,
    ticks: Mapping[str, float] | None = None,
    line: float | None = None,
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
    said = f"{measured(one.get('value'))}, {between(one, say)}"
    return el("div", *parts, cls="track", role="img", aria_label=said)


def row(name: Any, note: Any, picture: Markup, one: Mapping[str, Any], say: Words, *, cls: str = "") -> Markup:
    """One line of a list: what, picture, value with its interval."""
    return el(
        "div",
        el("div", el("b", name), el("small", note) if note else None, cls="name"),
        picture,
        el("div", el("b", measured(one.get("value"))), el("small", between(one, say)), cls="num"),
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


def reliability(bins: Sequence[Mapping[str, Any]], say: Words) -> Markup:
    """How often answers of each confidence are right, with their band, against the diagonal of perfect honesty."""
    filled = [one for one in bins if one["rows"]]
    axes = Axes(Scale(0.0, 1.0), Scale(0.0, 1.0), width=400, height=400)
    most = max((one["rows"] for one in filled), default=1)
    parts = [*axes.frame(say("confidence"), say("share right")), axes.line([0, 1], [0, 1], "ideal")]
    for one in filled:
        (left, top), (right, base) = axes.at(one["low"], 0.18 * one["rows"] / most), axes.at(one["high"], 0)
        high, wide = round(base - top, 1), round(right - left - 4, 1)
        parts.append(el("rect", cls="bar", x=left + 2, y=top, width=wide, height=high))
    where = [one["confidence"] for one in filled]
    low, value, high = ([one["accuracy"][end] for one in filled] for end in ("low", "value", "high"))
    if len(filled) > 1:
        parts += [axes.band(where, low, high), axes.line(where, value, "curve")]
    parts += [axes.whisker(*one) for one in zip(where, low, high, strict=True)]
    parts += [axes.dot(x, y) for x, y in zip(where, value, strict=True)]
    told = ", ".join(f"{x:.2f}: {y:.2f}" for x, y in zip(where, value, strict=True))
    return axes.picture(say("Share right by confidence, {told}", told=told), *parts)


def scatter(points: Sequence[Sequence[float]], say: Words) -> Markup:
    """Predicted numbers against true ones; on the diagonal they agree."""
    values = [value for point in points for value in point]
    scale = around(values, 0.04)
    axes = Axes(scale, scale, width=400, height=400)
    parts = axes.frame(say("true value"), say("predicted"), x_text=short, y_text=short, most=4)
    parts.append(axes.line([scale.low, scale.high], [scale.low, scale.high], "ideal"))
    parts += [axes.dot(truth, guess, "cloud", 3.2) for truth, guess in points]
    said = say(
        "{count} predictions against true values from {low} to {high}",
        count=len(points),
        low=measured(min(values)),
        high=measured(max(values)),
    )
    return axes.picture(said, *parts)


def short(value: float) -> str:
    """A tick's number in few letters.

    >>> short(1_250_000.0), short(40_000.0), short(0.25), short(0.0)
    ('1.25M', '40k', '0.25', '0')
    """
    for unit, factor in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= factor * 10 or (abs(value) >= factor > 1e3):
            return f"{value / factor:.3g}{unit}"
    return f"{value:g}"
