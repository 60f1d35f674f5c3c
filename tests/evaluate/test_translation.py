"""Chinese readers get what English readers get: no template is missing, and recorded sentences are recognised."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest

import lingqu.evaluate
from lingqu.contract.columns import KINDS
from lingqu.evaluate.chinese import OURS, RECORDED
from lingqu.evaluate.page import write_page
from lingqu.evaluate.page.ladder import PRICES
from lingqu.evaluate.terminal import show
from lingqu.evaluate.translation import Words, language_of
from lingqu.evaluate.wording import TITLES, VERDICTS
from lingqu.metrics import METRICS
from lingqu.tasks import OURS as TASKS
from lingqu.tasks import find_task
from tests.evaluate.test_page import printed, read, whole

ZH = Words("zh")
NAMES = re.compile(r"\{(\w+)\}")


def said() -> set[str]:
    """Every template that the code of this folder says."""
    found: set[str] = set()
    for file in Path(lingqu.evaluate.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say" and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.add(first.value)
    return found


def test_every_template_has_its_chinese() -> None:
    named = [
        *TITLES.values(),
        *VERDICTS.values(),
        *KINDS,
        "train",
        "validation",
        "test",
        *(name for _, name, _ in PRICES),
    ]
    assert len(said()) > 100
    assert sorted({*said(), *named} - OURS.keys()) == []


def test_both_languages_fill_in_the_same_names() -> None:
    for english, chinese in OURS.items():
        assert set(NAMES.findall(english)) == set(NAMES.findall(chinese)), english
    for english, chinese in RECORDED.items():
        assert set(NAMES.findall(chinese)) == set(NAMES.findall(english)), english


def test_what_tasks_and_metrics_say_of_themselves_is_known() -> None:
    told = [metric.about for metric in METRICS.values()] + [find_task(name).about for name in TASKS]
    told += [metric.no_interval for metric in METRICS.values() if metric.no_interval]
    assert [sentence for sentence in told if ZH.told(sentence) == sentence] == []


def test_what_was_learned_from_feedback_is_told_in_chinese(reports: dict[str, dict[str, Any]]) -> None:
    report = whole(reports["text-classification"])
    found = [{"message": "1,202 of the training rows came as feedback and were accepted."}]
    report["data"] |= {"sources": {"source": "cd" * 32, "feedback": "ef" * 32}, "findings": found}
    text = read(write_page(report, "zh")).text
    assert "训练数据中有 1,202 行来自被接受的反馈。" in text
    assert "从反馈中学到的数据" in text
    assert "eedback" not in text


@pytest.mark.parametrize("decision", ["promote", "keep", "not-enough-rows"])
def test_a_decision_is_told_in_chinese(reports: dict[str, dict[str, Any]], decision: str) -> None:
    report = whole(reports["text-classification"], decision)
    gate = report["gate"]
    for sentence in (gate["sentence"], *(check["sentence"] for check in gate["checks"])):
        left = set(re.findall(r"[A-Za-z]{3,}", ZH.told(sentence)))
        assert left <= {"accuracy", "McNemar", "Holm"}, sentence
    text = read(write_page(report, "zh")).text
    for english in ("Quality", "Worst mistakes", "Where it comes from", "test rows", "better"):
        assert english not in text
    assert "质量" in text
    assert "质量" not in read(write_page(report)).text
    assert {"promote": "通过关卡", "keep": "未通过关卡", "not-enough-rows": "数据不足"}[decision] in printed(
        show(report, "zh")
    )


def test_words_of_the_data_are_never_translated(reports: dict[str, dict[str, Any]]) -> None:
    report = whole(reports["text-classification"])
    report["data"]["labels"] = {"Quality": 3, "missing": 4}
    text = read(write_page(report, "zh")).text
    assert "Quality" in text
    assert "missing" in text


def test_what_is_not_known_stays_as_it_is() -> None:
    assert ZH.told("A finding that nobody foresaw.") == "A finding that nobody foresaw."
    assert ZH.told("x" * 5000 + " of resamples leave it undefined") == "x" * 5000 + " of resamples leave it undefined"
    assert Words("fr").language == "en"


def test_the_locale_decides_where_nothing_was_set() -> None:
    assert language_of("auto", {"LANG": "zh_TW.UTF-8"}) == "zh"
    assert language_of("auto", {"LC_ALL": "", "LC_MESSAGES": "zh_CN", "LANG": "en_US.UTF-8"}) == "zh"
    assert language_of("auto", {"LC_ALL": "C", "LANG": "zh_CN"}) == "en"
    assert language_of("auto", {}) == "en"
    assert language_of("en", {"LANG": "zh_CN"}) == "en"
