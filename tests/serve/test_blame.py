"""Rows at which a model fails cost those who send them, and take no model out of service."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lingqu.bundle.read import Bundle
from lingqu.contract import NumberValue, Refusal, Rows
from lingqu.errors import BundleError
from lingqu.serve.blame import FAILS, blamed
from lingqu.serve.engine import Engine
from lingqu.serve.loaded import Loaded
from lingqu.serve.metrics import Metrics
from lingqu.serve.reply import Served
from lingqu.serve.service import Service
from lingqu.serve.swap import warm
from lingqu.spec.running import ServeSettings
from lingqu.store.history import PREVIOUS
from tests.serve.bundles import STEP, echo, failing_graph

LIMIT = 100.0


def failing(folder: Path, number: int = 2) -> Bundle:
    return echo(folder / "failing", number, model=failing_graph(number, LIMIT))


def asked(loaded: Loaded, rows: list[float], *, times: int = 1, previous: Loaded | None = None) -> tuple[object, bool]:
    """The last answer (or error) to these rows, and whether the circuit opened."""

    async def go() -> tuple[object, bool]:
        metrics, settings = Metrics(), ServeSettings()
        engine = Engine("echo", loaded, settings, metrics)
        if previous is not None:
            engine.install({PREVIOUS: previous}, partly=True)
        found: object = None
        async with Service([engine], settings, metrics):
            for _ in range(times):
                try:
                    deadline = asyncio.get_running_loop().time() + 5
                    found = (await engine.answer(Rows({"x": rows}), deadline=deadline)).answers
                except BundleError as error:
                    found = error
        return found, loaded.errors.open

    return asyncio.run(go())


def test_a_row_at_which_a_model_fails_is_refused_and_those_beside_it_are_answered(tmp_path: Path) -> None:
    answers, is_open = asked(warm(Served("echo", 2), failing(tmp_path)), [1.0, 101.0, 3.0, 102.0])
    right = [NumberValue(x + 2 * STEP, x + 2 * STEP, x + 2 * STEP) for x in (1.0, 3.0)]
    assert answers == [right[0], Refusal(FAILS), right[1], Refusal(FAILS)]
    assert FAILS == (
        "Expected a row that the model can compute, found one at which it fails. Look for extreme values in it."
    )
    assert not is_open


def test_rows_that_no_version_can_compute_open_no_circuit(tmp_path: Path) -> None:
    older = warm(Served("echo", 1), echo(tmp_path / "older", 1, model=failing_graph(1, LIMIT)))
    answers, is_open = asked(warm(Served("echo", 2), failing(tmp_path)), [101.0], times=20, previous=older)
    assert answers == [Refusal(FAILS)]
    assert not is_open


def test_rows_that_the_version_before_could_compute_open_the_circuit(tmp_path: Path) -> None:
    older = warm(Served("echo", 1), echo(tmp_path / "older", 1))
    error, is_open = asked(warm(Served("echo", 2), failing(tmp_path)), [101.0], times=20, previous=older)
    assert isinstance(error, BundleError)
    assert is_open


def test_a_model_that_no_longer_gives_its_golden_answers_is_to_blame_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, rows, error = failing(tmp_path), Rows({"x": [101.0]}), ValueError("it failed")
    assert blamed(rows, error, bundle) == [Refusal(FAILS)]
    wrong = {"answers": [{"row": {"x": 1.0}, "answer": {"prediction": 7.0, "low": 7.0, "high": 7.0}}]}
    monkeypatch.setitem(bundle.manifest, "golden", wrong)
    assert blamed(rows, error, bundle) is None
