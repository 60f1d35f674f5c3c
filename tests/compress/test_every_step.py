"""Every step in one run: each leaves its row, and what ships is a version like any other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lingqu.bundle.read import Bundle
from lingqu.loop import load, run
from lingqu.registry import Registry
from lingqu.store import Store
from lingqu.tasks import find_task
from tests.conftest import write_csv

SPEC = """\
name: kinds
task: text-classification
data: {source: rows.csv, near_duplicates: false}
size: tiny
model: [ngram-linear, textcnn]
compress: {prune: 0.5, cascade: true, distil: {into: ngram-linear, unlabelled: more.csv}}
"""


@pytest.mark.heavy
def test_a_run_with_every_step(tmp_path: Path) -> None:
    toy = find_task("text-classification").toy
    write_csv(tmp_path / "rows.csv", toy(300))
    write_csv(tmp_path / "more.csv", toy(200, seed=1).select(["text"]))
    (tmp_path / "lingqu.yaml").write_text(SPEC)
    store = Store.open(tmp_path / ".lingqu")
    done = run(tmp_path / "lingqu.yaml", store=store)
    assert done["champion"] == 1
    report = store.get_json(Registry(store).get("kinds").lineage["report"])
    assert {step["method"] for step in report["compress"]} <= {
        "distil",
        "prune",
        "prune heads",
        "vocabulary",
        "int8",
        "head refit",
        "cascade",
    }
    assert report["compress"][0]["method"] == "distil"
    assert json.dumps(report["compress"])
    again = run(tmp_path / "lingqu.yaml", store=store)
    assert "compress" in again["cached"]
    assert isinstance(load("kinds@champion", store=store), Bundle)
    # The file of rows without labels is an input like any other.
    write_csv(tmp_path / "more.csv", toy(210, seed=2).select(["text"]))
    assert "compress" not in run(tmp_path / "lingqu.yaml", store=store)["cached"]
