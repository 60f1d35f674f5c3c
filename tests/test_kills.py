"""HARDENING T1: `lingqu run`, killed at random moments and started again, ends as if nothing had happened."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lingqu.registry import Registry
from lingqu.store import Store
from lingqu.tasks import find_task
from tests.conftest import write_csv

SPEC = """\
name: killed
task: text-classification
data: {source: rows.csv, columns: {text: text, label: label}}
size: tiny
budget: 1 h
train: {epochs: 6}
"""
COMMAND = [sys.executable, "-m", "lingqu", "run", "--json"]


def make(folder: Path) -> Path:
    folder.mkdir()
    write_csv(folder / "rows.csv", find_task("text-classification").toy(400))
    (folder / "lingqu.yaml").write_text(SPEC)
    return folder


def essence(folder: Path, result: dict) -> dict:
    """All of a run's result that may not depend on when it was killed: hashes of what was learned, every number of it."""
    bundle = json.loads((Path(result["bundle"]) / "manifest.json").read_text())
    return {
        "files": {name: bundle["files"][name] for name in ("model.onnx", "encoding.json")},
        "metrics": result["metrics"],
        "scores": [(rung["recipe"], rung["value"], rung["history"]) for rung in without_seconds(result["ladder"])],
        "gate": {key: result["gate"][key] for key in ("decision", "p", "rows", "round", "alpha", "gate_set")},
        "version": result["version"],
    }


def without_seconds(rungs: list[dict]) -> list[dict]:
    return [
        {**rung, "history": [{k: v for k, v in epoch.items() if k != "seconds"} for epoch in rung["history"]]}
        for rung in rungs
    ]


def killed_run(folder: Path, moments: list[float]) -> tuple[int, dict]:
    """Start, kill at the next moment, start again …; how many kills hit a running process, and the last result."""
    hits = 0
    for moment in moments:
        process = subprocess.Popen(COMMAND, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(moment)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
            hits += 1
        else:
            break
    done = subprocess.run(COMMAND, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode in (0, 1), done.stderr
    return hits, json.loads(done.stdout)


def trial(tmp_path: Path, kills: int, seed: int) -> None:
    calm = make(tmp_path / "calm")
    started = time.perf_counter()
    done = subprocess.run(COMMAND, cwd=calm, capture_output=True, text=True, timeout=300, check=False)
    length = time.perf_counter() - started
    expected = essence(calm, json.loads(done.stdout))
    draw = random.Random(seed)
    hits = attempts = 0
    while hits < kills:
        attempts += 1
        folder = make(tmp_path / f"killed-{attempts}")
        # A few kills a run: early ones must not keep it from ever getting anywhere.
        moments = [draw.uniform(0.2, 0.9 * length) for _ in range(min(3, kills - hits))]
        more, result = killed_run(folder, moments)
        hits += more
        assert essence(folder, result) == expected
        store = Store.open(folder / ".lingqu")
        assert store.fsck() == []
        assert [version.number for version in Registry(store).versions()] == [1]


@pytest.mark.slow
def test_twenty_kills_change_nothing(tmp_path: Path) -> None:
    trial(tmp_path, kills=20, seed=2)
