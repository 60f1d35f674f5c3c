"""The report for a terminal: what was decided and why, every metric with its interval drawn, the ladder, the weak spots."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lingqu.evaluate.wording import VERDICTS, between, called, in_order, measured, milliseconds, seconds, size, title

Report = Mapping[str, Any]
WIDTH = 16
STYLES = {"promote": "bold green", "keep": "bold red", "not-enough-rows": "bold yellow"}


def show(report: Report) -> RenderableType:
    """What `lingqu show` prints; it also shows itself in a notebook."""
    parts: list[RenderableType] = [_head(report), _metrics(report)]
    parts += [part for part in (_ladder(report), _slices(report), _confused(report), _gate(report)) if part]
    return Group(*(line for part in parts for line in (part, Text())))


def _head(report: Report) -> RenderableType:
    gate, speed = report.get("gate"), report["latency"]
    text = Text(called(report), style="bold")
    text.append(f"  {report['task']}\n", style="dim")
    if gate:
        text.append(VERDICTS[gate["decision"]], style=STYLES[gate["decision"]])
        text.append("\n")
    facts = [
        f"{report['rows']:,} test rows",
        f"{milliseconds(speed.get('p50_ms'))} an answer",
        f"{speed['rows_per_second']:,.0f} rows a second",
        size(report["size"]["bytes"]),
    ]
    text.append(" · ".join(facts), style="dim")
    return text


def _metrics(report: Report) -> RenderableType:
    baselines = report.get("baselines") or {}
    table = _table("Metric", "Value", "95 % interval", "", *baselines)
    for metric, one in in_order(report["metrics"], report["decide_by"]).items():
        style = "bold" if metric == report["decide_by"] else ""
        beside = [measured((about["metrics"].get(metric) or {}).get("value")) for about in baselines.values()]
        table.add_row(
            Text(title(metric), style=style),
            Text(measured(one["value"]), style=style),
            Text(between(one), style="dim"),
            _drawn(one),
            *beside,
        )
    return table


def _drawn(one: Mapping[str, Any]) -> Text:
    """An interval within 0 and 1 as a line with its value as a dot; nothing where it lies elsewhere."""
    low, high, value = one.get("low"), one.get("high"), one.get("value")
    if low is None or high is None or value is None or not 0 <= low <= high <= 1:
        return Text("")
    places = [min(WIDTH - 1, int(x * WIDTH)) for x in (low, value, high)]
    cells = ["·" if i < places[0] or i > places[2] else "━" for i in range(WIDTH)]
    cells[places[1]] = "●"
    text = Text("".join(cells), style="dim")
    text.stylize("cyan", places[0], places[2] + 1)
    return text


def _ladder(report: Report) -> RenderableType | None:
    rungs = report.get("ladder")
    if not rungs:
        return None
    table = _table(
        "Model", f"{title(report['decide_by'])} (validation)", "95 % interval", "Trained in", "Size", "An answer"
    )
    for rung in rungs:
        table.add_row(
            str(rung.get("recipe", "")),
            measured(rung.get("value")),
            Text(between(rung), style="dim"),
            seconds(rung.get("seconds")),
            size(rung.get("bytes")),
            milliseconds(rung.get("ms_per_row")),
        )
    return table


def _slices(report: Report) -> RenderableType | None:
    worse = [one for one in report.get("slices", []) if one["worse"]]
    if not worse:
        return None
    table = _table("Weak where", "Rows", title(worse[0]["metric"]), "95 % interval")
    for one in worse[:10]:
        where = Text(f"{one['column']} is {one['slice']}")
        table.add_row(where, f"{one['rows']:,}", measured(one["value"]), Text(between(one), style="dim"))
    return table


def _confused(report: Report) -> RenderableType | None:
    pairs = (report.get("confusion") or {}).get("pairs") or []
    if not pairs:
        return None
    table = _table("Most confused", "taken for", "Rows")
    for pair in pairs[:5]:
        table.add_row(Text(pair["truth"]), Text(pair["prediction"]), f"{pair['rows']:,}")
    return table


def _gate(report: Report) -> RenderableType | None:
    gate = report.get("gate")
    if not gate:
        return None
    text = Text(gate.get("sentence", ""), style=STYLES[gate["decision"]])
    for check in gate.get("checks", []):
        text.append("\n  ✓ " if check["passed"] else "\n  ✗ ", style="green" if check["passed"] else "red")
        text.append(f"{check['name']}: {check['sentence']}", style="not bold default")
    return text


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="left" if name in ("", "95 % interval", "taken for") else "right", no_wrap=True)
    return table
