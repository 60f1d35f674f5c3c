"""The report as one HTML file: no script, no outside address, every word from data escaped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lingqu.evaluate.page import curves, errors, explanations, ladder, quality, record
from lingqu.evaluate.page.markup import Markup, el
from lingqu.evaluate.page.style import STYLE
from lingqu.evaluate.translation import Words
from lingqu.evaluate.wording import VERDICTS, between, called, headline, measured, milliseconds, size, title

Report = Mapping[str, Any]
# Nothing but the page itself may be loaded or run, should anything ever slip through.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def write_page(report: Report, language: str = "en") -> str:
    """The whole page as text, in English (`en`) or Chinese (`zh`).

    >>> page = write_page({"task": "t", "about": "<b>", "kind": "numbers", "decide_by": "mae", "rows": 2, "latency": {},
    ...     "size": {"bytes": 10}, "metrics": {"mae": {"value": 1.0, "low": 0.5, "high": 2.0, "higher_is_better": False}}})
    >>> "&lt;b&gt;" in page, "<script" in page
    (True, False)
    """
    say = Words(language)
    parts = [
        quality.metrics(report, say),
        record.gate(report, say),
        errors.confusion(report, say),
        errors.labels(report, say),
        curves.curves(report, say),
        errors.honesty(report, say),
        errors.slices(report, say),
        errors.mistakes(report, say),
        explanations.importance(report, say),
        explanations.examples(report, say),
        ladder.ladder(report, say),
        ladder.learning(report, say),
        record.data(report, say),
        record.lineage(report, say),
    ]
    heading = say("{name}: report", name=called(report))
    return document(heading, say, _header(report, say), el("main", *parts), _footer(report, say))


def document(heading: str, say: Words, *parts: Any) -> str:
    """A whole file around these parts."""
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width,initial-scale=1"),
        el("meta", http_equiv="Content-Security-Policy", content=POLICY),
        el("title", heading),
        el("style", Markup(STYLE)),
    )
    language = "zh-CN" if say.language == "zh" else "en"
    return f"<!doctype html>\n{el('html', head, el('body', *parts), lang=language)}\n"


def _header(report: Report, say: Words) -> Markup:
    gate = report.get("gate")
    verdict = None
    if gate:
        pill = el("span", say(VERDICTS[gate["decision"]]), cls=f"pill {gate['decision']}")
        verdict = el("div", pill, el("p", because(gate, say)), cls="verdict")
    return el(
        "header",
        el("div", el("span", el("b", "灵渠 lingqu")), el("span", report["task"]), cls="mark"),
        el("h1", report.get("name") or report["task"], _version(report, say)),
        el("p", say.told(report["about"]), cls="about"),
        verdict,
        _hero(report, say),
        _facts(report, say),
    )


def _version(report: Report, say: Words) -> Markup | None:
    return el("small", say("version {number}", number=report["version"])) if report.get("version") else None


def because(gate: Mapping[str, Any], say: Words) -> str:
    """Why the gate decided so, in one line."""
    if gate["decision"] == "not-enough-rows":
        missing = f"{gate['missing_rows']:,}"
        return say("Ahead, but not provably: about {missing} more test rows would tell.", missing=missing)
    failed = [say.told(check["name"]) for check in gate.get("checks", []) if not check["passed"]]
    if failed:
        return say("Did not pass: {failed}.", failed=", ".join(failed))
    if gate["decision"] == "unseen":
        return say(
            "It does no harm on the {rows} test rows; today's traffic has to prove it.", rows=f"{gate['rows']:,}"
        )
    numbers = {"rows": f"{gate['rows']:,}", "p": f"{gate['p']:.2g}", "alpha": f"{gate['alpha']:.2g}"}
    if gate.get("first"):
        return say("It leads its baseline on the same {rows} rows, p = {p} < {alpha}.", **numbers)
    return say("It leads the champion on the same {rows} rows, p = {p} < {alpha}.", **numbers)


def _hero(report: Report, say: Words) -> Markup:
    one, name = headline(report), report["decide_by"]
    figure = el(
        "div",
        el("div", measured(one["value"]), cls="figure"),
        el("div", el("b", title(name, say)), f" {between(one, say)}", cls="what"),
    )
    return el("div", figure, quality.contest(report, say), cls="hero")


def _facts(report: Report, say: Words) -> Markup:
    speed, weight = report["latency"], report["size"]
    facts = [
        (f"{report['rows']:,}", say("test rows")),
        (milliseconds(speed.get("p50_ms")), say("an answer; 95 % within {p95}", p95=milliseconds(speed.get("p95_ms")))),
        (f"{speed['rows_per_second']:,.0f}" if speed.get("rows_per_second") else "–", say("rows a second in batches")),
        (size(weight.get("bytes")), say("all files")),
        (milliseconds(weight.get("load_ms")), say("to load, hashes checked")),
    ]
    return el("dl", *[el("div", el("dd", value), el("dt", label)) for value, label in facts], cls="facts")


def _footer(report: Report, say: Words) -> Markup:
    count = f"{report.get('bootstrap', 0):,}"
    resampled = (
        say(
            "They come from {count} resamples of whole groups of test rows ({groups} groups)",
            count=count,
            groups=f"{report['groups']:,}",
        )
        if report.get("groups")
        else say("They come from {count} resamples of the test rows", count=count)
    )
    return el(
        "footer",
        say("Intervals hold the true value 95 times in 100."),
        " ",
        resampled,
        say("; shares of rows have exact (Clopper–Pearson) ones."),
        " ",
        say("Times were measured on the machine that made this page."),
        " ",
        say("Mistakes show rows of your data: share the page as you would share the data."),
    )
