"""HARDENING T10: no memory left is answered with half a batch at a time, once; then with advice and exit status 3."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from training_lab import digest, train

from lingqu.cli import call
from lingqu.errors import MemoryLimitError

RUN = {"epochs": 3, "batch_size": 16, "threads": 1}
NONE_LEFT = (
    "Expected memory for a batch of 16 rows, found none left, also with half of it at a time. "
    "Lower train.batch_size (it was 16), choose a smaller size, or give the process more memory."
)


def test_once_it_goes_on_with_half_a_batch_at_a_time(tmp_path, monkeypatch):
    told = []
    calm = train("mlp", tmp_path / "calm", **RUN)
    monkeypatch.setenv("LQ_FAILPOINT", "train.loss@4:memory")
    tight = train("mlp", tmp_path / "tight", progress=lambda _, sentence: told.append(sentence), **RUN)
    assert told[0] == "No memory left: from here on half of each batch at a time."
    assert len(tight.history) == len(calm.history) == 3
    # Half a batch twice is the same batch, but for rounding and what is drawn at random for each part.
    losses = [[epoch["validation"] for epoch in trained.history] for trained in (calm, tight)]
    assert np.allclose(*losses, rtol=0.2)
    assert digest(calm) != digest(tight)


def test_twice_ends_it_with_advice(tmp_path, monkeypatch):
    monkeypatch.setenv("LQ_FAILPOINT", "train.loss@4:memory,train.loss@9:memory")
    with pytest.raises(MemoryLimitError) as caught:
        train("mlp", tmp_path, **RUN)
    assert str(caught.value) == NONE_LEFT
    assert caught.value.exit_status == 3


def test_other_errors_are_not_taken_for_it(tmp_path, monkeypatch):
    from lingqu.train.loop import Loop

    def broken(*_):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(Loop, "_learn", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        train("mlp", tmp_path, **RUN)


def test_the_command_line_says_so_too(monkeypatch, capsys):
    def full(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("lingqu.cli.start.task_names", full)
    assert call(["tasks"]) == 3
    assert capsys.readouterr().err == (
        "Expected memory enough for this work, found none left. Choose a smaller size or fewer rows, "
        "or give the process more memory; what is done is kept.\n"
    )


CHILD = """
import resource, sys
from pathlib import Path
from training_lab import train
from lingqu.errors import MemoryLimitError

told, options = [], {"batch_size": 32, "epochs": 1, "threads": 1}
train("cnn", Path(sys.argv[1], "warm"), rows=64, size="large", **options)
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + int(sys.argv[2]), size + int(sys.argv[2])))
try:
    train("cnn", Path(sys.argv[1], "tight"), rows=40_000, size="large", progress=lambda _, said: told.append(said),
          **{**options, "batch_size": 20_000})
except MemoryLimitError as error:
    print(told[-1] if told else "", error, sep="|")
    sys.exit(error.exit_status)
"""


@pytest.mark.heavy
def test_a_real_limit_is_met_in_the_same_way(tmp_path):
    path = os.pathsep.join(filter(None, sys.path))
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path), str(60 << 20)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr[-2000:]
    told, _, error = done.stdout.strip().partition("|")
    assert told == "No memory left: from here on half of each batch at a time."
    assert error.startswith(
        "Expected memory for a batch of 20,000 rows, found none left, also with half of it at a time. "
    )
