"""Whoever only looks leaves nothing behind; and `run` tells the same place of a data problem as `check`."""

from __future__ import annotations

from pathlib import Path

import pytest

from lingqu.errors import DataError, UnknownNameError
from lingqu.loop import load, run
from tests.conftest import Lingqu, as_json

NO_MODEL = "Expected a model of the registry, found 'kinds'. Known: none yet.\n"
PROBLEM = "lingqu.yaml:5: Expected the column 'mesage' for text, found the columns 'message', 'queue'. Did you mean 'message'?"


@pytest.mark.parametrize(
    ("arguments", "status", "stdout", "stderr"),
    [
        (["versions"], 0, "Next: lingqu run  no versions yet\n", ""),
        (["versions", "kinds"], 2, "", NO_MODEL),
        (["history"], 0, "Next: lingqu run  nothing was decided yet\n", ""),
        (["history", "--json"], 0, '{"events": [], "problems": []}\n', ""),
        (["show"], 2, "", "Expected a version to show, found none here yet. Make one: lingqu run\n"),
        (["show", "kinds"], 2, "", NO_MODEL),
        (["fsck"], 0, "Everything is as it was written.\n", ""),
        (["predict", "kinds", "rows.csv"], 2, "", NO_MODEL),
        (["export", "kinds", "folder"], 2, "", NO_MODEL),
        (["promote", "kinds"], 2, "", NO_MODEL),
        (["rollback", "kinds"], 2, "", NO_MODEL),
    ],
)
@pytest.mark.parametrize("home", [[], ["--home", "elsewhere"]])
def test_looking_makes_no_store(
    arguments: list[str], status: int, stdout: str, stderr: str, home: list[str], tmp_path: Path, lingqu: Lingqu
) -> None:
    done = lingqu(*arguments, *home)
    assert (done.returncode, done.stdout, done.stderr) == (status, stdout, stderr)
    assert list(tmp_path.iterdir()) == []


def test_the_doctor_makes_no_store(tmp_path: Path, lingqu: Lingqu) -> None:
    done = as_json(lingqu("doctor", "--json"))
    (store,) = [check for check in done["checks"] if check["what"] == "store"]
    assert (store["state"], store["found"]) == ("ok", f"none yet in {tmp_path}")
    assert list(tmp_path.iterdir()) == []


def test_load_makes_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownNameError) as caught:
        load("kinds")
    assert str(caught.value) + "\n" == NO_MODEL
    assert list(tmp_path.iterdir()) == []


def test_run_tells_where_a_data_problem_is(tmp_path: Path, lingqu: Lingqu, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.csv").write_text("message,queue\n" + "".join(f"hello {i},{'ab'[i % 2]}\n" for i in range(40)))
    (tmp_path / "lingqu.yaml").write_text(
        "name: router\ntask: text-classification\ndata:\n  source: t.csv\n  columns: {text: mesage, label: queue}\n"
    )
    checked, ran = lingqu("check"), lingqu("run")
    assert (checked.returncode, checked.stderr) == (2, PROBLEM + "\n")
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", f"data: begun\n{PROBLEM}\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        run("lingqu.yaml")
    assert str(caught.value) == PROBLEM
    with pytest.raises(DataError) as caught:
        run((tmp_path / "lingqu.yaml").read_text())
    assert str(caught.value) == PROBLEM.removeprefix("lingqu.yaml:5: ")
