"""What is printed is what was written: a reason, a path or a cell is never markup, and `:x:` is no picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from lingqu.cli.present import err, out
from lingqu.registry import Registry
from lingqu.store import Store
from tests.conftest import Lingqu

pytestmark = pytest.mark.heavy

REASON = "see [/issue] 7 and [red]this[/red] :x: \\[bold]"


def test_a_reason_is_shown_as_it_was_written(finished: Path, lingqu: Lingqu) -> None:
    registry = Registry(Store.open(finished / ".lingqu"))
    first = registry.get("kinds@1")
    same = {"task": first.task, "metrics": {}, "decision": first.decision, "lineage": first.lineage, "spec": first.spec}
    registry.register("kinds", bundle=first.bundle, data_version="other", run="other", **same)
    done = lingqu("promote", "kinds@2", "--override", "--why", REASON, "--who", "[/anna]")
    assert (done.returncode, done.stderr) == (0, "")
    assert lingqu("rollback", "kinds", "--why", REASON).returncode == 0
    told = lingqu("history")
    assert (told.returncode, told.stderr) == (0, "")
    assert f"version 2 became champion of kinds ([/anna]): {REASON}" in told.stdout
    assert told.stdout.count(REASON) == 2


def test_paths_are_shown_as_they_are(finished: Path, lingqu: Lingqu) -> None:
    # A path may read like the end of a style: the folder `[` holds `red]:x:`.
    (finished / "[").mkdir()
    done = lingqu("export", "kinds", "[/red]:x:")
    assert (done.returncode, done.stdout.splitlines()[0].split(" (")[0]) == (0, "kinds@1 is in [/red]:x:")
    done = lingqu("predict", "kinds", "rows.csv", "-o", "[/red]:x:.csv")
    assert (done.returncode, done.stdout) == (0, "300 answers in '[/red]:x:.csv'\n"), done.stderr
    (finished / "[/b]:x:").write_text((finished / "lingqu.yaml").read_text().replace("rows.csv", "../rows.csv"))
    done = lingqu("check", "[/b]:x:")
    assert (done.returncode, done.stdout.splitlines()[0]) == (
        0,
        "[/b]:x: is right: text-classification on 300 rows (210 train, 26 validation, 64 test).",
    ), done.stderr
    assert done.stdout.splitlines()[-1] == "Next: lingqu run '[/b]:x:'"


def test_cells_and_headings_are_shown_as_they_are(tmp_path: Path, lingqu: Lingqu) -> None:
    lines = "".join(f"[/a] :x: {i},[/{'bc'[i % 2]}]\n" for i in range(40))
    (tmp_path / "t.csv").write_text("[/text],[/label]\n" + lines)
    (tmp_path / "lingqu.yaml").write_text(
        "name: kinds\ntask: text-classification\n"
        "data: {source: t.csv, columns: {text: '[/text]', label: '[/label]'}, near_duplicates: false}\n"
    )
    done = lingqu("check")
    assert done.returncode == 0, done.stderr
    assert "[/a] :x: 0" in done.stdout
    assert "[/b]" in done.stdout


@pytest.mark.parametrize("console", [out, err])
def test_every_string_is_plain_by_default(console: object, capsys: pytest.CaptureFixture[str]) -> None:
    console.print(REASON)  # type: ignore[attr-defined]
    captured = capsys.readouterr()
    assert captured.out + captured.err == REASON + "\n"
