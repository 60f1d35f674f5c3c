"""What many tests share: a project folder with toy rows, and the command line as a user calls it."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lingqu.cli import call, present
from lingqu.contract import Rows
from lingqu.loop import run
from lingqu.tasks import find_task

Lingqu = Callable[..., Any]
HEAVY_ALONE = "\npytestmark = pytest.mark.heavy"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """A module of heavy tests alone is not even imported where they are left out."""
    if collection_path.suffix != ".py" or "not heavy" not in config.option.markexpr:
        return None
    return True if HEAVY_ALONE in collection_path.read_text(encoding="utf-8") else None


def pytest_configure() -> None:
    """Started in the background of a shell, a process ignores Ctrl-C, and so would all that the tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def write_csv(path: Path, rows: Rows) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows.names)
        writer.writeheader()
        writer.writerows(rows)
    return path


SPEC = """\
name: kinds
task: text-classification
data: {source: rows.csv, columns: {text: text, label: label}, near_duplicates: false}
size: tiny
model: ngram-linear
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with 300 toy texts and the six-line spec."""
    write_csv(tmp_path / "rows.csv", find_task("text-classification").toy(300))
    (tmp_path / "lingqu.yaml").write_text(SPEC)
    return tmp_path


@pytest.fixture(scope="session")
def _ran_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ran")
    write_csv(folder / "rows.csv", find_task("text-classification").toy(300))
    (folder / "lingqu.yaml").write_text(SPEC)
    assert run(folder / "lingqu.yaml")["champion"] == 1
    return folder


@pytest.fixture
def finished(tmp_path: Path, _ran_once: Path) -> Path:
    """The same folder after `lingqu run`, its version 1 being champion; a copy that a test may change."""
    shutil.copytree(_ran_once, tmp_path, dirs_exist_ok=True)
    return tmp_path


@dataclass(frozen=True)
class Done:
    """What a command line gave."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def lingqu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Lingqu:
    """`lingqu ARGUMENTS` in the project folder, in this process."""

    # As wide as for a pipe, whatever COLUMNS said when the console was made.
    monkeypatch.setattr(present.out, "width", 200)

    def called(*arguments: str, cwd: Path = tmp_path) -> Done:
        monkeypatch.chdir(cwd)
        capsys.readouterr()
        status = call(arguments)
        captured = capsys.readouterr()
        return Done(status, captured.out, captured.err)

    return called


@pytest.fixture
def process(tmp_path: Path) -> Lingqu:
    """`lingqu ARGUMENTS` in the project folder, as a process of its own."""

    def started(*arguments: str, cwd: Path = tmp_path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lingqu", *arguments],
            cwd=cwd,
            env={**os.environ, "OMP_NUM_THREADS": "2", **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return started


def as_json(done: Any) -> dict[str, Any]:
    """The one object on standard output; nothing else may stand there."""
    return json.loads(done.stdout)
