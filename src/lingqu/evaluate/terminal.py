"""The report for a terminal: what was decided and why, every metric with its interval drawn, the ladder, the weak spots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lingqu.evaluate.page.errors import column_name, part_name
from lingqu.evaluate.page.ladder import verdict
from lingqu.evaluate.page.versions import SEEN, answers, sentence
from lingqu.evaluate.translation import Words
from lingqu.evaluate.wording import VERDICTS, between, called, in_order, measured, milliseconds, seconds, size, title

Report = Mapping[str, Any]
_LEFT = frozenset(Words(language)(text) for text in ("95 % interval", "taken for") for language in ("en", "zh"))
WIDTH = 16
STYLES = {"promote": "bold green", "keep": "bold red", "not-enough-rows": "bold yellow", "unseen": "bold yellow"}


def show(report: Report, language: str = "en") -> RenderableType:
    """What `lingqu show` prints, in English (`en`) or Chinese (`zh`)."""
    say = Words(language)
    parts: list[RenderableType] = [_head(report, say), _metrics(report, say)]
    others = (_ladder, _learning, _slices, _confused, _gate)
    parts += [made for part in others if (made := part(report, say))]
    return Group(*(line for part in parts for line in (part, Text())))


def show_versions(compared: Mapping[str, Any], language: str = "en") -> RenderableType:
    """What `lingqu show NEW --against OLD` prints."""
    say = Words(language)
    new, old = compared["new"]["reference"], compared["old"]["reference"]
    table = _table(say("Metric"), new, old, say("Lead"), say("95 % interval"))
    for name, one in in_order(compared["metrics"], compared["decide_by"]).items():
        style, lead = "bold" if name == compared["decide_by"] else "", one["lead"]
        values = (measured(value) for value in (one["new"]["value"], one["old"]["value"], lead["value"]))
        table.add_row(Text(title(name, say), style=style), *values, Text(between(lead, say), style="dim"))
    changed = [one for one in compared["slices"] if one["p"] < SEEN]
    parts = _table(say("Changed where"), say("Rows"), say("Lead"), "p") if changed else None
    for one in changed[:10]:
        where = say("{column} is {part}", column=column_name(one, say), part=part_name(one, say))
        assert parts is not None
        parts.add_row(Text(where), f"{one['rows']:,}", measured(one["value"]), f"{one['p']:.2g}")
    told = [Text(sentence(compared, say), style="bold"), Text(answers(compared, say), style="dim")]
    return Group(*told, Text(), table, *([Text(), parts] if parts else []))


def _head(report: Report, say: Words) -> RenderableType:
    gate, speed = report.get("gate"), report["latency"]
    text = Text(called(report), style="bold")
    text.append(f"  {report['task']}\n", style="dim")
    if gate:
        text.append(say(VERDICTS[gate["decision"]]), style=STYLES[gate["decision"]])
        text.append("\n")
    facts = [
        say("{rows} test rows", rows=f"{report['rows']:,}"),
        say("{time} an answer", time=milliseconds(speed.get("p50_ms"))),
        say("{rows} rows a second", rows=f"{speed['rows_per_second']:,.0f}"),
        size(report["size"]["bytes"]),
    ]
    text.append(" · ".join(facts), style="dim")
    return text


def _metrics(report: Report, say: Words) -> RenderableType:
    baselines = report.get("baselines") or {}
    table = _table(say("Metric"), say("Value"), say("95 % interval"), *map(say.told, baselines))
    ordered = in_order(report["metrics"], report["decide_by"])
    wide = max((cell_len(between(one, say)) for one in ordered.values() if one.get("low") is not None), default=0)
    for metric, one in ordered.items():
        style = "bold" if metric == report["decide_by"] else ""
        beside = [measured((about["metrics"].get(metric) or {}).get("value")) for about in baselines.values()]
        table.add_row(
            Text(title(metric, say), style=style),
            Text(measured(one["value"]), style=style),
            _drawn(one, wide, say),
            *beside,
        )
    return table


def _drawn(one: Mapping[str, Any], wide: int, say: Words) -> Text:
    """An interval, and where it lies within 0 and 1 also as a line with its value as a dot; or why there is none.

    One cell holds both, so that a reason takes the room of the line.
    """
    text = Text(between(one, say), style="dim")
    low, high, value = one.get("low"), one.get("high"), one.get("value")
    if low is None or high is None or value is None or not 0 <= low <= high <= 1:
        return text
    places = [min(WIDTH - 1, int(x * WIDTH)) for x in (low, value, high)]
    cells = ["·" if i < places[0] or i > places[2] else "━" for i in range(WIDTH)]
    cells[places[1]] = "●"
    text.pad_right(wide - text.cell_len + 2)
    start = len(text)
    text.append("".join(cells))
    text.stylize("cyan", start + places[0], start + places[2] + 1)
    return text


def _ladder(report: Report, say: Words) -> RenderableType | None:
    rungs = report.get("ladder")
    if not rungs:
        return None
    table = _table(
        say("Model"),
        say("{metric} (validation)", metric=title(report["decide_by"], say)),
        say("95 % interval"),
        say("Trained in"),
        say("Size"),
        say("An answer"),
    )
    for rung in rungs:
        table.add_row(
            str(rung.get("recipe", "")),
            measured(rung.get("value")),
            Text(between(rung, say), style="dim"),
            seconds(rung.get("seconds")),
            size(rung.get("bytes")),
            milliseconds(rung.get("ms_per_row")),
        )
    return table


def _learning(report: Report, say: Words) -> RenderableType | None:
    told = [(rung["recipe"], rung["learning"]) for rung in report.get("ladder") or [] if rung.get("learning")]
    lines = [Text.assemble((f"{recipe}: ", "bold"), verdict(found, say)) for recipe, found in told]
    return Group(*lines) if lines else None


def _slices(report: Report, say: Words) -> RenderableType | None:
    worse = [one for one in report.get("slices", []) if one["worse"]]
    if not worse:
        return None
    table = _table(say("Weak where"), say("Rows"), title(worse[0]["metric"], say), say("95 % interval"))
    for one in worse[:10]:
        where = Text(say("{column} is {part}", column=column_name(one, say), part=part_name(one, say)))
        table.add_row(where, f"{one['rows']:,}", measured(one["value"]), Text(between(one, say), style="dim"))
    return table


def _confused(report: Report, say: Words) -> RenderableType | None:
    pairs = (report.get("confusion") or {}).get("pairs") or []
    if not pairs:
        return None
    table = _table(say("Most confused"), say("taken for"), say("Rows"))
    for pair in pairs[:5]:
        table.add_row(Text(pair["truth"]), Text(pair["prediction"]), f"{pair['rows']:,}")
    return table


def _gate(report: Report, say: Words) -> RenderableType | None:
    gate = report.get("gate")
    if not gate:
        return None
    text = Text(say.told(gate.get("sentence", "")), style=STYLES[gate["decision"]])
    for check in gate.get("checks", []):
        text.append("\n  ✓ " if check["passed"] else "\n  ✗ ", style="green" if check["passed"] else "red")
        text.append(f"{say.told(check['name'])}: {say.told(check['sentence'])}", style="not bold default")
    return text


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(first)
    for name in others:
        # Why there is no interval may be long; folded, it leaves the names and numbers of a narrow terminal whole.
        left = name in _LEFT
        table.add_column(name, justify="left" if left else "right", no_wrap=not left, overflow="fold")
    return table
