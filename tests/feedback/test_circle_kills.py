"""HARDENING F13: the circle, killed at any of its durable steps, goes on, and promotes exactly once."""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path

import pytest

pytestmark = pytest.mark.heavy


@pytest.mark.parametrize("kills", [2, pytest.param(100, marks=pytest.mark.slow)])
def test_kills_at_any_edge_promote_exactly_once(kills: int, tmp_path: Path) -> None:
    from tests.feedback import kill_lab

    calm = tmp_path / "calm"
    calm.mkdir()
    assert kill_lab.child(kill_lab.make, calm) == 0
    shutil.copytree(calm, made := tmp_path / "made")
    assert kill_lab.child(kill_lab.circle, calm) == 0
    assert kill_lab.child(kill_lab.check, calm) == 0
    steps = int((calm / "steps").read_text())
    assert steps > 20
    draw = random.Random(13)
    done, circles, folder = 0, 0, tmp_path / "killed"
    while done < kills:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(made, folder)
        # Anywhere first; then whoever goes on is killed soon again, and again.
        places = [draw.randint(1, steps), *(draw.randint(1, 20) for _ in range(6))]
        for place in places[: kills - done]:
            status = kill_lab.child(kill_lab.circle, folder, place)
            assert status in (0, -signal.SIGKILL)
            done += status != 0
        assert kill_lab.child(kill_lab.circle, folder) == 0
        assert kill_lab.child(kill_lab.check, folder) == 0
        assert (folder / "learned").read_text() == (calm / "learned").read_text()
        circles += 1
    print(f"{done} kills in {circles} circles of {steps} durable steps: each promoted exactly once")
