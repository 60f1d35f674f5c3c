"""Why the model answers as it does: what matters in all, and single answers with their parts coloured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lingqu.evaluate.page.drawing import row, scale_of, short, track
from lingqu.evaluate.page.markup import Markup, breakable, el, join
from lingqu.evaluate.page.plot import Axes, Scale, around
from lingqu.evaluate.page.quality import section
from lingqu.evaluate.translation import Words
from lingqu.evaluate.wording import between, measured, percent, title

Report = Mapping[str, Any]
MOST_COLUMNS = 12
MOST_VALUES = 8


def importance(report: Report, say: Words) -> Markup | None:
    """What the answers rest on, over all rows: columns, words, phrases, or the filters of the first layer."""
    found = report.get("explanations") or {}
    parts = [_columns(report, found, say), _effects(found, say), *_words(found, say), _layer(found, say)]
    if not any(parts):
        return None
    guide = say(
        "What the model's answers rest on, measured on the shipped model itself. What matters to the model need not be the cause of anything."
    )
    return section(say("What matters"), guide, *parts)


def _columns(report: Report, found: Mapping[str, Any], say: Words) -> Markup | None:
    columns = found.get("importance")
    if not columns:
        return None
    scale = scale_of([one[end] for one in columns for end in ("low", "value", "high")], bounded=False)
    lines = [row(one["column"], None, track(one, scale, say, line=0.0), one, say, cls="main") for one in columns]
    rest = lines[MOST_COLUMNS:]
    more = el("details", el("summary", say("{count} more columns", count=len(rest))), *rest) if rest else None
    told = say(
        "By how much {metric} gets worse when the column's values are dealt out anew among the rows; columns that tell the "
        "same share their importance.",
        metric=title(report["decide_by"], say),
    )
    return join(el("h3", say("Columns")), el("p", told, cls="more"), el("div", *lines[:MOST_COLUMNS], more, cls="rows"))


def _effects(found: Mapping[str, Any], say: Words) -> Markup | None:
    drawn = found.get("effects")
    if not drawn:
        return None
    values = [value for one in drawn for value in one["scores"]]
    heights = around(values, 0.08)
    told = say("How the mean score moves with the value of the most important columns, all others as they are.")
    figures = [_effect(one, heights, say) for one in drawn]
    return join(el("h3", say("Effect of a value")), el("p", told, cls="more"), el("div", *figures, cls="panels three"))


def _effect(one: Mapping[str, Any], heights: Scale, say: Words) -> Markup:
    numbers = one["kind"] == "number"
    places = list(one["values"]) if numbers else list(range(len(one["values"])))
    wide = Scale(min(places), max(places)) if numbers else Scale(-0.5, len(places) - 0.5)
    axes = Axes(wide, heights, width=320, height=230)
    named = {float(i): str(value)[:7] for i, value in enumerate(one["values"])}
    parts = axes.frame(
        "",
        say("score"),
        x_text=short if numbers else lambda v: named.get(v, ""),
        y_text=short,
        most=4 if numbers else len(places),
    )
    if numbers:
        parts.append(axes.line(places, one["scores"], "curve"))
    else:
        parts += [axes.dot(x, y) for x, y in zip(places, one["scores"], strict=True)]
    said = ", ".join(
        f"{short(v) if numbers else v}: {measured(y)}" for v, y in zip(one["values"], one["scores"], strict=True)
    )
    return el("figure", el("h3", one["column"]), axes.picture(f"{one['column']}: {said}", *parts))


def _words(found: Mapping[str, Any], say: Words) -> list[Markup]:
    blocks = (
        ("words", say("Words"), say("Words whose absence costs an answer most, over many test rows.")),
        (
            "phrases",
            say("Phrases alone"),
            say(
                "Words and pairs of the test rows that speak for a label when they stand alone: the weights of a linear model, with their names."
            ),
        ),
    )
    return [
        join(
            el("h3", heading),
            el("p", told, cls="more"),
            el("div", *[_word_list(one) for one in found[key]], cls="lists"),
        )
        for key, heading, told in blocks
        if found.get(key)
    ]


def _word_list(one: Mapping[str, Any]) -> Markup:
    most = max((word["weight"] for word in one["words"]), default=1.0) or 1.0
    cells = [
        (
            el("span", word["word"]),
            el("i", style=f"width:{100 * word['weight'] / most:.1f}%"),
            el("span", f"{word['weight']:.2f}"),
        )
        for word in one["words"]
    ]
    return el("div", el("h4", one["label"]), el("div", *cells, cls="bars"))


def _layer(found: Mapping[str, Any], say: Words) -> Markup | None:
    layer = found.get("layer")
    if not layer:
        return None
    rows = [
        el("div", el("small", name), *[el("img", src=src, alt=name, cls="small") for src in layer[key]], cls="tiles")
        for key, name in (("filters", say("filters")), ("maps", say("what they see")))
    ]
    picture = el("img", src=layer["input"], alt=say("the picture"), cls="small") if layer["input"] else None
    own = el("div", el("small", say("the picture")), picture, cls="tiles")
    told = say(
        "The first convolution: its filters, and where each of them answers in one test picture (white is most)."
    )
    return join(el("h3", say("First layer")), el("p", told, cls="more"), own, *rows)


def examples(report: Report, say: Words) -> Markup | None:
    """Some right and some wrong answers, with what spoke for and against each."""
    found = report.get("explanations") or {}
    if not found.get("examples"):
        return None
    right, wrong = ([one for one in found["examples"] if one["right"] is is_right] for is_right in (True, False))
    numbers = report["kind"] == "numbers"
    blocks = [
        (right, say("Close to the truth") if numbers else say("Right")),
        (wrong, say("Far from the truth") if numbers else say("Wrong")),
    ]
    cards = [
        join(el("h3", heading), el("div", *[explained(one, say) for one in some], cls="cards"))
        for some, heading in blocks
        if some
    ]
    guide = say(
        "Each part of the input is taken away and the shipped model asked again. In colour what speaks for the answer, in the "
        "warm colour what speaks against it."
    )
    return section(say("Why these answers"), guide, *cards, _trust(found, say))


def _trust(found: Mapping[str, Any], say: Words) -> Markup | None:
    tested = found.get("deletion") or {}
    gain = tested.get("gain") or {}
    if gain.get("value") is None:
        return None
    told = say(
        "How faithful this is: when the parts go in this order the score falls by {gain} more ({between}) than in random "
        "orders, on {rows} rows; zero would mean that the colours say nothing.",
        gain=measured(gain["value"]),
        between=between(gain, say),
        rows=tested["rows"],
    )
    return el("p", told, cls="more", style="margin-top:20px")


def explained(one: Mapping[str, Any], say: Words) -> Markup:
    """One row with its parts coloured by weight."""
    kinds = {cell["column"]: cell for cell in one["input"]}
    reach = max((abs(part["weight"]) for part in one["parts"]), default=1.0) or 1.0
    content: list[Any] = []
    for name, cell in kinds.items():
        own = [part for part in one["parts"] if part["column"] == name]
        if cell["kind"] == "text" and cell["value"]:
            content.append(el("blockquote", *_coloured(str(cell["value"]), own, reach)))
        elif cell["kind"] == "image" and cell["value"]:
            content.append(_heat(cell, own, reach, say))
    values = [part for part in one["parts"] if not part["place"]]
    if values:
        content.append(_values(values, reach, say))
    answer = one["answer"]
    cls = "wrong" if one.get("right") is False else "right"
    told = f" {percent(answer['confidence'], 0)}" if "confidence" in answer else ""
    said = (answer["prediction"] or "–") if isinstance(answer["prediction"], str) else measured(answer["prediction"])
    verdict = [el("span", say("said"), " "), el("span", said, cls=cls), el("span", told)]
    asked = None
    if one["label"] not in (None, answer["prediction"]):
        asked = el("small", say("what speaks for {label}", label=one["label"]), f" ({percent(one['read'], 0)})")
    return el("div", asked, *content, el("p", *verdict, *_truth(one, say)), cls="card")


def _truth(one: Mapping[str, Any], say: Words) -> list[Markup]:
    """What is true, where that is known."""
    if "truth" not in one:
        return []
    true = (one["truth"] or "–") if isinstance(one["truth"], str) else measured(one["truth"])
    return [el("br"), el("span", say("truth"), " "), el("span", true, cls="right")]


def write_explained(told: Sequence[Mapping[str, Any]], name: str, language: str = "en") -> str:
    """The page of `lingqu explain`: a card for each row."""
    from lingqu.evaluate.page import document

    say = Words(language)
    cards = [_numbered(one, say) for one in told]
    guide = say(
        "Each part of the input is taken away and the shipped model asked again. In colour what speaks for the answer, in the "
        "warm colour what speaks against it."
    )
    head = el("header", el("div", el("span", el("b", "灵渠 lingqu")), cls="mark"), el("h1", name))
    body = el("main", section(say("Why these answers"), guide, el("div", *cards, cls="cards")))
    return document(say("{answer}: why", answer=name), say, head, body)


def _numbered(one: Mapping[str, Any], say: Words) -> Markup:
    """The card of a row under its number in the file."""
    made = explained(one, say) if one["label"] is not None or one["parts"] else _refused(one, say)
    return el("div", el("small", say("row {number}", number=f"{one['row'] + 1:,}")), made, cls="numbered")


def _refused(one: Mapping[str, Any], say: Words) -> Markup:
    return el(
        "div", el("p", el("b", say("This row was refused")), ": ", str(one["answer"].get("error", ""))), cls="card"
    )


def tint(weight: float, reach: float) -> str:
    """The colour of a part: the model's own for what speaks for the answer, the warm one for what speaks against.

    >>> tint(1.0, 2.0), tint(-2.0, 2.0), tint(0.001, 2.0)
    ('background:rgb(var(--own)/.30)', 'background:rgb(var(--bad)/.60)', '')
    """
    strength = 0.6 * abs(weight) / reach
    return (
        f"background:rgb(var(--{'own' if weight > 0 else 'bad'})/{f'{strength:.2f}'[1:]})" if strength >= 0.03 else ""
    )


def _coloured(text: str, parts: Sequence[Mapping[str, Any]], reach: float) -> list[Any]:
    """The text with its parts marked; what was cut off is not marked."""
    pieces: list[Any] = []
    at = 0
    for part in sorted(parts, key=lambda part: part["place"][0] if part["place"] else 0):
        if len(part["place"]) != 2 or part["place"][1] > len(text) or part["place"][0] < at:
            continue
        start, end = (int(place) for place in part["place"])
        pieces.append(text[at:start])
        colour = tint(part["weight"], reach)
        pieces.append(
            el("mark", text[start:end], style=colour, title=f"{part['weight']:+.2f}") if colour else text[start:end]
        )
        at = end
    return [*pieces, text[at:]]


def _heat(cell: Mapping[str, Any], parts: Sequence[Mapping[str, Any]], reach: float, say: Words) -> Markup:
    """The picture beside itself with its patches coloured."""
    small = "small" if len(cell["value"]) < 400 else None
    picture = el("img", src=cell["value"], alt=say("{column} of this row", column=cell["column"]), cls=small)
    patches = [
        el(
            "i",
            style=f"left:{100 * left:.2f}%;top:{100 * top:.2f}%;width:{100 * (right - left):.2f}%;height:{100 * (base - top):.2f}%;{tint(part['weight'], reach)}",
        )
        for part in parts
        if len(part["place"]) == 4 and tint(part["weight"], reach)
        for left, top, right, base in [part["place"]]
    ]
    over = el("span", el("img", src=cell["value"], alt="", cls=f"{small or ''} dim".strip()), *patches, cls="over")
    return el("div", el("span", picture, cls="over"), over, cls="heatpair")


def _values(parts: Sequence[Mapping[str, Any]], reach: float, say: Words) -> Markup:
    """The columns that count most, as bars to the right (for) and to the left (against)."""
    lines = []
    for part in parts[:MOST_VALUES]:
        width = 50 * abs(part["weight"]) / reach
        side = f"left:50%;width:{width:.1f}%" if part["weight"] > 0 else f"right:50%;width:{width:.1f}%"
        value = part["what"] if part["what"] is not None else say("missing")
        shown = (
            f"{value:.4g}"
            if isinstance(value, float) and abs(value) < 10_000
            else f"{value:,.0f}"
            if isinstance(value, float)
            else value
        )
        bar = el("div", el("i", cls="for" if part["weight"] > 0 else "against", style=side), cls="both")
        lines.append((el("dt", breakable(part["column"])), el("dd", shown), bar))
    return el("div", *lines, cls="values")
