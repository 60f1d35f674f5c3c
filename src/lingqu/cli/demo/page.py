"""The story as one HTML file beside the reports: accuracy over time with its acts, and what each came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lingqu.cli.demo.told import TITLES, Say, shown
from lingqu.evaluate.page import document
from lingqu.evaluate.page.markup import Markup, el
from lingqu.evaluate.page.plot import Axes, Scale
from lingqu.evaluate.page.quality import section
from lingqu.evaluate.translation import Words

Kept = Mapping[str, Any]
TROUBLE = frozenset({"shift", "drift", "poison", "overrule"})
WIDTH, HEIGHT, ROUND, LEVELS = 1016, 420, 9.5, 4


def story_page(kept: Kept, say: Say) -> str:
    """The whole page, from what `Story.to_json` kept."""
    heading = say("The story of {name}", name=kept["name"])
    main = el("main", _drawn(kept, say), _acts(kept, say))
    foot = el(
        "footer",
        say(
            "Everything here was measured while it happened, on the machine that made this page: real requests over HTTP to a "
            "real service, from simulated people. Intervals are exact (Clopper–Pearson) and hold the true share 95 times in 100."
        ),
    )
    return document(heading, Words(say.language), _header(kept, heading, say), main, foot)


def _header(kept: Kept, heading: str, say: Say) -> Markup:
    requests = kept["requests"]
    figure = el(
        "div",
        el("div", f"{requests['failed']:,}", cls="figure"),
        el("div", el("b", say("of {sent} requests failed", sent=f"{requests['sent']:,}")), cls="what"),
    )
    about = say(
        "People send pictures of digits. Half-way their camera is knocked askew. The model is watched, learns from what they "
        "say, and proves itself before it is changed; liars and a wrong decision do no lasting harm."
    )
    facts = [(_share(kept, act), say(text)) for act, text in _FACTS.items()]
    facts.append((f"{kept['seconds']:.0f} s", say("the whole story")))
    return el(
        "header",
        el("div", el("span", el("b", "灵渠 lingqu")), el("span", "lingqu demo"), cls="mark"),
        el("h1", heading),
        el("p", about, cls="about"),
        el("div", figure, cls="hero"),
        el("dl", *[el("div", el("dd", value), el("dt", text)) for value, text in facts], cls="facts"),
    )


_FACTS: Mapping[str, str] = {
    "serve": "right at first",
    "drift": "right once the camera is askew",
    "back": "right after learning anew",
    "overrule": "right while the gate was overruled",
}


def _share(kept: Kept, act: str) -> str:
    found = next((span["share"] for span in kept["spans"] if span["act"] == act), None)
    return "–" if found is None else f"{100 * found['value']:.0f} %"


def _drawn(kept: Kept, say: Say) -> Markup:
    guide = say(
        "The share of answers that were right, of 60 in a row for each point, with the 95 % band. The numbers are the acts below. "
        "Only the world knows all truths; lingqu knows what people and the audit told it."
    )
    text = el("div", el("h2", say("Accuracy over time")), el("p", guide, cls="guide", style="max-width:52em"))
    return el("section", text, el("figure", _plot(kept, say)), style="grid-template-columns:minmax(0,1fr)")


def _plot(kept: Kept, say: Say) -> Markup:
    curve: Sequence[Mapping[str, Any]] = kept["curve"]
    seconds = [one["at"] for one in curve] or [0.0]
    begin = next((one["at"] for one in kept["events"] if one["act"] == "serve"), min(seconds))
    least = min([one["share"]["low"] for one in curve] or [0.0])
    axes = Axes(
        Scale(min(begin, *seconds), max(kept["seconds"], *seconds)), Scale(int(least * 10) / 10, 1.0), WIDTH, HEIGHT
    )
    values = {end: [one["share"][end] for one in curve] for end in ("low", "value", "high")}
    parts = [*axes.frame(say("seconds"), say("right"), y_text=lambda share: f"{100 * share:.0f} %", most=6)]
    parts += [*_reigns(axes, kept), *_marks(axes, kept, say)]
    if curve:
        parts += [axes.band(seconds, values["low"], values["high"]), axes.line(seconds, values["value"], "curve")]
    said = say("Accuracy over {seconds} seconds, from {first} to {last} at the end", seconds=f"{kept['seconds']:.0f}",
               first=_ends(curve, 0), last=_ends(curve, -1))  # fmt: skip
    return axes.picture(said, *parts)


def _reigns(axes: Axes, kept: Kept) -> list[Markup]:
    """Who was champion when: its number at the top, and a warm ground where something was wrong."""
    begins = [
        (one["at"], one["numbers"]) for one in kept["events"] if one["act"] in ("promote", "overrule", "rollback")
    ]
    named = [(axes.x.low, 1), *[(at, told.get("restored", told.get("version"))) for at, told in begins]]
    parts: list[Markup] = []
    for at, number in named:
        x, y = axes.at(at, axes.y.high)
        parts.append(el("text", f"@{number}", cls="strong", x=x + 4, y=y - 6))
    ends = {one["act"]: one["at"] for one in kept["events"]}
    for begin, end in (("shift", "promote"), ("overrule", "rollback")):
        if begin in ends and end in ends:
            left, top = axes.at(ends[begin], axes.y.high)
            right, base = axes.at(ends[end], axes.y.low)
            where = {"x": left, "y": top, "width": round(right - left, 1), "height": round(base - top, 1)}
            parts.append(el("rect", **where, style="fill:rgb(var(--bad)/.07)"))
    return parts


def _ends(curve: Sequence[Mapping[str, Any]], place: int) -> str:
    return f"{100 * curve[place]['share']['value']:.0f} %" if curve else "–"


def _marks(axes: Axes, kept: Kept, say: Say) -> list[Markup]:
    """An upright line for each act, with its number at the foot; those that come soon after another stand higher."""
    parts: list[Markup] = []
    taken = [-100.0] * LEVELS
    for number, event in enumerate(kept["events"], 1):
        if event["at"] < axes.x.low:
            continue
        x, base = axes.at(event["at"], axes.y.low)
        top = axes.at(event["at"], axes.y.high)[1]
        level = next((i for i, last in enumerate(taken) if x - last > 2.4 * ROUND), LEVELS - 1)
        taken[level] = x
        y = base - 16 - level * 2.4 * ROUND
        colour = "rgb(var(--bad))" if event["act"] in TROUBLE else "rgb(var(--own))"
        parts.append(el("line", cls="ideal", x1=x, x2=x, y1=top, y2=base))
        parts.append(
            el(
                "g",
                el("title", say(TITLES[event["act"]])),
                el(
                    "circle", cx=x, cy=round(y, 1), r=ROUND, style=f"fill:var(--paper);stroke:{colour};stroke-width:1.5"
                ),
                el(
                    "text",
                    number,
                    x=x,
                    y=round(y + 4.2, 1),
                    text_anchor="middle",
                    style=f"fill:{colour};font-size:11.5px",
                ),
            )
        )
    return parts


def _acts(kept: Kept, say: Say) -> Markup:
    left = "text-align:left"
    heads = [("", None), (say("second"), None), (say("what happened"), left), (say("answers by"), None)]
    heads += [(say("answers"), None), (say("right"), None)]
    lines = [
        _act(number, event, span, say)
        for number, (event, span) in enumerate(zip(kept["events"], kept["spans"], strict=True), 1)
    ]
    top = el("tr", *[el("th", head, scope="col", style=style) for head, style in heads])
    table = el("table", el("thead", top), el("tbody", *lines))
    guide = say("Each act, and how the answers were from then until the next.")
    return section(say("The acts"), guide, el("div", table, cls="scroll"))


def _act(number: int, event: Mapping[str, Any], span: Mapping[str, Any], say: Say) -> Markup:
    left = "text-align:left;white-space:normal;min-width:15em"
    told = el("td", el("b", say(TITLES[event["act"]])), el("br"), say(event["template"], **event["values"]), style=left)
    by = ", ".join(f"@{version}" for version in span["versions"]) or "–"
    count, right, between = shown(span["share"])
    share = el("td", el("b", right), el("br"), el("small", between)) if right else el("td", "–")
    cells = [el("td", number), el("td", f"{event['at']:.0f}"), told, el("td", by), el("td", count or "–"), share]
    return el("tr", *cells)
