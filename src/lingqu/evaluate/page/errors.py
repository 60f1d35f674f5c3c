"""The middle of the page: where the model goes wrong, how honest its confidence is, and its worst mistakes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lingqu.evaluate.page.drawing import ends, reliability, row, scale_of, scatter, track
from lingqu.evaluate.page.markup import Markup, el
from lingqu.evaluate.page.plot import Scale
from lingqu.evaluate.page.quality import section
from lingqu.evaluate.translation import Words
from lingqu.evaluate.wording import between, measured, percent, title, written_out

Report = Mapping[str, Any]
MOST_LABELS = 20
LONG_LABEL = 4
MOST_PAIRS = 8
FEW_LABELS = 4
OPEN_COLUMNS = 3
SMALL_PICTURE = 400
"""Data addresses shorter than this hold pictures of a few pixels, which look best unblurred."""


def confusion(report: Report, say: Words) -> Markup | None:
    """What is taken for what: a heat map while it can be read, the worst pairs besides."""
    found = report.get("confusion")
    if not found:
        return None
    # Pairs that happened once are told only where there is nothing worse.
    worst = found["pairs"][: max(3, min(MOST_PAIRS, sum(one["rows"] > 1 for one in found["pairs"])))]
    pairs = [el("tr", el("td", f"{one['truth']} → {one['prediction']}"), el("td", f"{one['rows']:,}")) for one in worst]
    content: list[Any] = []
    if len(found["labels"]) <= MOST_LABELS:
        axis = el("p", say("True label down, predicted label across."), cls="axis")
        content.append(el("div", axis, el("div", _heat(found), cls="scroll")))
    if pairs and len(found["labels"]) > 2:
        content.append(el("div", el("h3", say("Most confused")), el("table", el("tbody", *pairs))))
    if not pairs:
        content.append(el("p", say("Not one label was confused with another."), cls="lead"))
    guide = say(
        "Each row is a true label. Where the model is right the cell has its colour; the warm cells are mistakes."
    )
    return section(say("Confusion"), guide, el("div", *content, cls="beside"))


def _heat(found: Mapping[str, Any]) -> Markup:
    labels, matrix = found["labels"], found["matrix"]
    long = max(len(label) for label in labels) > LONG_LABEL and len(labels) > 3
    heads = [el("th", el("span", label), scope="col", cls="long" if long else None, title=label) for label in labels]
    lines = [
        el(
            "tr",
            el("th", label, scope="row", title=label),
            *[_cell(count, sum(line), i == j) for j, count in enumerate(line)],
        )
        for i, (label, line) in enumerate(zip(labels, matrix, strict=True))
    ]
    return el(
        "table",
        el("thead", el("tr", el("td", cls="none", style="background:none"), *heads)),
        el("tbody", *lines),
        cls="heat few" if len(labels) <= FEW_LABELS else "heat",
    )


def _cell(count: int, total: int, right: bool) -> Markup:
    if not count:
        return el("td", "·", cls="none")
    share = count / total
    # A single mistake in a thousand must still be seen, so the warm scale starts higher and rises faster.
    strength = 0.08 + 0.5 * share if right else min(0.75, 0.14 + 1.2 * share)
    colour = f"background:rgb(var(--{'own' if right else 'bad'})/{strength:.2f})"
    return el("td", f"{count:,}", style=colour, title=percent(share))


def labels(report: Report, say: Words) -> Markup | None:
    """How much of each label is found, and how often it is right when it is said."""
    found = report.get("by_label")
    if not found:
        return None
    shown = sorted(found, key=lambda one: one["recall"]["value"] if one["recall"]["value"] is not None else 2)
    values = [one[k][end] for one in found for k in ("recall", "precision") for end in ("low", "value")]
    scale = scale_of(values, bounded=True)
    limits = el("div", el("span", f"{scale.low:g}"), el("span", f"{scale.high:g}"), cls="scale", aria_hidden="true")
    heads = [
        el("div", el("small", text), el("div", limits, cls="half"))
        for text in (say("Share found (recall)"), say("Right when said (precision)"))
    ]
    lines = [_label(one, scale, say) for one in shown]
    more = lines[MOST_LABELS:]
    rest = el("details", el("summary", say("{count} more labels", count=len(more))), *more) if more else None
    head = el("div", el("div"), *heads, cls="twice head")
    return section(
        say("Label by label"), say("The labels that are found least come first."), head, *lines[:MOST_LABELS], rest
    )


def _label(one: Mapping[str, Any], scale: Scale, say: Words) -> Markup:
    name = el("div", el("b", one["label"]), el("small", say("{rows} rows", rows=f"{one['rows']:,}")), cls="name")
    halves = [
        el(
            "div",
            el("span", tag, cls="tag"),
            track(one[key], scale, say),
            el("div", el("b", measured(one[key]["value"])), el("small", between(one[key], say)), cls="num"),
            cls="half",
        )
        for key, tag in (("recall", say("found")), ("precision", say("right")))
    ]
    return el("div", name, *halves, cls="twice")


def honesty(report: Report, say: Words) -> Markup | None:
    """The reliability of confidences, or of the ranges of numbers."""
    if report.get("calibration"):
        error = report["metrics"].get("ece")
        note = (
            say("On average confidence and truth lie {error} apart.", error=measured(error["value"])) if error else ""
        )
        guide = say(
            "Of the answers given with confidence 0.8, eight in ten should be right: dots on the dashed line are honest, below "
            "it the model is too sure. The band is the exact 95 % interval of each dot; bars show how many answers there were."
        )
        picture = el("div", reliability(report["calibration"], say))
        return section(say("Confidence"), guide, el("div", picture, el("p", note, cls="lead"), cls="pair"))
    return _predicted(report, say) if report.get("errors") else None


def _predicted(report: Report, say: Words) -> Markup:
    """Predicted numbers against true ones, how wrong they are, and whether their ranges hold what they promise."""
    cover, quantiles = report["coverage"], report["errors"]["quantiles"]
    lines = [
        el("tr", el("td", text), el("td", measured(quantiles[key])))
        for key, text in (
            ("0.05", say("5 % of errors lie below")),
            ("0.5", say("half below")),
            ("0.95", say("95 % below")),
        )
    ]
    told = say(
        "The range given with each answer holds the truth {value} of the time ({low} to {high}); {promised} was promised. "
        "Its usual width is {width}.",
        value=percent(cover["value"]),
        low=percent(cover["low"]),
        high=percent(cover["high"]),
        promised=percent(cover["promised"], 0),
        width=measured(cover["median_width"]),
    )
    picture = el("div", scatter(report["errors"]["points"], say))
    guide = say("Each dot is a test row (at most 400 are drawn). On the dashed line the prediction is exact.")
    beside = el("div", el("p", told, cls="lead"), el("table", el("tbody", *lines)))
    return section(say("Predicted and true"), guide, el("div", picture, beside, cls="pair"))


def slices(report: Report, say: Words) -> Markup | None:
    """Parts of the rows, each with its interval against the whole."""
    found = report.get("slices")
    if not found:
        return None
    metric = found[0]["metric"]
    whole = report["metrics"].get(metric, {}).get("value")
    upwards = report["kind"] != "numbers"
    scale = scale_of(
        [one[e] for one in found for e in ("low", "value", *(() if upwards else ("high",)))], bounded=upwards
    )
    columns: dict[str, list[Mapping[str, Any]]] = {}
    for one in found:
        columns.setdefault(one["column"], []).append(one)
    # Columns with a weak part come first.
    order = sorted(columns, key=lambda column: not any(one["worse"] for one in columns[column]))
    shown = [_column(columns[name], scale, whole, say) for name in order[:OPEN_COLUMNS]]
    rest = [_column(columns[name], scale, whole, say) for name in order[OPEN_COLUMNS:]]
    if rest:
        shown.append(el("details", el("summary", say("{count} more columns", count=len(rest))), *rest))
    worse = sum(one["worse"] for one in found)
    told = (
        say("{worse} of {count} parts are provably worse than the whole.", worse=worse, count=len(found))
        if worse
        else say("No part is provably worse than the whole.")
    )
    legend = el(
        "p", el("span", el("i", cls="k-line"), say("all test rows: {value}", value=measured(whole))), cls="legend"
    )
    guide = say(
        "{metric} of every part of at least 30 rows, each tested against the whole; p is adjusted for the number of parts "
        "(Holm). {told}",
        metric=title(metric, say),
        told=told,
    )
    return section(say("Parts of the data"), guide, *shown, legend)


def _column(parts: Sequence[Mapping[str, Any]], scale: Scale, whole: float | None, say: Words) -> Markup:
    lines = [
        row(
            part_name(one, say),
            _rows(one, say),
            track(one, scale, say, line=whole),
            one,
            say,
            cls="worse" if one["worse"] else "",
        )
        for one in parts
    ]
    return el(
        "div",
        el("h3", column_name(parts[0], say)),
        el("div", ends(scale), *lines, cls="rows"),
        style="margin-bottom:36px",
    )


_QUARTER = re.compile(r"missing|(up to |above )?[-+.\de]+( to [-+.\de]+)?( characters)?")


def part_name(one: Mapping[str, Any], say: Words) -> str:
    """The name of a part: what lingqu called it is said in the reader's language, a value of the data as it is."""
    return say.told(written_out(one["slice"])) if _QUARTER.fullmatch(one["slice"]) else one["slice"]


def column_name(one: Mapping[str, Any], say: Words) -> str:
    """The name of the column that a part belongs to, as the data has it."""
    column = one["column"].removesuffix(" length")
    return say("{column} length", column=column) if column != one["column"] else column


def _rows(one: Mapping[str, Any], say: Words) -> str:
    """How many rows, and the adjusted p where it is worth reading."""
    rows = say("{rows} rows", rows=f"{one['rows']:,}")
    p = one.get("p")
    return rows if p is None or p >= 0.1 else f"{rows} · p = {p:.2g}"


def mistakes(report: Report, say: Words) -> Markup | None:
    """The surest wrong answers, with what was asked."""
    found = report.get("mistakes")
    if not found:
        return None
    guide = (
        say(
            "The wrong answers that the model was surest of, at most three of a kind. Often the label is at fault, not the "
            "model."
        )
        if report["kind"] == "labels"
        else say("The answers that lie farthest from the truth.")
    )
    # Rows of a table are tall: six of them say as much as a reader will take in.
    tables = all(cell["kind"] == "value" for cell in found[0]["input"])
    cards = [card(one, say) for one in found[: 6 if tables else 12]]
    return section(say("Worst mistakes"), guide, el("div", *cards, cls="cards"))


def card(one: Mapping[str, Any], say: Words) -> Markup:
    """A row with its input, what was said and what is true."""
    cells = one["input"]
    pictures = [_picture(cell, say) for cell in cells if cell["kind"] == "image" and cell["value"]]
    texts = [el("blockquote", cell["value"] or "–") for cell in cells if cell["kind"] == "text"]
    others = [cell for cell in cells if cell["kind"] not in ("image", "text")]
    terms = [(el("dt", cell["column"]), el("dd", _value(cell["value"]))) for cell in others]
    if "confidence" in one:
        said = [
            el("span", one["prediction"], cls="wrong"),
            el("span", " ", say("{share} sure", share=percent(one["confidence"], 0))),
        ]
        true = [el("span", one["truth"], cls="right"), el("span", f" {percent(one['confidence_in_truth'], 0)}")]
    else:
        said, true = (
            [el("span", measured(one["prediction"]), cls="wrong")],
            [el("span", measured(one["truth"]), cls="right")],
        )
    verdict = el("p", el("span", say("said"), " "), said, el("br"), el("span", say("truth"), " "), true)
    return el("div", pictures, texts, el("dl", *terms) if terms else None, verdict, cls="card")


def _picture(cell: Mapping[str, Any], say: Words) -> Markup:
    small = "small" if len(cell["value"]) < SMALL_PICTURE else None
    return el("img", src=cell["value"], alt=say("{column} of this row", column=cell["column"]), cls=small)


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 10_000 else f"{value:,.0f}"
    return "–" if value is None else str(value)
