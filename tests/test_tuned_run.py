"""A run that searches over dials: killed in a trial it ends with the same trials, and the report shows both recipes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lingqu.contract import Rows
from lingqu.feedback.circle import Circle
from lingqu.loop import check, run
from lingqu.stages.tune import halves
from lingqu.store import Store
from lingqu.tasks import find_task
from tests.conftest import write_csv

SPEC = """\
name: tuned
task: tabular-classification
data: {source: rows.csv, columns: {label: label}, split: {validation: 0.3}}
size: tiny
model: tree
tune: {trials: 6}
"""


def project(folder: Path) -> Path:
    folder.mkdir()
    # Twelve stripes: a tree of the tiny size is too shallow for them, and deeper ones are not.
    places = np.random.default_rng(0).random(600).round(6)
    labels = ["odd" if int(place * 12) % 2 else "even" for place in places]
    write_csv(folder / "rows.csv", Rows({"place": places.tolist(), "label": labels}))
    (folder / "lingqu.yaml").write_text(SPEC)
    return folder


def trials(result: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(one["number"], one["state"], one["dials"], one["error"], one["part"]) for one in result["tune"]["trials"]]


@pytest.mark.heavy
def test_a_search_that_is_killed_goes_on_with_its_trial(tmp_path: Path) -> None:
    calm = run(project(tmp_path / "calm") / "lingqu.yaml")
    told = calm["tune"]
    assert (told["recipe"], told["asked"], len(told["trials"])) == ("tree", 6, 6)
    tried = {rung["recipe"]: rung for rung in calm["ladder"]}
    assert told["taken"] is True and told["best"] > 0
    assert set(tried) == {"tree", "tree (tuned)"}
    assert tried["tree (tuned)"]["dials"] == told["dials"] == told["trials"][told["best"]]["dials"]
    assert "(tuned)" in Path(calm["report"]).read_text("utf-8")
    # The next round from this champion keeps the dials that were shipped.
    spec = check(tmp_path / "calm" / "lingqu.yaml")
    circle = Circle(spec, find_task(spec.task), Store.open(tmp_path / "calm" / ".lingqu"))
    assert circle.dials == told["dials"]
    assert calm["chosen"]["recipe"] == "tree (tuned)"
    killed = project(tmp_path / "killed")
    command = [sys.executable, "-m", "lingqu", "run", "--json"]
    for failpoint in ("tune.part@4:kill", "tune.reported@1:kill"):
        environment = {**os.environ, "LQ_FAILPOINT": failpoint}
        done = subprocess.run(command, cwd=killed, env=environment, capture_output=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
    result = run(killed / "lingqu.yaml")
    assert trials(result) == trials(calm)
    assert {k: told[k] for k in ("best", "dials", "taken", "why")} == {
        k: result["tune"][k] for k in ("best", "dials", "taken", "why")
    }
    again = run(killed / "lingqu.yaml")
    assert again["version"] == result["version"] and again["tune"] == result["tune"]


def test_the_rows_that_compare_judged_no_trial() -> None:
    groups = [str(place // 3) for place in range(99)]
    judging, comparing = halves(groups, seed=1)
    assert sorted([*judging, *comparing]) == list(range(99))
    assert not {groups[place] for place in judging} & {groups[place] for place in comparing}
    assert abs(len(judging) - len(comparing)) <= 3
    assert halves(groups, seed=1) == (judging, comparing) != halves(groups, seed=2)
