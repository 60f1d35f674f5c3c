"""How models show themselves in a notebook: a small card of plain facts, every word escaped, in the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from lingqu.contract.language import language_of

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle

CHINESE = {
    "task": "任务",
    "model": "模型",
    "reads": "输入",
    "answers with": "回答",
    "size": "大小",
    "gate": "关卡",
    "registered": "登记时间",
    "report": "报告",
    "metric": "指标",
    "value": "值",
    "95 % interval": "95 % 区间",
    "to": "至",
    "passed": "通过",
    "did not pass": "未通过",
    "cannot tell yet": "尚无法判断",
    "left to today's traffic": "留待今日流量证明",
    "a number": "一个数值",
    "{count} labels": "{count} 个标签",
    "more": "另有",
}
GATES = {
    "promote": "passed",
    "keep": "did not pass",
    "not-enough-rows": "cannot tell yet",
    "unseen": "left to today's traffic",
}
SHOWN = 6
KILO = 1000


def say(english: str, language: str | None = None, **values: Any) -> str:
    """The word in the language of this process, or the one that is given.

    >>> say("{count} labels", "zh", count=3)
    '3 个标签'
    """
    spoken = language or language_of("auto")
    return (CHINESE.get(english, english) if spoken == "zh" else english).format(**values)


def card(
    heading: str, facts: Mapping[str, str], metrics: Mapping[str, Mapping[str, Any]], language: str | None = None
) -> str:
    """A heading, facts by their name, and metrics with their intervals, as HTML without styles or scripts of its own.

    >>> shown = card("<b>", {"task": "t"}, {"f1": {"value": 0.9, "low": 0.85, "high": 0.94}}, "en")
    >>> "&lt;b&gt;" in shown, "0.850 to 0.940" in shown
    (True, True)
    """
    told = "".join(
        f"<tr><th style='text-align:left'>{escape(say(name, language))}</th><td style='text-align:left'>{escape(value)}</td></tr>"
        for name, value in facts.items()
        if value
    )
    return f"<div><p><b>{escape(heading)}</b></p><table>{told}</table>{_metrics(metrics, language)}</div>"


def _metrics(metrics: Mapping[str, Mapping[str, Any]], language: str | None) -> str:
    known = {name: one for name, one in metrics.items() if one.get("value") is not None}
    if not known:
        return ""
    heads = "".join(f"<th>{escape(say(name, language))}</th>" for name in ("metric", "value", "95 % interval"))
    lines = "".join(
        f"<tr><td style='text-align:left'>{escape(name)}</td><td>{_number(one['value'])}</td><td>{_between(one, language)}</td></tr>"
        for name, one in known.items()
    )
    return f"<table><tr>{heads}</tr>{lines}</table>"


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < KILO else f"{value:,.0f}"


def _between(one: Mapping[str, Any], language: str | None) -> str:
    if one.get("low") is None or one.get("high") is None:
        return ""
    return f"{_number(one['low'])} {escape(say('to', language))} {_number(one['high'])}"


def verdict(decision: Mapping[str, Any], language: str | None = None) -> str:
    """A gate's decision in a few words; nothing where there was none.

    >>> verdict({"decision": "keep", "metric": "f1", "difference": 0.01, "low": -0.02, "high": 0.04, "p": 0.3}, "en")
    'did not pass · f1 +0.010 (-0.020 to 0.040), p = 0.3'
    """
    if decision.get("decision") not in GATES:
        return ""
    told = say(GATES[decision["decision"]], language)
    if decision.get("difference") is None:
        return told
    between = _between(decision, language)
    lead = f"{'+' if decision['difference'] >= 0 else ''}{_number(decision['difference'])}"
    test = "" if decision.get("p") is None else f", p = {decision['p']:.2g}"
    return f"{told} · {decision['metric']} {lead}{f' ({between})' if between else ''}{test}"


def of_bundle(bundle: Bundle) -> str:
    """The card of a bundle: what it reads, what it answers with, how large and how good it is."""
    manifest, labels = bundle.manifest, bundle.memory.get("labels", [])
    columns = [f"{column['name']} ({column['kind']})" for column in manifest["columns"]]
    answers = f"{say('{count} labels', count=len(labels))}: {_some(labels)}" if labels else say("a number")
    found = manifest.get("metrics", {})
    ordered = {name: found[name] for name in (bundle.task.decide_by, *bundle.task.metrics) if name in found}
    facts = {
        "task": manifest["task"],
        "model": manifest.get("family", ""),
        "reads": _some(columns),
        "answers with": answers,
        "size": weight(bundle),
    }
    return card(str(manifest.get("name") or manifest["task"]), facts, ordered)


def weight(bundle: Bundle) -> str:
    """The size of all files of a bundle, as people say it."""
    count = sum(file.stat().st_size for file in bundle.path.rglob("*") if file.is_file())
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def _some(names: list[str]) -> str:
    rest = len(names) - SHOWN
    shown = ", ".join(map(str, names[:SHOWN]))
    return f"{shown} … ({say('more')} {rest:,})" if rest > 0 else shown
