"""The model card: README.md with the Hub's front matter, so that a bundle explains itself wherever it is put.

The fields are those of the Hub's model card specification: license, language, library_name, tags, pipeline_tag, metrics
and model-index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from lingqu.evaluate.wording import between, called, in_order, measured, milliseconds, size, source_name, title

Report = Mapping[str, Any]
ANSWERS = {
    "labels": "a label with the probability of each",
    "label-sets": "any number of labels with the probability of each",
    "numbers": "a number with its range",
}


def card(report: Report) -> str:
    """The text of a model card for this report."""
    parts = [
        _front_matter(report),
        f"# {_plain(called(report))}\n\n{_plain(report['about'])}",
        _use(report),
        _evaluation(report),
        _limits(report),
        _gate(report),
        _data(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(report: Report) -> str:
    name = called(report)
    results = [
        {"type": metric, "name": title(metric), "value": round(one["value"], 6)}
        for metric, one in in_order(report["metrics"], report["decide_by"]).items()
        if one["value"] is not None
    ]
    matter = {
        "license": report.get("license", "other"),
        **({"language": report["languages"]} if report.get("languages") else {}),
        "library_name": "lingqu",
        "tags": ["lingqu", "onnx", *({_family(report)} - {""})],
        # The Hub has one tag for one label and for several.
        "pipeline_tag": report["task"].removeprefix("multi-label-"),
        "metrics": list(report["metrics"]),
        "model-index": [
            {
                "name": name,
                "results": [
                    {
                        "task": {"type": report["task"]},
                        "dataset": {"type": "own", "name": source_name(report), "split": "test"},
                        "metrics": results,
                    }
                ],
            }
        ],
    }
    return f"---\n{yaml.safe_dump(matter, sort_keys=False, allow_unicode=True)}---"


def _family(report: Report) -> str:
    return str(report.get("family") or "")


def _use(report: Report) -> str:
    columns = ", ".join(_code(name) for name in report["columns"][:20])
    answer = ANSWERS[report["kind"]]
    return (
        f"## Use\n\nIt takes {columns} and answers with {answer}.\n\n"
        '```python\nimport lingqu\n\nmodel = lingqu.load("path/to/this/folder")\nanswers = model.predict(rows)\n```\n\n'
        "Reading it needs `pip install lingqu`; it never runs code from these files."
    )


def _evaluation(report: Report) -> str:
    baselines = report.get("baselines") or {}
    names = list(baselines)
    head = ["Metric", "Value", "95 % interval", *[_plain(name) for name in names]]
    lines = [
        [
            title(metric),
            measured(one["value"]),
            between(one),
            *[measured((baselines[name]["metrics"].get(metric) or {}).get("value")) for name in names],
        ]
        for metric, one in in_order(report["metrics"], report["decide_by"]).items()
    ]
    speed, weight = report["latency"], report["size"]
    return (
        f"## Evaluation\n\nMeasured on {report['rows']:,} test rows that nothing was fitted on, from this very bundle.\n\n"
        f"{_table(head, lines)}\n\n"
        f"One answer takes {milliseconds(speed.get('p50_ms'))} (95th percentile {milliseconds(speed.get('p95_ms'))}) on the "
        f"machine that made the report; the files weigh {size(weight['bytes'])}."
    )


def _limits(report: Report) -> str:
    """Where the model is weakest: the slices that are provably worse, and the labels that it finds least."""
    worse = [one for one in report.get("slices", []) if one["worse"]]
    lines = [
        [_plain(one["column"]), _plain(one["slice"]), f"{one['rows']:,}", measured(one["value"]), between(one)]
        for one in worse
    ]
    told = (
        "No part of the test rows is provably worse than the whole." if not lines else "Provably worse than the whole:"
    )
    table = (
        f"\n\n{_table(['Column', 'Part', 'Rows', title(worse[0]['metric']), '95 % interval'], lines)}" if lines else ""
    )
    weak = sorted((one for one in report.get("by_label", []) if one["rows"]), key=lambda one: one["recall"]["value"])[
        :5
    ]
    labels = [
        [_plain(o["label"]), f"{o['rows']:,}", measured(o["recall"]["value"]), between(o["recall"])] for o in weak
    ]
    found = f"\n\n{_table(['Label', 'Rows', 'Share found', '95 % interval'], labels)}" if labels else ""
    return f"## Limits\n\n{told}{table}{found}\n\nOn rows unlike the training rows nothing is promised."


def _gate(report: Report) -> str:
    gate = report.get("gate")
    if not gate:
        return ""
    checks = [["passed" if one["passed"] else "**failed**", _plain(one["sentence"])] for one in gate.get("checks", [])]
    return f"## Gate\n\n{_plain(gate.get('sentence', ''))}\n\n{_table(['', 'Check'], checks)}"


def _data(report: Report) -> str:
    data = report.get("data") or {}
    if not data:
        return ""
    counts = ", ".join(f"{count:,} {split}" for split, count in data.get("counts", {}).items())
    hashes = "\n".join(f"- {_code(value)}" for value in dict.fromkeys((data.get("sources") or {}).values()))
    return f"## Data\n\nVersion {_code(data.get('id', ''))}: {counts} rows.\n\nSHA-256 of what was read:\n\n{hashes}"


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rule = " | ".join("---" for _ in head)
    return "\n".join(f"| {' | '.join(line)} |" for line in [head, [rule], *lines])


def _code(text: Any) -> str:
    """Text from data between backticks, which nothing but a backtick ends."""
    return f"`{' '.join(str(text).split()).replace('`', chr(39))}`"


def _plain(text: Any) -> str:
    """Text from data, made harmless in a Markdown table: no markup, no line breaks."""
    flat = " ".join(str(text).split()).replace("\\", "\\\\")
    for mark in "|`*_[]<>":
        flat = flat.replace(mark, f"\\{mark}")
    return flat
