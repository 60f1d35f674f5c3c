"""The end of the page: why it was promoted or not, what data it saw, and where everything came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from lingqu.evaluate.measures import APART, SAME, ends
from lingqu.evaluate.page import profile
from lingqu.evaluate.page.drawing import row, track
from lingqu.evaluate.page.markup import Markup, el, join
from lingqu.evaluate.page.plot import Scale
from lingqu.evaluate.page.quality import section
from lingqu.evaluate.translation import Words
from lingqu.evaluate.wording import percent, source_name, title

Report = Mapping[str, Any]
SPLITS = ("train", "validation", "test")
MOST_LABELS = 20


def gate(report: Report, say: Words) -> Markup | None:
    """The decision, the lead with its interval, and each check."""
    found = report.get("gate")
    if not found:
        return None
    checks = [
        el(
            "li",
            el(
                "span",
                cls="yes" if one["passed"] else "no",
                role="img",
                aria_label=say("passed") if one["passed"] else say("failed"),
            ),
            el("span", el("b", say.told(one["name"])), ": ", say.told(one["sentence"])),
        )
        for one in found.get("checks", [])
    ]
    rival = say("its baseline") if found.get("first") else say("the champion")
    asked = {one["name"] for one in found.get("checks", [])}
    guide = say(
        "The model against {rival} on the same rows. Luck alone passes this gate at most {alpha} of the time in this round; "
        "all rounds together stay within the budget."
        if not asked or "better" in asked
        else "The model against {rival} on the same rows, where it only has to do no harm. Today's traffic has to prove "
        "that it is better: luck alone brings this one through at most {alpha} of the time, and all that try against one "
        "champion stay within the budget.",
        rival=rival,
        alpha=percent(found["alpha"]),
    )
    return section(
        say("Gate"),
        guide,
        el("p", say.told(found.get("sentence", "")), cls="lead"),
        _lead(found, rival, say),
        el("ul", *checks, cls="checks"),
    )


def _lead(found: Mapping[str, Any], rival: str, say: Words) -> Markup | None:
    if found.get("low") is None or found.get("difference") is None:
        return None
    value, low, high = (found[name] for name in ("difference", "low", "high"))
    one = {"value": value, **ends(low, high, SAME if value else APART)}
    reach = max(abs(low), abs(high)) * 1.15 or 1.0
    scale = Scale(-reach if low < 0 else -0.15 * reach, reach)
    name = say("Lead in {metric} over {rival}", metric=title(found["metric"], say), rival=rival)
    drawn = row(name, say("the dashed line is no difference"), track(one, scale, say, line=0.0), one, say, cls="main")
    return el("div", drawn, cls="rows", style="margin-bottom:28px")


def data(report: Report, say: Words) -> list[Markup]:
    """How many rows in which split, which labels, and the profile of the rows: columns, and what is odd."""
    found = report.get("data")
    if not found:
        return []
    counts = {split: found.get("counts", {}).get(split, 0) for split in SPLITS}
    total = sum(counts.values()) or 1
    share = el(
        "div",
        *[el("i", style=f"width:{100 * n / total:.2f}%") for n in counts.values()],
        cls="share",
        aria_hidden="true",
    )
    told = el(
        "p", " · ".join(f"{n:,} {say(split)}" for split, n in counts.items()), cls="more", style="margin:0 0 28px"
    )
    guide = say(
        "{rows} rows of {source}. A row stays in its split for ever; near-duplicates stay together.",
        rows=f"{total:,}",
        source=source_name(report),
    )
    look, quarantined = report.get("profile"), found.get("quarantined") or 0
    doubts = [report["doubts"]] if report.get("doubts") else []
    labels = _labels(found.get("labels") or {}, say)
    if look:
        own = section(say("Data"), guide, share, told, labels)
        look = {**look, "findings": [*look["findings"], *doubts]}
        return [own, profile.columns(look, say), profile.findings(look, say, quarantined)]
    kinds = [el("li", name, el("span", say(kind))) for name, kind in dict(found.get("kinds") or ()).items()]
    chips = join(el("h3", say("Columns")), el("ul", *kinds, cls="chips")) if kinds else None
    bare = {"findings": [{"level": "note", "rows": [], **one} for one in (*(found.get("findings") or []), *doubts)]}
    return [section(say("Data"), guide, share, told, labels, chips), profile.findings(bare, say, quarantined)]


def _labels(counts: Mapping[str, int], say: Words) -> Markup | None:
    if not counts:
        return None
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    most, total = ordered[0][1], sum(counts.values())
    cells = [
        (el("span", label), el("i", style=f"width:{100 * n / most:.2f}%"), el("span", f"{n:,} · {percent(n / total)}"))
        for label, n in ordered[:MOST_LABELS]
    ]
    rest = len(ordered) - MOST_LABELS
    more = el("p", say("and {count} more labels", count=rest), cls="more") if rest > 0 else None
    return join(el("h3", say("Labels in all rows")), el("div", *cells, cls="bars"), more)


def lineage(report: Report, say: Words) -> Markup | None:
    """The hashes that everything is found by, and the settings that made it."""
    found = report.get("lineage") or {}
    terms = [(el("dt", say.told(_words(key))), el("dd", el("code", value))) for key, value in _flat(found)]
    sources = ((report.get("data") or {}).get("sources") or {}).items()
    terms += [(el("dt", _source(split, say)), el("dd", el("code", digest))) for split, digest in sources]
    spec = report.get("spec")
    if not terms and not spec:
        return None
    settings = None
    if spec:
        shown = {**spec, "data": {**spec.get("data", {}), "source": source_name(report)}}
        text = yaml.safe_dump(shown, sort_keys=False, allow_unicode=True)
        settings = el("details", el("summary", say("Every setting of this run")), el("pre", el("code", text)))
    guide = say("Everything is found by the SHA-256 of its content, so what stands here is what was measured.")
    return section(say("Where it comes from"), guide, el("dl", *terms, cls="ids") if terms else None, settings)


def _source(split: str, say: Words) -> str:
    """What was read for a split; what people said has words of its own, since a column may be called feedback too."""
    return say("learned from feedback") if split == "feedback" else say("read for {split}", split=say(split))


def _flat(found: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    for key, value in found.items():
        name = f"{above} {key}".strip()
        lines += _flat(value, name) if isinstance(value, Mapping) else [(name, str(value))]
    return lines


def _words(key: str) -> str:
    return key.replace("_", " ")
