"""With --json a program finds what went wrong where it looks for everything else: one object on standard output."""

from __future__ import annotations

from pathlib import Path

import pytest

from lingqu.errors import BundleError
from tests.conftest import Lingqu, as_json

HEAD = "name: n\ntask: {}\ndata: {{source: rows.csv}}\n"


def test_every_problem_in_its_parts(tmp_path: Path, lingqu: Lingqu) -> None:
    (tmp_path / "lingqu.yaml").write_text("name: n\ntask: text-clasification\ndata: {source: rows.csv}\n")
    done = lingqu("check", "--json")
    assert done.returncode == 2
    assert as_json(done) == {
        "error": {
            "kind": "SpecError",
            "message": done.stderr.removeprefix("2 problems:\n").rstrip("\n"),
            "problems": [
                {
                    "expected": "a task that lingqu knows",
                    "found": "'text-clasification'",
                    "next": "Did you mean 'text-classification'?",
                    "where": "lingqu.yaml:2",
                },
                {
                    "expected": "a file or folder for data.source",
                    "found": "nothing at 'rows.csv'",
                    "next": as_json(done)["error"]["problems"][1]["next"],
                    "where": "lingqu.yaml:3",
                },
            ],
        }
    }


def test_a_command_line_that_is_none(lingqu: Lingqu) -> None:
    done = lingqu("chekc", "--json")
    assert done.returncode == 2
    assert as_json(done)["error"]["problems"][0]["found"] == "'chekc'"
    assert lingqu("chekc").stdout == ""


def test_work_that_failed(finished: Path, lingqu: Lingqu) -> None:
    assert lingqu("export", "kinds", "out").returncode == 0
    (finished / "out" / "model.onnx").write_bytes(b"other")
    done = lingqu("predict", "out", "rows.csv", "--json")
    assert done.returncode == BundleError.exit_status
    assert as_json(done)["error"]["kind"] == "BundleError"


@pytest.mark.parametrize(
    ("task", "header", "row", "first"),
    [
        (
            "text-classification",
            "text,label",
            lambda i: f"hello {i},{'ab'[i % 2] if i else 'rare'}",
            ["rows of every class in validation", "none of 'rare' (1 row in all)"],
        ),
        (
            "text-classification",
            "text,label",
            lambda i: f"hello {i},{'ab'[i % 2]}" if i < 3 else "",
            ["rows in ", "none of 3"],
        ),
        (
            "tabular-regression",
            "rooms,target",
            lambda i: f"{i},{['cheap', 'dear'][i % 2]}",
            ["at most 1% broken rows (data.max_bad)", "120 of 120 (100%)"],
        ),
    ],
    ids=["a class of one row", "three rows", "numbers that are words"],
)
def test_check_tells_what_a_run_would_fail_by(
    task: str, header: str, row, first: list[str], tmp_path: Path, lingqu: Lingqu
) -> None:
    (tmp_path / "rows.csv").write_text("\n".join([header, *filter(None, map(row, range(120)))]) + "\n")
    (tmp_path / "lingqu.yaml").write_text(HEAD.format(task) + "  # seven rows would do\n")
    checked, ran = (lingqu(verb, "--json") for verb in ("check", "run"))
    assert (checked.returncode, ran.returncode) == (2, 2)
    problems = as_json(checked)["error"]["problems"]
    assert problems[0]["expected"].startswith(first[0])
    assert problems[0]["found"] == first[1]
    assert problems[0]["where"] == "lingqu.yaml:3"
    assert len(problems) <= 10
    assert [one["found"] for one in as_json(ran)["error"]["problems"]] == [one["found"] for one in problems]
