"""HARDENING T6: asked to end, a run writes a checkpoint and ends; asked twice, it ends at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from training_lab import digest, train

import lingqu
from lingqu.cli import call
from lingqu.cli.signals import GRACE
from lingqu.tasks import find_task
from lingqu.train.checkpoint import Checkpoints
from lingqu.train.stopping import held_back
from tests.conftest import write_csv

RUN = {"epochs": 4, "batch_size": 16, "checkpoint_steps": 1000, "threads": 1}
SPEC = "name: n\ntask: tabular-regression\ndata: {source: rows.csv}\nsize: tiny\nmodel: mlp\nbudget: 1 h\n"
SPEC += "train: {epochs: 10000, patience: 10000, batch_size: 8}\n"


def test_asked_to_end_it_finishes_its_step_and_writes_a_checkpoint(tmp_path, monkeypatch):
    expected = digest(train("mlp", tmp_path / "whole", **RUN))
    reached = []
    from lingqu.train.loop import Loop

    step = Loop._one_step

    def interrupted(self):
        reached.append(self.progress.step)
        if len(reached) == 9:
            # In the middle of the ninth step, as far as the loop can tell.
            os.kill(os.getpid(), signal.SIGINT)
        return step(self)

    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_one_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train("mlp", tmp_path / "stopped", **RUN)
    found, _ = Checkpoints(tmp_path / "stopped").newest()
    assert found is not None
    assert (reached[-1], found.step) == (8, 9)
    assert digest(train("mlp", tmp_path / "stopped", **RUN)) == expected
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_second_signal_is_not_held_back():
    with pytest.raises(KeyboardInterrupt), held_back() as asked:
        os.kill(os.getpid(), signal.SIGINT)
        assert asked()
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the second signal was held back")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_hold_nothing_back():
    told = []

    def inside():
        with held_back() as asked:
            told.append(asked())

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert told == [False]


def started(folder: Path, failpoint: str = "") -> subprocess.Popen[str]:
    """A run that trains for hours, once it has begun to."""
    write_csv(folder / "rows.csv", find_task("tabular-regression").toy(300))
    (folder / "lingqu.yaml").write_text(SPEC)
    process = subprocess.Popen(
        [sys.executable, "-m", "lingqu", "run"],
        cwd=folder,
        env={**os.environ, "LQ_FAILPOINT": failpoint},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: process.poll() is not None or list(folder.glob(".lingqu/**/checkpoint-*")))
    if process.poll() is not None:
        raise AssertionError(process.communicate()[1])
    return process


def wait_for(what) -> None:
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def asleep(pid: int) -> bool:
    """Whether its main thread waited, and no thread of it worked, whenever one looked for half a second."""

    def look() -> tuple[str, list[str]]:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return fields[0], fields[11:13]

    seen = [look()]
    for _ in range(10):
        time.sleep(0.05)
        seen.append(look())
    return all(state == "S" and worked == seen[0][1] for state, worked in seen)


@pytest.mark.heavy
@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_ends_within_five_seconds_with_a_checkpoint(number, status, tmp_path):
    process = started(tmp_path)
    before = max(tmp_path.glob(".lingqu/**/checkpoint-*")).name
    asked = time.monotonic()
    process.send_signal(number)
    _, told = process.communicate(timeout=30)
    assert time.monotonic() - asked < 5
    assert process.returncode == status
    assert told.endswith("\nStopped. Nothing is lost: the same command goes on from here.\n")
    newest = max(tmp_path.glob(".lingqu/**/checkpoint-*"))
    assert newest.name > before
    found, complaints = Checkpoints(newest.parent).newest()
    assert found is not None
    assert complaints == []


@pytest.mark.heavy
def test_the_second_ctrl_c_ends_it_within_a_second(tmp_path):
    """A step that takes a minute: the first Ctrl-C waits for it, the second does not."""

    def seconds(folder: Path) -> float:
        folder.mkdir()
        process = started(folder, "train.step@300:sleep")
        wait_for(lambda: asleep(process.pid))
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert process.poll() is None
        asked = time.monotonic()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 130
        return time.monotonic() - asked

    # Tried again where others hold the machine up.
    assert any(seconds(tmp_path / str(number)) < 1 for number in range(3))


@pytest.mark.heavy
def test_what_does_not_answer_is_ended_all_the_same(tmp_path):
    process = started(tmp_path, "train.step@300:sleep")
    wait_for(lambda: asleep(process.pid))
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert GRACE - 0.5 < time.monotonic() - asked < 5
    assert process.returncode == 143


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_a_process_that_is_ending_anyway_changes_nothing(number):
    code = f"import atexit, os; atexit.register(os.kill, os.getpid(), {int(number)})\n"
    code += "from lingqu.cli import main; main(['--version'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"lingqu {lingqu.__version__}\n", "")


def test_a_verb_that_is_interrupted_says_so(tmp_path, monkeypatch, capsys):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lingqu.cli.start.task_names", stop)
    assert call(["tasks"]) == 130
    assert capsys.readouterr().err == "\nStopped. Nothing is lost: the same command goes on from here.\n"
