"""One report per task, made once for all tests of this folder."""

from __future__ import annotations

from typing import Any

import pytest

from lingqu.bundle.read import Bundle
from lingqu.contract import Answer
from lingqu.evaluate.baseline import NAMES, constant
from lingqu.evaluate.report import evaluate
from tests.evaluate.tiny_bundle import make_bundle, noisy

TASKS = ("text-classification", "image-classification", "tabular-classification", "tabular-regression")


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    """A tiny bundle of every task."""
    return {name: make_bundle(name, tmp_path_factory.mktemp("bundle") / "bundle") for name in TASKS}


@pytest.fixture(scope="session")
def reports(bundles: dict[str, Bundle]) -> dict[str, dict[str, Any]]:
    """The report of a tiny bundle of every task on 240 test rows."""
    return {name: report_of(name, bundle) for name, bundle in bundles.items()}


def report_of(name: str, bundle: Bundle) -> dict[str, Any]:
    rows = noisy(name, 240, seed=2)
    truth = rows[bundle.task.target.name]
    baselines: dict[str, list[Answer]] = {NAMES[bundle.task.answer]: [constant(bundle.task, truth)] * len(rows)}
    return evaluate(bundle, rows, baselines=baselines, bootstrap=200)
