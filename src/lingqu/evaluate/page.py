"""The report as one HTML file: no script, no outside address, every word from data escaped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lingqu.evaluate import page_errors, page_quality, page_record
from lingqu.evaluate.markup import Markup, el
from lingqu.evaluate.style import STYLE
from lingqu.evaluate.wording import VERDICTS, between, called, headline, measured, milliseconds, size, title

Report = Mapping[str, Any]
# Nothing but the page itself may be loaded or run, should anything ever slip through.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write_page(report: Report) -> str:
    """The whole page as text.

    >>> page = write_page({"task": "t", "about": "<b>", "kind": "numbers", "decide_by": "mae", "rows": 2, "latency": {},
    ...     "size": {"bytes": 10}, "metrics": {"mae": {"value": 1.0, "low": 0.5, "high": 2.0, "higher_is_better": False}}})
    >>> "&lt;b&gt;" in page, "<script" in page
    (True, False)
    """
    parts = [
        page_quality.metrics(report),
        page_record.gate(report),
        page_errors.confusion(report),
        page_errors.labels(report),
        page_errors.honesty(report),
        page_errors.slices(report),
        page_errors.mistakes(report),
        page_quality.ladder(report),
        page_record.data(report),
        page_record.lineage(report),
    ]
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width,initial-scale=1"),
        el("meta", http_equiv="Content-Security-Policy", content=POLICY),
        el("title", f"{called(report)}: report"),
        el("style", Markup(STYLE)),
    )
    body = el("body", _header(report), el("main", *parts), _footer(report))
    return f"<!doctype html>\n{el('html', head, body, lang='en')}\n"


def _header(report: Report) -> Markup:
    gate = report.get("gate")
    verdict = None
    if gate:
        pill = el("span", VERDICTS[gate["decision"]], cls=f"pill {gate['decision']}")
        verdict = el("div", pill, el("p", _because(gate)), cls="verdict")
    return el(
        "header",
        el("div", el("span", el("b", "灵渠 lingqu")), el("span", report["task"]), cls="mark"),
        el("h1", report.get("name") or report["task"], _version(report)),
        el("p", report["about"], cls="about"),
        verdict,
        _hero(report),
        _facts(report),
    )


def _version(report: Report) -> Markup | None:
    return el("small", f"version {report['version']}") if report.get("version") else None


def _because(gate: Mapping[str, Any]) -> str:
    if gate["decision"] == "not-enough-rows":
        return f"Ahead, but not provably: about {gate['missing_rows']:,} more test rows would tell."
    rival = "its baseline" if gate.get("first") else "the champion"
    failed = [check["name"] for check in gate.get("checks", []) if not check["passed"]]
    if failed:
        return f"Did not pass: {', '.join(failed)}."
    return f"It leads {rival} on the same {gate['rows']:,} rows, p = {gate['p']:.2g} < {gate['alpha']:.2g}."


def _hero(report: Report) -> Markup:
    one, name = headline(report), report["decide_by"]
    figure = el(
        "div",
        el("div", measured(one["value"]), cls="figure"),
        el("div", el("b", title(name)), f" {between(one)}", cls="what"),
    )
    return el("div", figure, page_quality.contest(report), cls="hero")


def _facts(report: Report) -> Markup:
    speed, weight = report["latency"], report["size"]
    facts = [
        (f"{report['rows']:,}", "test rows"),
        (milliseconds(speed.get("p50_ms")), f"an answer; 95 % within {milliseconds(speed.get('p95_ms'))}"),
        (f"{speed['rows_per_second']:,.0f}" if speed.get("rows_per_second") else "–", "rows a second in batches"),
        (size(weight.get("bytes")), "all files"),
        (milliseconds(weight.get("load_ms")), "to load, hashes checked"),
    ]
    return el("dl", *[el("div", el("dd", value), el("dt", label)) for value, label in facts], cls="facts")


def _footer(report: Report) -> Markup:
    groups = f", whole groups at a time ({report['groups']:,} groups)" if report.get("groups") else ""
    told = (
        f"Intervals hold the true value 95 times in 100. They come from {report.get('bootstrap', 0):,} resamples of the test "
        f"rows{groups}; shares of rows have exact (Clopper–Pearson) ones. Times were measured on the machine that made this "
        "page. Mistakes show rows of your data: share the page as you would share the data."
    )
    return el("footer", told)
