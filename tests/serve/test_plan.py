"""How many threads a worker and a model use, however OMP_NUM_THREADS is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from lingqu.bundle.threads import threads_asked
from lingqu.serve.plan import threads, threads_given
from tests.serve.bundles import echo


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("1", 1),
        ("4,2", 4),
        (" 3 , 2,1", 3),
        ("+2", 2),
        ("007", 7),
        *((nonsense, None) for nonsense in ("", "0", "0,4", "-1", "2.5", "two", "2 4", ",2", "99999999999")),
    ],
)
def test_the_first_number_of_openmps_variable_counts_and_nonsense_does_not(
    written: str, asked: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", written)
    assert threads_asked() == asked
    assert threads_given(1) == str(min(threads(1), asked or threads(1)))
    if asked != 7:
        # A session of seven threads would only take time.
        assert len(echo(tmp_path / "echo").predict([{"x": 1}])) == 1
