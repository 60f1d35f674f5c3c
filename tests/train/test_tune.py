"""The search over dials: the same seed tries the same, a kill loses and doubles nothing, and nothing is learned twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lingqu.errors import MissingPackageError, TrainingError
from lingqu.models.dials import Between, Dial, OneOf
from lingqu.train.tune import best, search

DIALS: dict[str, tuple[Dial, Any]] = {
    "rate": (Between(0.001, 1.0, log=True), 0.5),
    "depth": (Between(1, 9, whole=True), 9),
    "grams": (OneOf(([], [1], [1, 2])), []),
}
PARTS = (9, 3, 1)

# A search in a process of its own that writes down every fit it has done.
CHILD = """
import sys, time
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_tune import hill, searched
log = Path(sys.argv[2])
def attempt(dials, part, number):
    time.sleep(0.02)
    with log.open("a") as file:
        file.write(f"{{number}} {{part}}\\n")
    return hill(dials, part, number)
searched(Path(sys.argv[1]), attempt)
"""


def hill(dials: Any, part: int, _number: int) -> float:
    """An error with a valley at rate 0.1, depth 4, two grams; parts of the rows see it dimly."""
    far = abs(dials["depth"] - 4) / 10 + abs(dials["rate"] - 0.1) + 0.2 * (2 - len(dials["grams"]))
    return round(far + 0.05 * part, 9)


def searched(folder: Path, attempt: Any = hill, *, trials: int = 12, seed: int = 3) -> list[Any]:
    return search(DIALS, attempt, trials=trials, seed=seed, folder=folder, seconds=600.0, parts=PARTS)


def said(found: list[Any]) -> list[tuple[Any, ...]]:
    return [(one.number, one.state, one.dials, one.error, one.part) for one in found]


@pytest.mark.heavy
def test_the_first_trial_is_what_is_there_and_the_best_is_better(tmp_path: Path) -> None:
    fits: list[tuple[Any, int]] = []

    def attempt(dials: Any, part: int, number: int) -> float:
        fits.append((json.dumps(dials, sort_keys=True), part))
        return hill(dials, part, number)

    found = searched(tmp_path / "a", attempt)
    assert found[0].dials == {"rate": 0.5, "depth": 9, "grams": []}
    assert [one.number for one in found] == list(range(12))
    first, winner = found[0], best(found)
    assert winner is not None and winner.part == 1 and winner.error < first.error
    assert len(fits) == len(set(fits)), "the same dials learned twice from the same rows"
    # Half of those that are not among the first end early, and none of these has seen all rows.
    ended = [one for one in found if one.state == "pruned"]
    assert len(ended) >= 3 and {one.part for one in ended} <= {9, 3}
    assert {one.state for one in found[:3]} == {"complete"}
    assert said(searched(tmp_path / "b")) == said(found)
    assert said(searched(tmp_path / "c", seed=4)) != said(found)
    # More trials go on from those that are there.
    assert said(searched(tmp_path / "a", trials=13))[:12] == said(found)


@pytest.mark.heavy
def test_a_trial_that_cannot_be_learned_is_passed_over(tmp_path: Path) -> None:
    def attempt(dials: Any, part: int, number: int) -> float:
        if number == 1:
            raise TrainingError("not-a-number")
        return float("nan") if number == 2 else hill(dials, part, number)

    found = searched(tmp_path, attempt, trials=4)
    assert [one.state for one in found][:3] == ["complete", "failed", "failed"]
    assert len(found) == 4
    assert searched(tmp_path, trials=4) == found


@pytest.mark.heavy
def test_no_trial_begins_that_should_not_fit_into_the_time(tmp_path: Path) -> None:
    def attempt(dials: Any, part: int, number: int) -> float:
        time.sleep(0.05)
        return hill(dials, part, number)

    found = search(DIALS, attempt, trials=50, seed=0, folder=tmp_path, seconds=0.5, expected=0.3, parts=(1,))
    assert 1 <= len(found) <= 5


def test_without_optuna_the_error_is_the_install_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingPackageError) as caught:
        searched(tmp_path)
    told = "Expected the package optuna for searching over dials, found it not installed."
    assert str(caught.value) == f"{told} Run: pip install 'lingqu[tune]'"


def child(folder: Path, log: Path, failpoint: str = "") -> subprocess.Popen[bytes]:
    code = CHILD.format(tests=str(Path(__file__).parent))
    environment = {**os.environ, "LQ_FAILPOINT": failpoint}
    return subprocess.Popen([sys.executable, "-c", code, str(folder), str(log)], env=environment)


def nothing_is_lost_or_doubled(folder: Path, log: Path, expected: list[tuple[Any, ...]], kills: int) -> None:
    """The study ends as if nobody had killed it; at most the fit that each kill interrupted was done twice."""
    found = searched(folder, pytest.fail)
    assert said(found) == expected
    fits = log.read_text().splitlines()
    assert len(fits) - len(set(fits)) <= kills


@pytest.mark.heavy
def test_kills_between_any_two_writes_lose_no_trial(tmp_path: Path) -> None:
    expected = said(searched(tmp_path / "calm"))
    folder, log = tmp_path / "killed", tmp_path / "log"
    places = ("tune.reported@2:kill", "tune.told@3:kill")
    for place in places:
        assert child(folder, log, place).wait(60) == -signal.SIGKILL
    assert child(folder, log).wait(60) == 0
    nothing_is_lost_or_doubled(folder, log, expected, len(places))


@pytest.mark.slow
def test_twenty_kills_of_a_search_lose_and_double_no_trial(tmp_path: Path) -> None:
    """HARDENING T16."""
    expected = said(searched(tmp_path / "calm"))
    draw, hits, rounds = random.Random(16), 0, 0
    while hits < 20:
        rounds += 1
        folder, log = tmp_path / f"killed-{rounds}", tmp_path / f"log-{rounds}"
        here = 0
        while True:
            process = child(folder, log)
            # Importing comes first; from then on any moment will do.
            deadline = time.monotonic() + 60
            while not (folder / "study.db").exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(draw.uniform(0.0, 2.5))
            process.send_signal(signal.SIGKILL)
            if process.wait() == 0 or hits >= 20:
                break
            hits, here = hits + 1, here + 1
        while child(folder, log).wait(120) != 0:
            pytest.fail("a search that nobody killed did not end well")
        nothing_is_lost_or_doubled(folder, log, expected, here + 1)
