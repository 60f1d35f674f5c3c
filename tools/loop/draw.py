"""Small charts as SVG, without a library: lines with bands, and bars. Each brings its own ground, so that it can be
read on a light page and on a dark one, and follows what the reader's system prefers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10
from typing import TypeVar

T = TypeVar("T")

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 300, 62, 16, 34, 74
COLOURS = ("a", "b", "c", "d", "e")
"""Classes of the style sheet: blue, orange, green, purple, grey, which readers who see few colours tell apart (Okabe and Ito)."""
STYLE = """
svg { font: 12px system-ui, sans-serif }
.ground { fill: #fff } .ink { fill: #222 } .soft { fill: #666 } .grid { stroke: #ddd } .mark { stroke: #888; stroke-dasharray: 4 3 }
.a { stroke: #0072b2; fill: #0072b2 } .b { stroke: #d55e00; fill: #d55e00 } .c { stroke: #009e73; fill: #009e73 } .d { stroke: #9467bd; fill: #9467bd }
.e { stroke: #777; fill: #777 }
.line { fill: none; stroke-width: 2 } .band { stroke: none; opacity: .16 } .bar { stroke: none }
@media (prefers-color-scheme: dark) {
  .ground { fill: #1b1b1f } .ink { fill: #eee } .soft { fill: #aaa } .grid { stroke: #3a3a40 }
  .a { stroke: #56b4e9; fill: #56b4e9 } .b { stroke: #ff9a4d; fill: #ff9a4d } .c { stroke: #35d0a5; fill: #35d0a5 } .d { stroke: #c5a3e8; fill: #c5a3e8 }
  .e { stroke: #999; fill: #999 }
  .line { fill: none } .band, .bar { stroke: none }
}
"""


@dataclass(frozen=True)
class Line:
    """One curve; `low` and `high` bound its band."""

    name: str
    y: Sequence[float]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


def lines(
    title: str,
    x: Sequence[float],
    curves: Sequence[Line],
    *,
    across: str,
    up: str,
    marks: Sequence[tuple[float, str]] = (),
    y_range: tuple[float, float] | None = None,
) -> str:
    """Curves over a common axis; `marks` are upright lines with a word.

    >>> drawn = lines("t", [0, 1], [Line("a", [0.5, 0.7])], across="answers", up="accuracy")
    >>> drawn.startswith("<svg") and "answers" in drawn
    True
    """
    values = [v for curve in curves for part in (curve.y, curve.low, curve.high) for v in part]
    low, high = y_range or (min(values), max(values))
    scale = _Scale(min(x), max(x), low, high)
    parts = [*_axes(scale, across, up)]
    for place, word in marks:
        at = scale.x(place)
        parts.append(f'<line class="mark" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text class="soft" x="{at + 4:.1f}" y="{TOP + 11}">{escape(word)}</text>')
    for colour, curve in _coloured(curves):
        if len(curve.low):
            there = [f"{scale.x(a):.1f},{scale.y(b):.1f}" for a, b in zip(x, curve.high, strict=True)]
            back = [f"{scale.x(a):.1f},{scale.y(b):.1f}" for a, b in zip(x, curve.low, strict=True)]
            parts.append(f'<polygon class="{colour} band" points="{" ".join([*there, *reversed(back)])}"/>')
        points = " ".join(f"{scale.x(a):.1f},{scale.y(b):.1f}" for a, b in zip(x, curve.y, strict=True))
        parts.append(f'<polyline class="{colour} line" points="{points}"/>')
    return _whole(title, [*parts, *_legend([curve.name for curve in curves])])


def bars(title: str, groups: Sequence[str], series: Sequence[tuple[str, Sequence[float]]], *, up: str) -> str:
    """A bar of each series for each group.

    >>> "<rect" in bars("t", ["one"], [("ours", [1.0]), ("theirs", [2.0])], up="alarms")
    True
    """
    top = 1.12 * max(v for _, values in series for v in values) or 1.0
    scale = _Scale(0, len(groups), 0.0, top)
    parts = [*_axes(scale, "", up, numbers=False)]
    wide = (scale.x(1) - scale.x(0)) * 0.8 / len(series)
    for place, group in enumerate(groups):
        for number, (colour, (_, values)) in enumerate(_coloured(series)):
            left, height = scale.x(place + 0.1) + number * wide, scale.y(0) - scale.y(values[place])
            parts.append(
                f'<rect class="{colour} bar" x="{left:.1f}" y="{scale.y(values[place]):.1f}" '
                f'width="{wide - 2:.1f}" height="{max(height, 0.5):.1f}"/>'
            )
            parts.append(
                f'<text class="ink" text-anchor="middle" x="{left + wide / 2:.1f}" '
                f'y="{scale.y(values[place]) - 4:.1f}">{values[place]:.3g}</text>'
            )
        middle = scale.x(place + 0.5)
        parts.append(
            f'<text class="ink" text-anchor="middle" x="{middle:.1f}" y="{HEIGHT - BOTTOM + 16}">{escape(group)}</text>'
        )
    return _whole(title, [*parts, *_legend([name for name, _ in series])])


@dataclass(frozen=True)
class _Scale:
    left: float
    right: float
    low: float
    high: float

    def x(self, value: float) -> float:
        return LEFT + (value - self.left) / ((self.right - self.left) or 1) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        room = HEIGHT - TOP - BOTTOM
        return HEIGHT - BOTTOM - (value - self.low) / ((self.high - self.low) or 1) * room


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between two others.

    >>> _ticks(0.0, 1.0), _ticks(130, 1900)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [500.0, 1000.0, 1500.0])
    """
    rough = (high - low) / 5 or 1.0
    size = 10.0 ** floor(log10(rough))
    step = next(size * k for k in (1, 2, 5, 10) if size * k >= rough * 0.999)
    first = ceil(low / step - 1e-9)
    return [round(step * k, 10) for k in range(first, floor(high / step + 1e-9) + 1)]


def _axes(scale: _Scale, across: str, up: str, *, numbers: bool = True) -> list[str]:
    parts = []
    for value in _ticks(scale.low, scale.high):
        at = scale.y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text class="soft" text-anchor="end" x="{LEFT - 6}" y="{at + 4:.1f}">{value:g}</text>')
    for value in _ticks(scale.left, scale.right) if numbers else []:
        at = scale.x(value)
        parts.append(
            f'<text class="soft" text-anchor="middle" x="{at:.1f}" y="{HEIGHT - BOTTOM + 16}">{value:,g}</text>'
        )
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text class="soft" text-anchor="middle" transform="rotate(-90 14 {middle})" x="14" y="{middle}">{escape(up)}</text>'
    )
    across_at = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text class="soft" text-anchor="middle" x="{across_at}" y="{HEIGHT - BOTTOM + 34}">{escape(across)}</text>'
    )
    return parts


def _coloured(series: Sequence[T]) -> zip[tuple[str, T]]:
    """Each with its colour; what has none would be missing without a word."""
    return zip(COLOURS[: len(series)], series, strict=True)


def _legend(names: Sequence[str]) -> list[str]:
    parts, at = [], float(LEFT)
    for colour, name in _coloured(names):
        parts.append(f'<rect class="{colour} bar" x="{at:.0f}" y="{HEIGHT - 22}" width="12" height="12"/>')
        parts.append(f'<text class="ink" x="{at + 17:.0f}" y="{HEIGHT - 12}">{escape(name)}</text>')
        at += 34 + 6.6 * len(name)
    return parts


def _whole(title: str, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title)}"><style>{STYLE}</style>'
    )
    ground = f'<rect class="ground" width="{WIDTH}" height="{HEIGHT}" rx="8"/>'
    name = f'<text class="ink" x="{LEFT}" y="20" font-weight="600">{escape(title)}</text>'
    return "\n".join([head, ground, name, *parts, "</svg>\n"])
