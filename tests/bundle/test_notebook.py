"""What a model shows of itself in a notebook: plain facts, escaped, in the language of the reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lingqu.bundle.notebook import CHINESE, GATES, say
from lingqu.bundle.read import Bundle
from lingqu.registry import Version
from tests.bundle.two_members import member

METRICS = {
    "f1": {"value": 0.9, "low": 0.85, "high": 0.94},
    "roc_auc": {"value": 0.95, "low": None, "high": None},
    "mcc": {"value": None, "low": None, "high": None},
}


@pytest.fixture
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


@pytest.mark.usefixtures("english")
def test_a_bundle_shows_what_it_reads_and_how_good_it_is(tmp_path: Path) -> None:
    bundle = member(tmp_path / "one", border=0.0, steep=4.0)
    bundle.manifest["metrics"] = METRICS
    bundle.manifest["columns"] = [{"name": f"<i>{n}", "kind": "number"} for n in range(8)]
    shown = bundle._repr_html_()
    for part in (
        "tabular-classification",
        "cheap",
        "&lt;i&gt;0 (number)",
        "more 2",
        "2 labels: no, yes",
        "0.850 to 0.940",
    ):
        assert part in shown
    assert "<i>" not in shown
    # The metric that decides comes first, and one without a value is left out.
    assert shown.index("roc_auc") < shown.index("f1")
    assert "mcc" not in shown
    assert "nan" not in shown


@pytest.mark.usefixtures("english")
def test_a_bundle_of_numbers_has_no_labels(make: Callable[..., Bundle]) -> None:
    assert "a number" in make()._repr_html_()


def version(decision: dict[str, Any]) -> Version:
    facts: dict[str, Any] = {"lineage": {}, "spec": {}, "metrics": METRICS, "decision": decision}
    return Version("<b>", 3, "d" * 64, "e" * 64, "r", "text-classification", at="2026-11-22T10:00:00Z", **facts)


def test_a_version_shows_its_gate_in_both_languages(monkeypatch: pytest.MonkeyPatch) -> None:
    decision = {"decision": "promote", "metric": "f1", "difference": 0.04, "low": 0.01, "high": 0.07, "p": 0.001}
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    shown = version(decision)._repr_html_()
    assert "&lt;b&gt;@3" in shown
    assert "passed · f1 +0.040 (0.010 to 0.070), p = 0.001" in shown
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    chinese = version(decision)._repr_html_()
    assert "通过 · f1 +0.040 (0.010 至 0.070)" in chinese
    assert "任务" in chinese
    assert "关卡" not in version({})._repr_html_()


def test_every_word_of_a_card_has_its_chinese() -> None:
    assert [word for word in GATES.values() if say(word, "zh") == word] == []
    assert all(chinese for chinese in CHINESE.values())
