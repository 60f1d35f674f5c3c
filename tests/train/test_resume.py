"""Killed at any moment and run again: the same bits as never killed."""

import os
import random
import signal
import time
from itertools import product

import pytest
from training_lab import NETWORKS, digest, start, train

from lingqu.train.checkpoint import Checkpoints

RUN = {"epochs": 6, "batch_size": 16, "checkpoint_steps": 5, "threads": 1}


class Stopped(Exception):
    """What a user's impatience looks like from inside."""


@pytest.mark.parametrize("after", [1, 4])
@pytest.mark.heavy
def test_stopped_from_inside_and_run_again(after, tmp_path, monkeypatch):
    """The same promise within one process, which costs no second start of torch."""
    expected = digest(train("mlp", tmp_path / "whole", **RUN))
    kept, save = [], Checkpoints.save

    def saved(self, checkpoint):
        save(self, checkpoint)
        kept.append(checkpoint.step)
        if len(kept) == after:
            raise Stopped

    monkeypatch.setattr(Checkpoints, "save", saved)
    with pytest.raises(Stopped):
        train("mlp", tmp_path / "stopped", **RUN)
    assert digest(train("mlp", tmp_path / "stopped", **RUN)) == expected
    assert kept[:after] == [5 * (place + 1) for place in range(after)]


@pytest.mark.heavy
@pytest.mark.parametrize(
    "name", [name if name == "cnn" else pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS]
)
def test_three_kills_change_nothing(name, tmp_path):
    """Twice within an epoch, and between the bytes of a checkpoint and going on."""
    expected = digest(train(name, tmp_path / "whole", **RUN))
    work, out = tmp_path / "killed", tmp_path / "digest"
    for failpoint in ("train.step@13:kill", "train.step@4:kill", "train.after-checkpoint@2:kill"):
        process = start(name, work, out, failpoint=failpoint, **RUN)
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
    process = start(name, work, out, **RUN)
    process.join(60)
    assert process.exitcode == 0
    assert out.read_text() == expected


@pytest.mark.heavy
@pytest.mark.parametrize(
    "failpoint",
    [
        "train.step@1:kill",
        "train.validation@3:kill",
        "train.before-checkpoint@3:kill",
        "train.after-checkpoint@1:kill",
        "train.step@36:kill",
    ],
)
def test_five_kinds_of_kill(failpoint, tmp_path):
    """Before the first step, in validation, before and after a checkpoint, at the last step."""
    expected = digest(train("mlp", tmp_path / "whole", **RUN))
    process = start("mlp", tmp_path / "killed", tmp_path / "digest", failpoint=failpoint, **RUN)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert digest(train("mlp", tmp_path / "killed", **RUN)) == expected


@pytest.mark.heavy
def test_a_plan_made_by_the_clock_is_made_once(tmp_path):
    """How many steps fit into the seconds was timed by the run that was killed; the next one keeps to it."""
    options = {"batch_size": 16, "epochs": 100_000, "patience": 0, "threads": 1}
    process = start("mlp", tmp_path, tmp_path / "digest", failpoint="train.step@1:kill", seconds=0.3, **options)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    found, _ = Checkpoints(tmp_path).newest()
    assert found is not None
    trained = train("mlp", tmp_path, seconds=60.0, **options)
    assert trained.history[-1]["step"] == found.state["total"] < 10_000


@pytest.mark.heavy
@pytest.mark.parametrize(("optimiser", "rate"), [("muon", 0.01), ("sgd", 0.05)])
def test_a_kill_keeps_momentum_averages_and_changes_to_rows(optimiser, rate, tmp_path):
    """The dials that remember or draw something, all at once: killed within an epoch and after a checkpoint."""
    options = {**RUN, "optimiser": optimiser, "learning_rate": rate, "ema": 0.9, "accumulate": 2}
    options |= {"augment": ["flip", "shift", "cutout", "mixup"], "size": "tiny"}
    expected = digest(train("resnet", tmp_path / "whole", **options))
    work, out = tmp_path / "killed", tmp_path / "digest"
    for failpoint in ("train.step@8:kill", "train.after-checkpoint@1:kill"):
        process = start("resnet", work, out, failpoint=failpoint, **options)
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
    process = start("resnet", work, out, **options)
    process.join(60)
    assert out.read_text() == expected


def _cell(name, optimiser, accumulate):
    """A cell of the matrix: every commit tries one of them, `make proofs` all."""
    usual = (name, optimiser, accumulate) == ("lstm", "sgd", 4)
    return pytest.param(name, optimiser, accumulate, marks=pytest.mark.heavy if usual else pytest.mark.slow)


@pytest.mark.parametrize(
    ("name", "optimiser", "accumulate"),
    [_cell(*cell) for cell in product(("mlp", "cnn", "lstm", "transformer"), ("sgd", "adamw"), (1, 4))],
)
def test_every_network_resumes_with_every_optimiser(name, optimiser, accumulate, tmp_path):
    """Killed within an epoch between two checkpoints, and again right after one: the bits are those of no kill."""
    rate = 0.05 if optimiser == "sgd" else 0.005
    options = {**RUN, "epochs": 3, "optimiser": optimiser, "learning_rate": rate, "batch_size": 16 // accumulate}
    options["accumulate"] = accumulate
    expected = digest(train(name, tmp_path / "whole", **options))
    work, out = tmp_path / "killed", tmp_path / "digest"
    for failpoint in ("train.step@8:kill", "train.after-checkpoint@2:kill"):
        process = start(name, work, out, failpoint=failpoint, **options)
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
    assert digest(train(name, work, **options)) == expected


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_kills_at_random_moments(seed, tmp_path):
    draw = random.Random(seed)
    name = NETWORKS[seed % len(NETWORKS)]
    options = {**RUN, "epochs": 12, "threads": 1 + seed % 2, "seed": seed}
    started = time.perf_counter()
    expected = digest(train(name, tmp_path / "whole", **options))
    usual = time.perf_counter() - started
    for _ in range(5):
        process = start(name, tmp_path / "killed", tmp_path / "digest", **options)
        process.join(draw.uniform(0, usual * 1.5))
        if process.exitcode == 0:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.join(60)
    else:
        process = start(name, tmp_path / "killed", tmp_path / "digest", **options)
        process.join(120)
    assert process.exitcode in {0, -signal.SIGKILL}
    assert digest(train(name, tmp_path / "killed", **options)) == expected
