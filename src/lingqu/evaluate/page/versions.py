"""Two versions side by side, as one HTML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lingqu.evaluate.page import document
from lingqu.evaluate.page.drawing import ends, row, scale_of, track
from lingqu.evaluate.page.errors import card, column_name, part_name
from lingqu.evaluate.page.markup import Markup, el, join
from lingqu.evaluate.page.plot import Scale
from lingqu.evaluate.page.quality import section
from lingqu.evaluate.translation import Words
from lingqu.evaluate.wording import between, in_order, measured, milliseconds, percent, size, title

Compared = Mapping[str, Any]
SEEN = 0.05
MOST_SLICES = 12


def write_versions(compared: Compared, language: str = "en") -> str:
    """The page of what `side_by_side` found, in English (`en`) or Chinese (`zh`)."""
    say = Words(language)
    new, old = compared["new"]["reference"], compared["old"]["reference"]
    heading = say("{new} against {old}", new=new, old=old)
    main = el(
        "main",
        _metrics(compared, say),
        _slices(compared, say),
        _cards(compared, "mended", say),
        _cards(compared, "broken", say),
    )
    foot = el(
        "footer",
        say("Intervals hold the true value 95 times in 100."),
        " ",
        say(
            "This comparison decides nothing and spends no error budget; whoever looks often at the same rows will see luck."
        ),
        " ",
        say("Mistakes show rows of your data: share the page as you would share the data."),
    )
    return document(heading, say, _header(compared, say), main, foot)


def sentence(compared: Compared, say: Words) -> str:
    """What the paired test says, in a sentence."""
    test = compared["test"]
    if test["value"] is None:
        return say("The metric that decides is not defined on these rows.")
    values = {
        "new": compared["new"]["reference"],
        "old": compared["old"]["reference"],
        "metric": title(test["metric"], say),
        "lead": measured(abs(test["value"])),
        "between": between(test, say),
        "rows": f"{compared['rows']:,}",
        "test": say.told(test["test"]),
        "p": f"{test['p']:.2g}",
    }
    if test["p"] >= SEEN and test["low"] is None:
        return say(
            "None of these {rows} rows tells {new} and {old} apart in {metric} ({test}, two-sided p = {p}).", **values
        )
    if test["p"] >= SEEN:
        return say(
            "These {rows} rows cannot tell {new} and {old} apart: the lead in {metric} lies within {between} ({test}, two-sided "
            "p = {p}).",
            **values,
        )
    if test["value"] > 0:
        return say(
            "{new} is better than {old} by {lead} in {metric} on {rows} rows ({test}, two-sided p = {p}).", **values
        )
    return say("{new} is worse than {old} by {lead} in {metric} on {rows} rows ({test}, two-sided p = {p}).", **values)


def _header(compared: Compared, say: Words) -> Markup:
    test, new, old = compared["test"], compared["new"], compared["old"]
    figure = el(
        "div",
        el(
            "div",
            "–" if test["value"] is None else f"{'+' if test['value'] > 0 else ''}{measured(test['value'])}",
            cls="figure",
        ),
        el(
            "div",
            el("b", say("lead in {metric}", metric=title(test["metric"], say))),
            f" {between(test, say)}",
            cls="what",
        ),
    )
    heads = [el("th", text, scope="col") for text in ("", new["reference"], old["reference"])]
    facts = (
        (say("Model"), new["family"], old["family"]),
        (say("trained"), new["at"][:16], old["at"][:16]),
        (say("all files"), size(new["bytes"]), size(old["bytes"])),
        (say("An answer"), milliseconds(new["ms_per_row"]), milliseconds(old["ms_per_row"])),
    )
    lines = [el("tr", *[el("td", cell) for cell in line]) for line in facts]
    table = el("table", el("thead", el("tr", *heads)), el("tbody", *lines))
    return el(
        "header",
        el("div", el("span", el("b", "灵渠 lingqu")), el("span", compared["task"]), cls="mark"),
        el("h1", new["reference"], el("small", say("against {old}", old=old["reference"]))),
        el("p", sentence(compared, say), cls="about"),
        el("div", figure, el("div", table, cls="scroll"), cls="hero"),
        _answers(compared, say),
    )


def _answers(compared: Compared, say: Words) -> Markup:
    """How many answers became better, stayed, and became worse, as one bar."""
    parts = ((compared["mended"]["rows"], "own"), (compared["same"], "even"), (compared["broken"]["rows"], "bad"))
    total = compared["rows"] or 1
    bar = el(
        "div",
        *[el("i", cls=cls, style=f"width:{100 * n / total:.2f}%") for n, cls in parts],
        cls="share three",
        aria_hidden="true",
    )
    return el("div", bar, el("p", answers(compared, say), cls="more", style="margin:0 0 12px"))


def answers(compared: Compared, say: Words) -> str:
    """How many answers became better, stayed, and became worse, in a sentence."""
    return say(
        "{mended} answers became better, {same} are as good as before, {broken} became worse.",
        mended=f"{compared['mended']['rows']:,}",
        same=f"{compared['same']:,}",
        broken=f"{compared['broken']['rows']:,}",
    )


def _metrics(compared: Compared, say: Words) -> Markup:
    found = in_order(compared["metrics"], compared["decide_by"])
    values = [
        one[side][end]
        for one in found.values()
        if one["higher_is_better"]
        for side in ("old", "new")
        for end in ("low", "value")
    ]
    shared = scale_of(values, bounded=True)
    blocks: list[Any] = [el("div", ends(shared), cls="rows")] if values else []
    for name, one in found.items():
        scale = shared
        if not one["higher_is_better"]:
            scale = scale_of([one[side][end] for side in ("old", "new") for end in ("high", "value")], bounded=False)
        lead = one["lead"]
        note = (
            say("lead {lead} ({between})", lead=measured(lead["value"]), between=between(lead, say))
            if lead["value"] is not None
            else say.told(lead["why"])
        )
        name_of = (
            title(name, say) if one["higher_is_better"] else say("{metric}, smaller is better", metric=title(name, say))
        )
        main = "main" if name == compared["decide_by"] else ""
        upper = row(name_of, note, track(one["new"], scale, say), one["new"], say, cls=main)
        lower = row("", compared["old"]["reference"], track(one["old"], scale, say), one["old"], say, cls="plain below")
        blocks.append(el("div", upper, lower, cls="rows pairrow"))
    guide = say(
        "Both on the same {rows} test rows, which neither was trained on: in colour {new}, grey {old}. A lead above zero means "
        "that {new} is better. Only the metric in colour is tested; the others are for looking.",
        rows=f"{compared['rows']:,}",
        new=compared["new"]["reference"],
        old=compared["old"]["reference"],
    )
    return section(say("Quality"), guide, *blocks)


def _slices(compared: Compared, say: Words) -> Markup | None:
    found = compared["slices"]
    if not found:
        return None
    reach = (
        max([abs(one[end]) for one in found for end in ("low", "high", "value") if one[end] is not None]) * 1.1 or 1.0
    )
    scale = Scale(-reach, reach)
    lines = [
        row(
            f"{column_name(one, say)}: {part_name(one, say)}",
            _note(one, say),
            track(one, scale, say, line=0.0),
            one,
            say,
            cls=_tone(one),
        )
        for one in found
    ]
    rest = lines[MOST_SLICES:]
    more = el("details", el("summary", say("{count} more parts", count=len(rest))), *rest) if rest else None
    units = {"labels": say("in accuracy"), "label-sets": say("in Hamming loss")}
    unit = units.get(compared["kind"]) or say("in mean squared error")
    guide = say(
        "By how much each part of at least 50 rows gained {unit}; right of the dashed line the new version is better. p is "
        "two-sided and adjusted for the number of parts (Holm).",
        unit=unit,
    )
    low, high = (el("span", f"{end:.2g}") for end in (-reach, reach))
    limits = el("div", el("div"), el("div", low, high, cls="ends"), el("div"), cls="scale", aria_hidden="true")
    return section(say("Parts of the data"), guide, el("div", limits, *lines[:MOST_SLICES], more, cls="rows"))


def _note(one: Mapping[str, Any], say: Words) -> str:
    return f"{say('{rows} rows', rows=format(one['rows'], ','))} · p = {one['p']:.2g}"


def _tone(one: Mapping[str, Any]) -> str:
    return "plain" if one["p"] >= SEEN else "worse" if one["value"] < 0 else ""


def _cards(compared: Compared, which: str, say: Words) -> Markup | None:
    found: Sequence[Mapping[str, Any]] = compared[which]["examples"]
    if not found:
        return None
    heading = say("Became better") if which == "mended" else say("Became worse")
    guide = say(
        "{count} of the {rows} answers ({share}), the surest first.",
        count=f"{compared[which]['rows']:,}",
        rows=f"{compared['rows']:,}",
        share=percent(compared[which]["rows"] / (compared["rows"] or 1)),
    )
    cards = [_card(one, say) for one in found]
    return section(heading, guide, el("div", *cards, cls="cards"))


def _card(one: Mapping[str, Any], say: Words) -> Markup:
    before = one["before"] if isinstance(one["before"], str) else measured(one["before"])
    return el("div", join(card(one, say)), el("p", say("before: {answer}", answer=before), cls="more"))
