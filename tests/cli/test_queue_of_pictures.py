"""Who labels pictures sees them: as files beside the queue's table; and is told of those that nobody kept."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from lingqu.cli import call
from lingqu.contract.answers import LabelScores
from lingqu.data.pictures import encode_png
from lingqu.serve.journal import Entry, Journal, new_id
from lingqu.serve.keys import ANYONE
from lingqu.spec.running import JournalSettings
from tests.monitor.stream import registered

PICTURE = encode_png(np.zeros((4, 4), "uint8"))


def answered(folder: Path, inputs: Literal["masked", "plain"]) -> None:
    """Two answers about pictures, both drawn for the audit."""
    store, _ = registered(folder, {"audit": 1.0})
    answer = LabelScores.of({"up": 0.9, "down": 0.1})
    with Journal(store, JournalSettings(inputs=inputs)) as journal:
        for age in (3, 4):
            row = {"photo": PICTURE, "age": age}
            journal.record(Entry(new_id(), "r", time.time(), "credit", 1, "champion", ANYONE, None, row, answer, 1.0))


def audit(folder: Path, *more: str) -> int:
    return call(["feedback", *more, "--audit", "--home", str(folder / "store")])


def test_a_queue_names_pictures_that_lie_beside_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answered(tmp_path, "plain")
    assert audit(tmp_path, "queue", "-o", str(tmp_path / "to label" / "audit.csv")) == 0
    assert "Note:" not in capsys.readouterr().out
    with (tmp_path / "to label" / "audit.csv").open(newline="") as file:
        rows = [*csv.DictReader(file)]
    assert {row["age"] for row in rows} == {"3", "4"}
    for row in rows:
        assert (tmp_path / "to label" / row["photo"]).read_bytes() == PICTURE
    assert audit(tmp_path, "queue", "-o", str(tmp_path / "audit.txt")) == 2
    assert not (tmp_path / "audit-pictures").exists()


def test_a_reviewer_is_told_where_the_picture_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answered(tmp_path, "plain")
    monkeypatch.setattr("sys.stdin", io.StringIO("q\n"))
    assert audit(tmp_path, "review") == 0
    shown = capsys.readouterr().out.split(" | ")[0].strip()
    assert shown.endswith(".png")
    assert not Path(shown).exists(), "what was written for one look is gone after it"


def test_pictures_that_nobody_kept_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answered(tmp_path, "masked")
    assert audit(tmp_path, "queue", "-o", str(tmp_path / "audit.csv")) == 0
    note = (
        "Note: 2 of 2 rows came without their picture, which the journal left out. It keeps pictures under "
        "serve.journal.inputs: plain, up to 256 KiB each.\n"
    )
    assert note in capsys.readouterr().out
    assert ",,3," in (tmp_path / "audit.csv").read_text()
    assert audit(tmp_path, "queue") == 0
    told = capsys.readouterr().out
    assert note in told
    assert "not kept | 3" in told
    assert "None" not in told
