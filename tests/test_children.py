"""HARDENING T14: a run that is killed leaves no process behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lingqu.tasks import find_task
from tests.conftest import write_csv

SPEC = "name: n\ntask: text-classification\ndata: {source: rows.csv}\nsize: tiny\nbudget: 1 h\n"
LATEST = 8.0


def of_session(session: int) -> set[int]:
    """The processes of a session that still run, as /proc tells; a dead one that nobody waited for runs no more."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, its = stat.read_text().rpartition(")")[2].split()[:4]
        except (OSError, ValueError):
            continue
        if int(its) == session and state != "Z":
            found.add(int(stat.parent.name))
    return found


@pytest.mark.heavy
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_a_killed_run_leaves_no_process(kills: int, tmp_path: Path) -> None:
    write_csv(tmp_path / "rows.csv", find_task("text-classification").toy(400))
    (tmp_path / "lingqu.yaml").write_text(SPEC)
    draw, most = random.Random(5), 0
    for _ in range(kills):
        process = subprocess.Popen(
            [sys.executable, "-m", "lingqu", "run"],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        end = time.monotonic() + draw.uniform(1.0, LATEST)
        while time.monotonic() < end and process.poll() is None:
            most = max(most, len(of_session(process.pid)))
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + 5
        while of_session(process.pid) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert of_session(process.pid) == set()
    assert most >= 1, "no run was seen alive"
