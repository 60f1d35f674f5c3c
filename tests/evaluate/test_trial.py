"""The gate set of a trial: rows that are asked again and again count once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lingqu.bundle.read import Bundle
from lingqu.contract import Rows
from lingqu.data.alike import COINCIDENCES, nearly_same
from lingqu.data.findings import Finding
from lingqu.data.version import DataVersion
from lingqu.evaluate.comparison import group_index
from lingqu.evaluate.gate import Decision
from lingqu.evaluate.trial import Fresh, Trial
from lingqu.spec import Spec
from lingqu.store import Store
from lingqu.tasks import find_task
from tests.serve.bundles import STEP, versions

TASK = find_task("tabular-regression")
KINDS = {"x": "number", TASK.target.name: "number"}
SPEC = Spec.model_validate(
    {"name": "echo", "task": TASK.name, "data": {"source": "rows.csv"}, "gates": {"margin": 0.5}}
)
DATA = DataVersion("d", TASK.name, TASK.target.name, {}, KINDS, {}, "")


def asked(different: int, times: int) -> Rows:
    """In five of eight rows version 2 is the nearer one, by as much as version 1 is in the others."""
    x = [float(i) for i in range(different)] * times
    return Rows({"x": x, TASK.target.name: [v + STEP * (1.8 if v % 8 < 5 else 1.2) for v in x]})


@pytest.mark.heavy
def test_fresh_rows_that_are_asked_again_and_again_count_once(tmp_path: Path) -> None:
    store = Store.open(tmp_path / ".lingqu")
    champion, challenger = versions(store, tmp_path / "bundles", 2)
    frozen = Decision(
        "keep", "rmse", "t", p=1.0, alpha=0.025, rows=9, difference=0, low=0, high=0, champion=1, challenger=1
    )
    trial = Trial(SPEC, TASK, DATA, store, {}, {}, [], fresh=Fresh(asked(40, 5), "audit-1"))
    found = trial._on_fresh_rows(champion, Bundle.open(store.folder_path(challenger.bundle)), 0.025, frozen)
    assert (found.decision, found.test) == ("keep", "paired bootstrap over 40 groups and swap test"), found.sentence()

    assert group_index(trial._alike(asked(200, 1))) is None
    # Where equal rows are coincidences in the test rows, they are so here.
    few = replace(DATA, findings=(Finding("note", COINCIDENCES, "few values"),))
    assert replace(trial, data=few)._alike(asked(40, 5)) is None


def test_texts_that_are_nearly_the_same_count_once_unless_the_spec_keeps_them_apart() -> None:
    rows = Rows({"text": ["Where is my parcel?", "where is my  parcel", "It broke.", "It broke."]})
    task = find_task("text-classification")
    groups = [nearly_same(rows, {"text": "text"}, task, near=near) for near in (True, False)]
    assert groups == [[0, 0, 2, 2], [0, 1, 2, 2]]
