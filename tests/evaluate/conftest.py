"""One report per task, made once for all tests of this folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lingqu.contract import Answer
from lingqu.evaluate.baseline import NAMES, constant
from lingqu.evaluate.report import evaluate
from tests.evaluate.tiny_bundle import make_bundle, noisy

TASKS = ("text-classification", "image-classification", "tabular-classification", "tabular-regression")


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The report of a tiny bundle of every task on 240 test rows."""
    return {name: report_of(name, tmp_path_factory.mktemp("bundle") / "bundle") for name in TASKS}


def report_of(name: str, folder: Path) -> dict[str, Any]:
    bundle, rows = make_bundle(name, folder), noisy(name, 240, seed=2)
    truth = rows[bundle.task.target.name]
    baselines: dict[str, list[Answer]] = {NAMES[bundle.task.answer]: [constant(bundle.task, truth)] * len(rows)}
    return evaluate(bundle, rows, baselines=baselines, bootstrap=200)
