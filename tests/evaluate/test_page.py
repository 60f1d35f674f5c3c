"""The page, the terminal and the card: whole, safe whatever the data holds, and readable in two languages."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from io import StringIO
from typing import Any

import pytest
import yaml
from rich.console import Console, RenderableType

from lingqu.contract import LabelScores
from lingqu.evaluate.card import card
from lingqu.evaluate.gate import decide
from lingqu.evaluate.learning import diagnose
from lingqu.evaluate.page import write_page
from lingqu.evaluate.terminal import show
from lingqu.tasks import find_task

pytestmark = pytest.mark.heavy

Reports = dict[str, dict[str, Any]]
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)> | `x` 中文"
EMPTY = {"meta", "img", "br", "wbr", "line", "circle", "rect", "path", "polyline", "polygon"}


HISTORY = [{"epoch": i, "loss": 1 / i, "validation": v} for i, v in enumerate([0.9, 0.6, 0.5, 0.7, 0.8], 1)]


class Reader(HTMLParser):
    """Counts elements and checks that each is closed in its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag in EMPTY or self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    return reader


def printed(what: RenderableType, width: int = 110) -> str:
    screen = StringIO()
    Console(width=width, file=screen).print(what)
    return screen.getvalue()


def whole(report: dict[str, Any], decision: str = "promote") -> dict[str, Any]:
    """A report with everything that a run adds to it."""
    right, wrong = LabelScores.of({"a": 0.9, "b": 0.1}), LabelScores.of({"a": 0.1, "b": 0.9})
    sides = {"promote": (wrong, right), "keep": (right, wrong), "not-enough-rows": (right, right)}[decision]
    some = [sides[1]] * 3 + [right] * 57 if decision == "not-enough-rows" else [sides[1]] * 60
    old = [wrong] * 3 + [right] * 57 if decision == "not-enough-rows" else [sides[0]] * 60
    task = find_task("text-classification")
    task.decide_by = "accuracy"  # type: ignore[misc]  # Of this instance only.
    gate = decide(task, ["a"] * 60, old, some, alpha=0.025, margin=0.01, first=True)
    assert gate.decision == decision
    rung = {"metric": "f1", "value": 0.9, "low": 0.88, "high": 0.92, "seconds": 1.5, "bytes": 2048, "ms_per_row": 0.2}
    return {
        **json.loads(json.dumps(report)),
        "name": "工单",
        "version": 3,
        "ladder": [
            {"recipe": "linear", **rung},
            {
                "recipe": "bilstm",
                **rung,
                "value": 0.91,
                "seconds": 80.0,
                "history": HISTORY,
                "learning": diagnose(HISTORY),
            },
        ],
        "compress": [
            {
                "method": "int8",
                "kept": True,
                "why": "4.0 times smaller",
                "bytes_before": 4000,
                "bytes_after": 1000,
                "p": 0.6,
            }
        ],
        "gate": gate.to_json(),
        "data": {
            "id": "ab" * 32,
            "counts": {"test": 240, "train": 1000, "validation": 100},
            "kinds": [["text", "text"], ["label", "label"]],
            "labels": {"体育": 700, EVIL: 640},
            "sources": {"source": "cd" * 32},
            "quarantined": 2,
            "findings": [{"message": EVIL}],
        },
        "spec": {"name": "工单", "data": {"source": "/home/anna/secret place/tickets.csv"}},
        "lineage": {"data": "ab" * 32, "weights": {"linear": "ef" * 32}},
    }


@pytest.mark.heavy
def test_every_task_has_a_whole_page(reports: Reports) -> None:
    for report in reports.values():
        page = write_page(report)
        reader = read(page)
        assert page == write_page(report)
        assert len([tag for tag, _ in reader.seen if tag == "section"]) >= 4
        assert "nan" not in reader.text.lower().split()
        assert "None" not in reader.text


def test_the_page_asks_nothing_of_the_network_and_runs_nothing(reports: Reports) -> None:
    for report in reports.values():
        reader = read(write_page(whole(report)))
        assert not {"script", "iframe", "link", "object", "a", "form"} & {tag for tag, _ in reader.seen}
        for _, attributes in reader.seen:
            assert not any(name.startswith("on") for name in attributes)
            assert (attributes.get("src") or "data:").startswith("data:")
        policies = [a["content"] for _, a in reader.seen if a.get("http-equiv") == "Content-Security-Policy"]
        assert policies == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_what_data_says_is_shown_and_never_obeyed(reports: Reports) -> None:
    evil = json.loads(json.dumps(whole(reports["text-classification"])))
    evil["confusion"]["labels"] = [EVIL, "体育"]
    evil["by_label"][0]["label"] = evil["slices"][0]["slice"] = evil["slices"][0]["column"] = EVIL
    evil["slices"][0]["worse"] = True
    evil["mistakes"][0]["input"][0]["value"] = evil["mistakes"][0]["truth"] = EVIL
    evil["name"] = evil["about"] = EVIL
    evil["columns"] = [EVIL]
    page = write_page(evil)
    assert "<script" not in page
    assert "<img src=x" not in page
    assert read(page).text.count(EVIL) >= 8
    text = card(evil)
    body = text.split("---\n", 2)[2]
    # Between backticks, or with its angle brackets escaped, a tag is only text.
    assert "<script" not in re.sub(r"`[^`]*`", "", body.replace("\\<", ""))
    assert yaml.safe_load(text.split("---\n")[1])["model-index"][0]["name"].startswith(EVIL)
    assert "[red]x[/red] 3" in printed(show({**evil, "name": "[red]x[/red]"}))


def test_why_there_is_no_interval_leaves_a_narrow_terminal_whole(reports: Reports) -> None:
    report = json.loads(json.dumps(reports["tabular-classification"]))
    for one in report["metrics"].values():
        one |= {"low": None, "high": None, "why": "all 62 right: too few to tell more"}
    report["ladder"] = [
        {"recipe": "logistic", "seconds": 1.0, "bytes": 7000, "ms_per_row": 0.1, **report["metrics"]["f1"]}
    ]
    text = printed(show(report), 80)
    assert "…" not in text
    assert "Accuracy" in text
    assert "logistic" in text


@pytest.mark.parametrize(
    ("decision", "words"),
    [
        ("promote", "Passed its gate"),
        ("keep", "Did not pass its gate"),
        ("not-enough-rows", "Not enough rows to tell"),
    ],
)
def test_the_decision_stands_first(reports: Reports, decision: str, words: str) -> None:
    report = whole(reports["image-classification"], decision)
    text = read(write_page(report)).text
    assert text.index(words) < text.index("Quality")
    assert report["gate"]["sentence"] in text
    told = printed(show(report))
    assert words in told
    assert "Metric" in told
    assert "bilstm" in told


def test_folders_of_the_machine_stay_at_home(reports: Reports) -> None:
    report = whole(reports["tabular-classification"])
    for text in (write_page(report), card(report)):
        assert "anna" not in text
        assert "tickets.csv" in text


def test_many_labels_get_the_worst_pairs_instead_of_a_map(reports: Reports) -> None:
    report = json.loads(json.dumps(reports["text-classification"]))
    names = [f"标签{i}" for i in range(30)]
    report["confusion"] = {
        "labels": names,
        "matrix": [[0] * 30] * 30,
        "pairs": [{"truth": names[0], "prediction": names[1], "rows": 4}],
    }
    report["by_label"] = [{**report["by_label"][0], "label": name} for name in names]
    reader = read(write_page(report))
    assert not any("heat" in (attributes.get("class") or "") for _, attributes in reader.seen)
    assert "标签0 → 标签1" in reader.text
    assert "10 more labels" in reader.text


def test_columns_are_told_of_rows_without_a_profile(reports: Reports) -> None:
    report = whole(reports["text-classification"])
    text = read(write_page(report)).text
    assert "Columns" in text
    # As older reports have them.
    kinds = {"label": "label", "text": "text"}
    assert "Columns" in read(write_page({**report, "data": {**report["data"], "kinds": kinds}})).text


def test_pictures_of_mistakes_are_inlined(reports: Reports) -> None:
    sources = [a["src"] or "" for tag, a in read(write_page(reports["image-classification"])).seen if tag == "img"]
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)


def test_the_card_is_one_that_the_hub_reads(reports: Reports) -> None:
    for name, report in reports.items():
        text = card(whole(report))
        assert text.startswith("---\n")
        matter = yaml.safe_load(text.split("---\n")[1])
        assert matter["library_name"] == "lingqu"
        assert matter["pipeline_tag"] == name
        assert matter["tags"][:2] == ["lingqu", "onnx"]
        result = matter["model-index"][0]["results"][0]
        assert result["task"]["type"] == name
        assert result["dataset"]["name"] == "tickets.csv"
        assert {one["type"] for one in result["metrics"]} <= set(report["metrics"])
        for heading in ("## Use", "## Evaluation", "## Limits", "## Gate", "## Data"):
            assert heading in text
    assert yaml.safe_load(card(reports["text-classification"]).split("---\n")[1])["language"] == ["en", "zh"]


def test_the_terminal_shows_every_metric_with_its_interval(reports: Reports) -> None:
    for report in reports.values():
        told = printed(show(report))
        for one in report["metrics"].values():
            if one["low"] is not None and abs(one["value"]) < 10:
                assert f"{one['low']:.3f} to {one['high']:.3f}" in told


def test_the_page_has_its_curves_and_its_ladder(reports: Reports) -> None:
    page = write_page(whole(reports["text-classification"]))
    reader = read(page)
    told = [attributes.get("aria-label") or "" for tag, attributes in reader.seen if tag == "svg"]
    assert [label.split(".")[0].split(",")[0] for label in told] == [
        "ROC curve",
        "Precision and recall",
        "Share right by confidence",
        "F1",
        "F1",
        "F1",
        "bilstm",
    ]
    assert "Overfits after epoch 3: validation loss rose from 0.500 to 0.800" in reader.text
    assert "4.0 kB → 1.0 kB" in reader.text
    assert len(page.encode()) < 2_000_000
