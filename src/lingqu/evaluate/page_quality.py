"""The first half of the page: how good the model is, against what, and which others were tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lingqu.evaluate.drawing import climb, ends, row, scale_of, track
from lingqu.evaluate.markup import Markup, el, join
from lingqu.evaluate.wording import between, in_order, measured, milliseconds, seconds, size, title
from lingqu.metrics import METRICS

Report = Mapping[str, Any]


def section(heading: str, guide: Any, *content: Any) -> Markup:
    """A part of the page: a heading with how to read it, and what there is to see."""
    return el("section", el("div", el("h2", heading), el("p", guide, cls="guide")), el("div", *content))


def metrics(report: Report) -> Markup:
    """Every metric with its interval; those where more is better share a scale."""
    found = in_order(report["metrics"], report["decide_by"])
    up = {name: one for name, one in found.items() if one["higher_is_better"]}
    down = {name: one for name, one in found.items() if not one["higher_is_better"]}
    content: list[Any] = []
    if up:
        scale = scale_of([one[end] for one in up.values() for end in ("low", "value")], bounded=True)
        content.append(
            el("div", ends(scale), *[_metric(report, name, one, scale) for name, one in up.items()], cls="rows")
        )
    if down:
        content.append(el("h3", "Smaller is better"))
        lines = [_metric(report, name, one, _own_scale(report, name, one)) for name, one in down.items()]
        content.append(el("div", *lines, cls="rows"))
    guide = (
        f"Measured on {report['rows']:,} test rows that nothing was fitted on, from the files that are shipped. "
        "The bar is the 95 % interval: where the true value lies for rows like these."
    )
    return section("Quality", guide, *content, _legend(report))


def _metric(report: Report, name: str, one: Mapping[str, Any], scale: Any) -> Markup:
    ticks = {b: v for b, v in _beside(report, name).items() if scale.low <= v <= scale.high}
    return row(
        title(name),
        one.get("about"),
        track(one, scale, ticks=ticks),
        one,
        "main" if name == report["decide_by"] else "",
    )


def _own_scale(report: Report, name: str, one: Mapping[str, Any]) -> Any:
    return scale_of([one["high"], one["value"], *_beside(report, name).values()], bounded=False)


def _beside(report: Report, name: str) -> dict[str, float]:
    """The baselines' values of a metric."""
    found = {b: (about["metrics"].get(name) or {}).get("value") for b, about in (report.get("baselines") or {}).items()}
    return {baseline: value for baseline, value in found.items() if value is not None}


def _legend(report: Report) -> Markup:
    items = [el("span", "The metric in colour decides.")]
    if report.get("baselines"):
        items.append(el("span", el("i", cls="k-tick"), "baseline, where it lies within the scale"))
    return el("p", *items, cls="legend")


def contest(report: Report) -> Markup:
    """The deciding metric of the model beside that of what it must beat, on one scale."""
    name = report["decide_by"]
    own, others = report["metrics"][name], report.get("baselines") or {}
    lines = {baseline: about["metrics"][name] for baseline, about in others.items() if name in about["metrics"]}
    every = [value for one in [own, *lines.values()] for value in (one.get("low"), one.get("value"), one.get("high"))]
    bounded = name in METRICS and METRICS[name].range[1] == 1 and METRICS[name].higher_is_better
    scale = scale_of(every, bounded=bounded)
    rows = [row("This model", None, track(own, scale), own, "main")]
    for baseline, one in lines.items():
        lead = others[baseline]["better_by"]
        note = (
            f"this model's lead: {measured(lead['value'])} ({between(lead)})" if lead.get("value") is not None else None
        )
        rows.append(row(f"Baseline: {baseline}", note, track(one, scale), one, "plain"))
    return el("div", ends(scale), *rows, cls="rows")


def ladder(report: Report) -> Markup | None:
    """Every model that was tried, from the cheapest up, and what was made smaller."""
    rungs = report.get("ladder")
    if not rungs:
        return None
    shipped = report.get("family", "")
    name = title(report["decide_by"])
    head = el("tr", *[el("th", text, scope="col") for text in ("Model", name, "Trained in", "Size", "An answer")])
    lines = [
        el(
            "tr",
            el("td", rung.get("recipe", "")),
            el("td", measured(rung.get("value")), " ", el("small", between(rung))),
            el("td", seconds(rung.get("seconds"))),
            el("td", size(rung.get("bytes"))),
            el("td", milliseconds(rung.get("ms_per_row"))),
            cls="own" if rung.get("recipe") == shipped else None,
        )
        for rung in rungs
    ]
    table = el("div", el("table", el("thead", head), el("tbody", *lines)), cls="scroll")
    picture = (
        el("div", climb(rungs, shipped, name), style="max-width:560px;margin-bottom:24px") if len(rungs) > 1 else None
    )
    guide = (
        "The models that were tried, from the cheapest up, on validation rows. The one in colour is shipped; a dearer one is "
        "taken only if it pays."
    )
    return section("Models tried", guide, picture, table, _smaller(report))


def _smaller(report: Report) -> Markup | None:
    steps = report.get("compress")
    if not steps:
        return None
    told = [
        el("li", el("b", step["method"]), " ", "kept: " if step["kept"] else "not kept: ", step["why"], ".")
        for step in steps
    ]
    return join(el("h3", "Made smaller"), el("ul", *told, cls="notes"))
