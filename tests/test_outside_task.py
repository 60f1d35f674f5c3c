"""A team's own task enters by an entry point: one file in a package of theirs, no edit anywhere here."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lingqu.tasks import find_task, task_names
from tests.conformance import suite

ROOT = Path(__file__).resolve().parent.parent

TASK = '''
from lingqu.contract import Label, Rows, Text
from lingqu.data.labels import LabelTask


class Tone(LabelTask):
    """Is this headline calm or loud?"""

    name = "headline-tone"
    about = "Whether a headline is calm or loud."
    columns = (Text("headline", "The headline."),)
    target = Label("tone", "calm or loud")
    fronts = ("ngrams", "tokens")
    ladder = ("ngram-linear",)

    def toy(self, rows=48, seed=0):
        calm, loud = ["rates unchanged", "市场平稳", "rain tomorrow"], ["SHOCK!!! prices", "震惊!!!", "you won't BELIEVE"]
        made = [(loud if i % 2 else calm)[(i // 2 + seed) % 3] + f" {i}" for i in range(rows)]
        return Rows({"headline": made, "tone": ["loud" if i % 2 else "calm" for i in range(rows)]})
'''

SUITE = """
import sys
from pathlib import Path
from lingqu.tasks import find_task, task_names
from tests.conformance import suite

assert "headline-tone" in task_names()
task = find_task("headline-tone")
rows = task.toy(suite.EIGHT)
for family in task.ladder:
    bundle = suite.learn(task, family, rows, Path(sys.argv[1]) / family)
    for check in suite.CHECKS:
        check(task, bundle, rows)
suite.serves_its_own_example_over_http(task, bundle, rows)
with suite.elsewhere() as there:
    suite.is_learned_again_to_the_bit(task, bundle, rows, Path(sys.argv[1]) / "again", there)
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A folder on the path with the task's package and the metadata that pip would have written."""
    site = tmp_path / "site"
    (site / "team_tone-1.0.dist-info").mkdir(parents=True)
    (site / "team_tone.py").write_text(TASK, encoding="utf-8")
    (site / "team_tone-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: team-tone\nVersion: 1.0\n")
    (site / "team_tone-1.0.dist-info" / "entry_points.txt").write_text(
        "[lingqu.tasks]\nheadline-tone = team_tone:Tone\n"
    )
    return {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "2"}


COMMANDS = """
import csv, io, sys
from contextlib import redirect_stdout
from pathlib import Path
from lingqu.cli import call


def lingqu(*arguments):
    told = io.StringIO()
    with redirect_stdout(told):
        status = call([*arguments])
    assert status == 0, (arguments, status, told.getvalue())


lingqu("tasks")
lingqu("new", "tone", "--task", "headline-tone")
spec = Path("tone/lingqu.yaml")
spec.write_text(spec.read_text() + "model: ngram-linear\\n")
lingqu("run", str(spec), "--home", "store")
Path("in.csv").write_text("headline\\n震惊!!! today\\n", encoding="utf-8")
lingqu("predict", "tone", "in.csv", "-o", "out.csv", "--home", "store")
answer = next(csv.DictReader(Path("out.csv").open(encoding="utf-8")))
assert answer["prediction"] == "loud", answer
"""


def test_a_task_from_outside_is_found_and_learns(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(environment["PYTHONPATH"].split(os.pathsep)[0])
    importlib.invalidate_caches()
    assert "headline-tone" in task_names()
    task = find_task("headline-tone")
    rows = task.toy(suite.EIGHT)
    bundle = suite.learn(task, "ngram-linear", rows, tmp_path / "learned")
    for check in suite.CHECKS:
        check(task, bundle, rows)


@pytest.mark.heavy
@pytest.mark.parametrize("script", [SUITE, COMMANDS], ids=["the whole suite", "the command line"])
def test_a_task_from_outside_is_a_task_like_ours(script: str, environment: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-c", script, str(tmp_path / "work")]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
