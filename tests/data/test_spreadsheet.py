"""No table that lingqu writes holds a cell that a spreadsheet would run; numbers stay what they are."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from lingqu.bundle.files import predict_file
from lingqu.cli.feedback import write_table
from tests.bundle.conftest import Make, make  # noqa: F401 - the fixture

SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
REST = ("1+1", "cmd|' /C calc'!A0", "SUM(A1:A9)", '"x",1', "好吃", "", " 1", "1e5x", "-1-", "HYPERLINK(1;2)")
RUN = [sign + rest for sign in SIGNS for rest in REST] + [f"=1+{i}" for i in range(90)]
NUMBERS = [-1.5, 7, "-3", "+4.5e-3", "-.5", "", None, True]


def table(path: Path, delimiter: str = ",") -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [*csv.DictReader(file, delimiter=delimiter)]


def test_two_hundred_cells_are_neutralised_and_numbers_are_not(tmp_path: Path) -> None:
    assert len(RUN) == 200
    write_table(tmp_path / "out.csv", [{"=name": cell} for cell in [*RUN, *NUMBERS]])
    cells = [row["'=name"] for row in table(tmp_path / "out.csv")]
    assert cells[:200] == [f"'{cell}" for cell in RUN]
    assert cells[200:] == ["-1.5", "7", "-3", "+4.5e-3", "-.5", "", "", "True"]


@pytest.mark.parametrize(("suffix", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_answers_of_a_file_are_neutralised(make: Make, tmp_path: Path, suffix: str, delimiter: str) -> None:  # noqa: F811
    rows = [{"x": 1, "@said": cell} for cell in [*RUN, "-3", -3]] + [{"x": "=1", "@said": "refused"}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / f"out.{suffix}"
    assert predict_file(make(), tmp_path / "in.jsonl", out).refused == 1
    found = table(out, delimiter)
    assert [row["'@said"] for row in found[:-1]] == [*(f"'{cell}" for cell in RUN), "-3", "-3"]
    assert (found[-1]["x"], found[0]["prediction"]) == ("'=1", "0.0")
    # JSON lines are opened by no spreadsheet: they hold what was given.
    predict_file(make(), tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    assert json.loads((tmp_path / "out.jsonl").read_text().splitlines()[0])["@said"] == "=1+1"
