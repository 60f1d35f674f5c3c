"""The profile of data as parts of a page: what was found with the rows that show it, the columns, the labels.

>>> from lingqu.contract import Rows
>>> from lingqu.data.overview import look_over
>>> from lingqu.tasks import find_task
>>> rows = Rows({"text": ["a", "a", "b"], "label": ["<x>", "y", "y"]})
>>> told = look_over({"train": rows}, {"text": "text", "label": "label"}, find_task("text-classification"))
>>> "&lt;x&gt;" in findings(told, Words("en"))
True
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lingqu.data.overview import shown_number
from lingqu.evaluate.page.markup import Markup, el, join
from lingqu.evaluate.page.quality import section
from lingqu.evaluate.translation import Words

Profile = Mapping[str, Any]
MOST_LABELS = 40
WIDTH, HEIGHT = 160, 26


def findings(profile: Profile, say: Words) -> Markup:
    """What was found, warnings first, each with the rows that show it."""
    found = sorted(profile["findings"], key=lambda one: one["level"] != "warning")
    lines = [
        el(
            "li",
            el("b", say("Warning"), ": ") if one["level"] == "warning" else None,
            say.told(one["message"]),
            _rows(one["rows"], say),
        )
        for one in found
    ]
    guide = say("What is told is large enough to matter and could hardly come by chance.")
    content = el("ul", *lines, cls="notes") if lines else el("p", say("Nothing odd was found."))
    return section(say("Found in the data"), guide, content)


def _rows(rows: Sequence[Mapping[str, Any]], say: Words) -> Markup | None:
    if not rows:
        return None
    names = list(dict.fromkeys(name for row in rows for name in row))
    head = el("thead", el("tr", *[el("th", name, scope="col") for name in names]))
    lines = [el("tr", *[el("td", _cell(row.get(name))) for name in names]) for row in rows]
    table = el("div", el("table", head, el("tbody", *lines)), cls="scroll")
    return el("details", el("summary", say("{count} rows that show it", count=str(len(rows)))), table)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return shown_number(value) if isinstance(value, float) else str(value)


def columns(profile: Profile, say: Words) -> Markup:
    """Each column with its kind, what is missing, its range and how its values are spread."""
    names = (say("column"), say("kind"), say("missing"), say("different"), say("from"), say("middle"), say("to"), "")
    lines = [
        el(
            "tr",
            el("td", one["name"]),
            el("td", say(one["kind"])),
            el("td", f"{one['missing']:.1%}" if one["missing"] else "–"),
            el("td", "–" if one["different"] is None else f"{one['different']:,}"),
            *[el("td", shown_number(one[end]) if end in one else "") for end in ("low", "median", "high")],
            el("td", _bars(one["bars"], say) if "bars" in one else _common(one.get("common", []))),
        )
        for one in profile["columns"]
    ]
    head = el("thead", el("tr", *[el("th", name, scope="col") for name in names]))
    guide = say(
        "Numbers by their values, texts by their lengths in characters; bars leave out the outermost hundredth."
    )
    return section(say("Columns"), guide, el("div", el("table", head, el("tbody", *lines)), cls="scroll"))


def _bars(counts: Sequence[int], say: Words) -> Markup:
    """A small histogram."""
    most, wide = max(counts) or 1, WIDTH / len(counts)
    bars = [
        el(
            "rect",
            x=f"{i * wide:.1f}",
            y=f"{HEIGHT * (1 - n / most):.1f}",
            width=f"{wide - 1:.1f}",
            height=f"{HEIGHT * n / most:.1f}",
            cls="bar",
        )
        for i, n in enumerate(counts)
    ]
    label = say("histogram")
    size = f"width:{WIDTH}px;height:{HEIGHT}px"
    return el("svg", *bars, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=label, style=size)


def _common(common: Sequence[Sequence[Any]]) -> Markup:
    return join(", ".join(f"{value} ({count:,})" for value, count in common[:4]))


def labels(profile: Profile, say: Words) -> Markup | None:
    """How often each label stands in each split."""
    if not profile["labels"]:
        return None
    splits = list(profile["rows"])
    lines = [
        el("tr", el("td", one["label"]), *[el("td", _share(one[split], profile["rows"][split])) for split in splits])
        for one in profile["labels"][:MOST_LABELS]
    ]
    head = el("thead", el("tr", *[el("th", name, scope="col") for name in (say("label"), *map(say, splits))]))
    rest = len(profile["labels"]) - MOST_LABELS
    more = el("p", say("and {rest} more labels", rest=str(rest)), cls="more") if rest > 0 else None
    guide = say("How often each label stands in each split.")
    return section(say("Labels"), guide, el("div", el("table", head, el("tbody", *lines)), cls="scroll"), more)


def _share(count: int, total: int) -> Markup:
    return join(f"{count:,} ", el("small", f"{count / total:.1%}" if total else "–"))
