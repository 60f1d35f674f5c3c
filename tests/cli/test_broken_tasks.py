"""A broken task of somebody else's package breaks itself alone, and says so to whoever asks for it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from lingqu.tasks import OURS
from tests.conftest import Lingqu

CODE = """
from lingqu.contract import Label, Text
from lingqu.data.labels import LabelTask


class Tone(LabelTask):
    name = "tone"
    about = "Whether a headline is calm or loud."
    columns = (Text("headline", "The headline."),)
    target = Label("label", "calm or loud")
    fronts = ("ngrams", "tokens")
    ladder = ("ngram-linear", "bilstm")

    def toy(self, rows=48, seed=0):
        raise NotImplementedError


words = "no task"
"""

ENTRIES = """\
[lingqu.tasks]
gone = team_gone:Gone
loud = team_tone:Tone
raises = team_raises:Tone
spelled = team_tone:Tome
tone = team_tone:Tone
unfinished = lingqu.contract:Task
words = team_tone:words
zip = zipfile:ZipFile
"""

FOUND = {
    "gone": ("team_gone:Gone", "ModuleNotFoundError: No module named 'team_gone'"),
    "loud": ("team_tone:Tone", "one whose name is 'tone'"),
    "raises": ("team_raises:Tone", "ZeroDivisionError: division by zero"),
    "spelled": ("team_tone:Tome", "AttributeError: module 'team_tone' has no attribute 'Tome'"),
    "words": ("team_tone:words", "no class derived from lingqu.contract.Task but a value of type str"),
    "zip": ("zipfile:ZipFile", "no class derived from lingqu.contract.Task but the class ZipFile"),
}


def sentence(name: str) -> str:
    where, found = FOUND[name]
    return (
        f"Expected the task '{name}' at {where} in the package team-tone, found {found}. "
        "Mend its entry point or its code, or remove it: pip uninstall team-tone\n"
    )


@pytest.fixture
def site(tmp_path: Path) -> dict[str, str]:
    """A folder on the path with packages and the metadata that pip would have written; one task of eight is whole."""
    site = tmp_path / "site"
    (site / "team_tone-1.0.dist-info").mkdir(parents=True)
    (site / "team_tone.py").write_text(CODE)
    (site / "team_raises.py").write_text("open('imported', 'w').close()\n1 / 0\n")
    (site / "team_tone-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: team-tone\nVersion: 1.0\n")
    (site / "team_tone-1.0.dist-info" / "entry_points.txt").write_text(ENTRIES)
    (tmp_path / "rows.csv").write_text("text,label\n" + "".join(f"hello {i},{'ab'[i % 2]}\n" for i in range(40)))
    return {"PYTHONPATH": f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}


def spec(folder: Path, task: str, more: str = "") -> None:
    (folder / "lingqu.yaml").write_text(f"name: kinds\ntask: {task}\ndata:\n  source: rows.csv\n{more}")


def told(done: Any) -> tuple[int, str]:
    return done.returncode, done.stderr


@pytest.mark.heavy
def test_tasks_lists_the_whole_ones_and_tells_the_broken_ones(process: Lingqu, site: dict[str, str]) -> None:
    done = process("tasks", "--json", **site)
    assert done.returncode == 0, done.stderr
    assert [task["task"] for task in json.loads(done.stdout)["tasks"]] == [*OURS, "tone"]
    lines = done.stderr.splitlines(keepends=True)
    assert [line for line in lines if "'unfinished'" not in line] == [sentence(name) for name in sorted(FOUND)]
    assert next(line for line in lines if "'unfinished'" in line).startswith(
        "Expected the task 'unfinished' at lingqu.contract:Task in the package team-tone, found TypeError: Can't "
    )


@pytest.mark.heavy
def test_whoever_asks_for_a_broken_task_is_told(process: Lingqu, site: dict[str, str], tmp_path: Path) -> None:
    assert told(process("new", "mine", "--task", "gone", **site)) == (2, sentence("gone"))
    spec(tmp_path, "loud")
    assert told(process("check", **site)) == (2, sentence("loud"))
    assert told(process("run", **site)) == (2, sentence("loud"))
    assert not (tmp_path / "mine").exists()
    assert not (tmp_path / ".lingqu").exists()


@pytest.mark.heavy
def test_nobody_else_meets_it(process: Lingqu, site: dict[str, str], tmp_path: Path) -> None:
    spec(tmp_path, "text-classification")
    assert told(process("check", **site)) == (0, "")
    assert not (tmp_path / "imported").exists(), "a task that nobody asked for was imported"
    spec(tmp_path, "tone", "  columns: {healdine: text}\n")
    assert told(process("check", **site)) == (
        2,
        (
            "2 problems:\n"
            "1. lingqu.yaml:5: Expected a column that tone has, found 'healdine'. Did you mean 'headline'?\n"
            "2. lingqu.yaml:4: Expected a column for headline, found the columns 'text', 'label'. "
            "Name it: data: {columns: {headline: NAME}}.\n"
        ),
    )
    spec(tmp_path, "gon")
    assert told(process("check", **site)) == (
        2,
        "lingqu.yaml:2: Expected a task that lingqu knows, found 'gon'. Did you mean 'gone'?\n",
    )
