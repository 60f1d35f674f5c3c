"""The first part of the page: how good the model is, and against what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lingqu.evaluate.page.drawing import ends, row, scale_of, track
from lingqu.evaluate.page.markup import Markup, el
from lingqu.evaluate.translation import Words
from lingqu.evaluate.wording import between, in_order, measured, title
from lingqu.metrics import METRICS

Report = Mapping[str, Any]


def section(heading: str, guide: Any, *content: Any) -> Markup:
    """A part of the page: a heading with how to read it, and what there is to see."""
    return el("section", el("div", el("h2", heading), el("p", guide, cls="guide")), el("div", *content))


def metrics(report: Report, say: Words) -> Markup:
    """Every metric with its interval; those where more is better share a scale."""
    found = in_order(report["metrics"], report["decide_by"])
    up = {name: one for name, one in found.items() if one["higher_is_better"]}
    down = {name: one for name, one in found.items() if not one["higher_is_better"]}
    content: list[Any] = []
    if up:
        scale = scale_of([one[end] for one in up.values() for end in ("low", "value")], bounded=True)
        lines = [_metric(report, name, one, scale, say) for name, one in up.items()]
        content.append(el("div", ends(scale), *lines, cls="rows"))
    if down:
        content.append(el("h3", say("Smaller is better")))
        lines = [_metric(report, name, one, _own_scale(report, name, one), say) for name, one in down.items()]
        content.append(el("div", *lines, cls="rows"))
    guide = say(
        "Measured on {rows} test rows that nothing was fitted on, from the files that are shipped. "
        "The bar is the 95 % interval: where the true value lies for rows like these.",
        rows=f"{report['rows']:,}",
    )
    return section(say("Quality"), guide, *content, _legend(report, say))


def _metric(report: Report, name: str, one: Mapping[str, Any], scale: Any, say: Words) -> Markup:
    ticks = {b: v for b, v in _beside(report, name).items() if scale.low <= v <= scale.high}
    about = say.told(one.get("about") or "")
    drawn = track(one, scale, say, ticks=ticks)
    return row(title(name, say), about, drawn, one, say, cls="main" if name == report["decide_by"] else "")


def _own_scale(report: Report, name: str, one: Mapping[str, Any]) -> Any:
    return scale_of([one["high"], one["value"], *_beside(report, name).values()], bounded=False)


def _beside(report: Report, name: str) -> dict[str, float]:
    """The baselines' values of a metric."""
    found = {b: (about["metrics"].get(name) or {}).get("value") for b, about in (report.get("baselines") or {}).items()}
    return {baseline: value for baseline, value in found.items() if value is not None}


def _legend(report: Report, say: Words) -> Markup:
    items = [el("span", say("The metric in colour decides."))]
    if report.get("baselines"):
        items.append(el("span", el("i", cls="k-tick"), say("baseline, where it lies within the scale")))
    return el("p", *items, cls="legend")


def contest(report: Report, say: Words) -> Markup:
    """The deciding metric of the model beside that of what it must beat, on one scale."""
    name = report["decide_by"]
    own, others = report["metrics"][name], report.get("baselines") or {}
    lines = {baseline: about["metrics"][name] for baseline, about in others.items() if name in about["metrics"]}
    every = [value for one in [own, *lines.values()] for value in (one.get("low"), one.get("value"), one.get("high"))]
    bounded = name in METRICS and METRICS[name].range[1] == 1 and METRICS[name].higher_is_better
    scale = scale_of(every, bounded=bounded)
    rows = [row(say("This model"), None, track(own, scale, say), own, say, cls="main")]
    for baseline, one in lines.items():
        lead = others[baseline]["better_by"]
        note = (
            say("this model's lead: {lead} ({between})", lead=measured(lead["value"]), between=between(lead, say))
            if lead.get("value") is not None
            else None
        )
        heading = say("Baseline: {name}", name=say.told(baseline))
        rows.append(row(heading, note, track(one, scale, say), one, say, cls="plain"))
    return el("div", ends(scale), *rows, cls="rows")
