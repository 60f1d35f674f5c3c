"""ROC and precision-recall curves with their bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor
from typing import Any

from lingqu.evaluate.page.markup import Markup, el
from lingqu.evaluate.page.plot import Axes, Scale
from lingqu.evaluate.page.quality import section
from lingqu.evaluate.translation import Words
from lingqu.evaluate.wording import between, measured

Report = Mapping[str, Any]
FLAT = 0.99
"""A curve this high has nothing left to show."""
NAMED = 3
"""Of many labels so many, those of the weakest curves, are named."""


def curves(report: Report, say: Words) -> Markup | None:
    """Both curves side by side; of several labels the mean with its band, and the weakest by name."""
    found = report.get("curves")
    if not found or not found["labels"]:
        return None
    several = "mean" in found
    whole = found["mean"] if several else found["labels"][0]
    weak = {kind: _weakest(found, kind) if several else [] for kind in ("roc", "recall")}
    roc = _plot(found, whole["roc"], "roc", weak["roc"], say)
    recall = _plot(found, whole["recall"], "recall", weak["recall"], say)
    if several:
        guide = say(
            "Each label against the rest. The thick line is the mean over {count} labels with its 95 % band, the thin "
            "ones are the labels; the weakest are named.",
            count=len(found["labels"]),
        )
    else:
        label = found["labels"][0]
        guide = say(
            "How many rows of “{label}” are found, and at what price, as the threshold moves. The band is the 95 % interval "
            "at each point; the dashed line is what guessing reaches.",
            label=label["label"],
        )
    left = found.get("left_out")
    more = el("p", say("{count} rarer labels are left out.", count=left), cls="more") if left else None
    return section(say("Thresholds"), guide, el("div", roc, recall, cls="panels two"), more)


def _weakest(found: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    return sorted(found["labels"], key=lambda one: sum(one[kind]["value"]))[:NAMED]


def _plot(
    found: Mapping[str, Any], whole: Mapping[str, Any], kind: str, weak: Sequence[Mapping[str, Any]], say: Words
) -> Markup:
    shown = [whole, *(one[kind] for one in found["labels"])]
    axes, inside = _axes(found["grid"], whole, shown, kind)
    grid = [found["grid"][i] for i in inside]
    names = (
        (say("false alarms (share of other rows)"), say("found (recall)"))
        if kind == "roc"
        else (say("found (recall)"), say("right when said (precision)"))
    )

    def drawn(one: Mapping[str, Any], cls: str) -> Markup:
        return axes.line(grid, [one["value"][i] for i in inside], cls)

    parts = [*axes.frame(*names)]
    if axes.x.low == axes.y.low == 0 and axes.x.high == 1:
        # At a recall of 1 everything may be called the label: what is right then is how often it occurs.
        guess = [0.0, 1.0] if kind == "roc" else [whole["value"][-1]] * 2
        parts += [axes.line([0, 1], guess, "ideal")] if kind == "roc" or len(found["labels"]) == 1 else []
    if "mean" in found:
        parts += [drawn(one[kind], "thin") for one in found["labels"]] + [drawn(one[kind], "weak") for one in weak]
    low, high = ([whole[end][i] for i in inside] for end in ("low", "high"))
    parts += [axes.band(grid, low, high), drawn(whole, "curve"), *_named(axes, grid, inside, weak, kind)]
    heading = say("ROC curve") if kind == "roc" else say("Precision and recall")
    said = _caption(found["grid"], whole, axes, kind, say)
    return el("figure", el("h3", heading), axes.picture(f"{heading}. {said}", *parts), el("figcaption", said))


def _axes(
    grid: Sequence[float], whole: Mapping[str, Any], shown: Sequence[Mapping[str, Any]], kind: str
) -> tuple[Axes, list[int]]:
    """The corner where something happens: a good model's curves are flat everywhere else."""
    low, high = 0.0, 1.0
    if kind == "roc":
        flat = next(x for x, y in zip(grid, whole["low"], strict=True) if y >= FLAT or x == 1)
        high = next(end for end in (0.05, 0.1, 0.25, 0.5, 1.0) if end >= flat)
    else:
        fall = next((x for x, y in zip(grid, whole["low"], strict=True) if y < FLAT), 1.0)
        low = next(end for end in (0.9, 0.8, 0.5, 0.0) if end <= fall)
    inside = [i for i, x in enumerate(grid) if low <= x <= high]
    # The first point of a ROC curve lies on the axis whatever the model: it says nothing about what to show.
    least = min(one[end][i] for one in shown for end in ("value", "low") for i in inside if grid[i] > 0)
    return Axes(Scale(low, high), Scale(floor(least * 10 - 1e-9) / 10, 1.0), width=400, height=360), inside


def _caption(grid: Sequence[float], whole: Mapping[str, Any], axes: Axes, kind: str, say: Words) -> str:
    share = axes.x.high / 10 if kind == "roc" else (axes.x.low + 4) / 5
    at = min(range(len(grid)), key=lambda i: abs(grid[i] - share))
    one = {end: whole[end][at] for end in ("value", "low", "high")}
    spread = f" ({between(one, say)})" if one["low"] < one["high"] else ""
    values = {"share": f"{100 * grid[at]:.3g}", "value": measured(one["value"]), "between": spread}
    if kind == "roc":
        return say("With {share} % false alarms it finds {value}{between}.", **values)
    return say("When it finds {share} %, it is right in {value}{between}.", **values)


def _named(
    axes: Axes, grid: Sequence[float], inside: Sequence[int], weak: Sequence[Mapping[str, Any]], kind: str
) -> list[Markup]:
    """Names of the weak labels, beside their curves where these still differ."""
    places: list[tuple[float, float, str, str]] = []
    width = axes.x.high - axes.x.low
    for i, one in enumerate(weak):
        wanted = axes.x.low + width * ((0.12 + 0.1 * i) if kind == "roc" else (0.9 - 0.12 * i))
        at = min(range(len(grid)), key=lambda j: abs(grid[j] - wanted))
        places.append((grid[at], one[kind]["value"][inside[at]], one["label"], "weak"))
    return axes.names(places)
