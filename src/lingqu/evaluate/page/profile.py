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
from lingqu.evaluate.page.errors import SMALL_PICTURE
from lingqu.evaluate.page.markup import Markup, breakable, el, join
from lingqu.evaluate.page.quality import section
from lingqu.evaluate.translation import Words

Profile = Mapping[str, Any]
MOST_LABELS = 40
MOST_COLUMNS = 300
"""A page of thousands of columns would be too heavy to open."""
SHOWN_VALUES = 4
THOUSANDTH = 0.001
WIDTH, HEIGHT = 160, 26
BADGES = {
    "constant": "constant",
    "conflicting-labels": "twins disagree",
    "encoding": "wrong encoding",
    "not-a-feature-id": "id-like",
    "imbalance": "uneven",
    "imbalanced": "uneven",
    "label-noise": "doubtful labels",
    "leak": "tells the answer",
    "missing": "missing",
    "missing-values": "missing",
    "mute-texts": "no letters",
    "new-category": "new in the test rows",
    "outliers": "far values",
    "range": "other range in the test rows",
    "rare-class": "rare labels",
    "unit": "other unit in the test rows",
}
"""What the codes of findings are called beside a column's name."""


def findings(profile: Profile, say: Words, quarantined: int = 0) -> Markup:
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
    if quarantined:
        lines.append(el("li", say("{count} broken rows were set aside.", count=f"{quarantined:,}")))
    guide = say(
        "Looked for: missing, far and damaged values, columns that hold one value or know the answer, repeated rows, twins with "
        "different labels, rare labels, test rows unlike training rows. What is told is large enough to matter and could "
        "hardly come by chance."
    )
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


def _cell(value: Any) -> Markup | str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        small = len(value["picture"]) < SMALL_PICTURE
        return el("img", src=value["picture"], alt="", cls=f"pic{' small' * small}")
    return shown_number(value) if isinstance(value, float) else str(value)


def columns(profile: Profile, say: Words) -> Markup:
    """Each column with its kind, what is missing, its range, how its values are spread, and what was found about it."""
    names = (say("column"), say("kind"), say("missing"), say("different"), say("from"), say("middle"), say("to"), "")
    shown = profile["columns"][:MOST_COLUMNS]
    odd: dict[str, list[str]] = {}
    for one in profile["findings"]:
        odd.setdefault(one["column"], []).append(one["code"])
    lines = [_column(one, odd.get(one["name"], []), say) for one in shown]
    head = el("thead", el("tr", *[el("th", name, scope="col") for name in names]))
    rest = len(profile["columns"]) - len(shown)
    more = el("p", say("{count} more columns", count=f"{rest:,}"), cls="more") if rest else None
    guide = say(
        "Numbers by their values, texts by their lengths in characters; bars leave out the outermost hundredth."
    )
    return section(say("Columns"), guide, el("div", el("table", head, el("tbody", *lines)), cls="scroll"), more)


def _column(one: Mapping[str, Any], codes: Sequence[str], say: Words) -> Markup:
    badges = [el("span", say(BADGES[code]), cls="badge") for code in dict.fromkeys(codes) if code in BADGES]
    return el(
        "tr",
        el("td", breakable(one["name"]), *badges),
        el("td", say(one["kind"])),
        el("td", _missing(one["missing"])),
        el("td", "–" if one["different"] is None else f"{one['different']:,}"),
        *[el("td", shown_number(one[end]) if end in one else "") for end in ("low", "median", "high")],
        el("td", _bars(one["bars"], say) if "bars" in one else _common(one.get("common", [])), cls="spread"),
    )


def _missing(share: float) -> Markup | str:
    """The share as a number over its bar."""
    if not share:
        return "–"
    told = f"{share:.1%}" if share >= THOUSANDTH else "< 0.1%"
    return join(told, el("span", el("i", style=f"width:{100 * share:.1f}%"), cls="gone", aria_hidden="true"))


def _bars(counts: Sequence[int], say: Words) -> Markup:
    """A small histogram, drawn in one stroke."""
    most, wide = max(counts) or 1, WIDTH / len(counts)
    path = "".join(
        f"M{i * wide:.0f} {HEIGHT}V{HEIGHT * (1 - n / most):.1f}h{wide - 1:.0f}V{HEIGHT}z"
        for i, n in enumerate(counts)
        if n
    )
    size = f"width:{WIDTH}px;height:{HEIGHT}px"
    drawn = el("path", d=path, cls="bar")
    return el("svg", drawn, viewBox=f"0 0 {WIDTH} {HEIGHT}", role="img", aria_label=say("histogram"), style=size)


def _common(common: Sequence[Sequence[Any]]) -> Markup:
    """The values that occur most, as bars of how often they do."""
    most = max((count for _, count in common), default=1)
    cells = [
        (el("span", value), el("i", style=f"width:{100 * count / most:.0f}%"), el("span", f"{count:,}"))
        for value, count in common[:SHOWN_VALUES]
    ]
    return el("div", *cells, cls="bars") if cells else join()


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
