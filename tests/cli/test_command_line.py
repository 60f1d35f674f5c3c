"""The command line: one plain sentence for what was wrong, the right exit status, JSON alone on standard output."""

from __future__ import annotations

import io
import json
import re
import signal
import sys
from pathlib import Path

import pytest
from rich.text import Text

from lingqu.cli import COMMANDS, call, signals
from lingqu.cli.feedback import _whole_rows
from lingqu.cli.present import SafeConsole, table
from lingqu.errors import DataError, RequestError
from lingqu.loop import load
from lingqu.registry import Registry
from lingqu.spec.synonyms import VERBS
from lingqu.store import Store
from lingqu.tasks import task_names
from tests.conftest import Lingqu, as_json

SPEC = """\
name: router
task: text-classification
data:
  source: t.csv
  columns: {text: mesage, label: queue}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "t.csv").write_text("message,queue\n" + "".join(f"hello {i},{'ab'[i % 2]}\n" for i in range(40)))
    (tmp_path / "lingqu.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = call(arguments)
    return status, capsys.readouterr().err


def test_all_problems_of_spec_and_data_in_one_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "lingqu.yaml").write_text(SPEC + "bugdet: 5 min\nsize: smal\n")
    for command in ("check", "run"):
        assert told(capsys, command) == (
            2,
            (
                "3 problems:\n"
                "1. lingqu.yaml:6: Expected a setting of the spec, found 'bugdet'. Did you mean 'budget'?\n"
                "2. lingqu.yaml:7: Expected tiny, small, medium or large for size, found 'smal'. Did you mean 'small'?\n"
                "3. lingqu.yaml:5: Expected the column 'mesage' for text, found the columns 'message', 'queue'. "
                "Did you mean 'message'?\n"
            ),
        )
    assert not (folder / ".lingqu").exists(), "nothing is done before the spec is right"


def test_check_shows_what_it_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "lingqu.yaml").write_text(SPEC.replace("mesage", "message"))
    assert call(["check", "--json"]) == 0
    shown_ = json.loads(capsys.readouterr().out)
    assert sum(shown_.pop("profile")["rows"].values()) == 40
    assert shown_ == {
        "name": "router",
        "task": "text-classification",
        "rows": 40,
        "kinds": {"text": "text", "label": "label"},
        "roles": {"text": "message", "label": "queue"},
        "quarantined": 0,
        "findings": [],
    }
    assert call(["check", "--show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["spec"]["size"] == "small"
    assert call(["check", "--show"]) == 0
    shown = capsys.readouterr().out
    assert "budget:" in shown
    assert "# The one dial" in shown
    assert call(["check", "--html", "profile.html"]) == 0
    shown = capsys.readouterr().out
    assert "The profile is in profile.html.\n" in shown
    assert "<h2>Columns</h2>" in (folder / "profile.html").read_text()
    assert call(["check", "--language", "zh", "--html", "profile.html"]) == 0
    # All is Chinese but the names and what to type.
    names = "lingqu.yaml text-classification label queue message hello profile.html lingqu run lingqu.yaml"
    assert [word for word in re.findall(r"[A-Za-z]{3,}", capsys.readouterr().out) if word not in names] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rnu"], "Expected a command of lingqu, found 'rnu'. Did you mean 'run'? See: lingqu --help\n"),
        (
            ["predict", "x"],
            (
                "Expected a command line such as `lingqu predict [-h] [--json] [--home FOLDER] [-o OUT] "
                "[--root FOLDER] [--scores] MODEL INPUT`, found the following arguments are required: INPUT. See: lingqu predict --help\n"
            ),
        ),
        (
            ["serve", "x", "--port", "99999"],
            (
                "Expected a whole number from 0 to 65,535 after --port, found '99999'. "
                "Type: --port 8000, or --port 0 for any that is free.\n"
            ),
        ),
        (
            ["serve", "x", "--workers", "0"],
            "Expected a whole number of at least 1 after --workers, found '0'. Type: --workers 1\n",
        ),
        (
            ["improve", "--watch", "--every", "never"],
            "Expected a length of time such as '1 min' after --every, found 'never'. Type: --every '30 s'\n",
        ),
        (
            ["explain", "x", "t.csv", "--most", "-3"],
            "Expected a whole number of at least 1 after --most, found '-3'. Type: --most 1\n",
        ),
        (
            ["feedback", "add", "labels.csv"],
            "Expected a file of labels at 'labels.csv', found no such file. Check the path.\n",
        ),
        (
            ["keys", "usage", "--since", "2026-02-30"],
            "Expected a month or a day such as 2026-11-22 (UTC) after --since, found '2026-02-30'. Type: --since 2026-11\n",
        ),
        (["--home", "none", "show"], "Expected a version to show, found none here yet. Make one: lingqu run\n"),
        (["show"], "Expected a version to show, found none here yet. Make one: lingqu run\n"),
        (["predict", "x", "y.csv"], "Expected a model of the registry, found 'x'. Known: none yet.\n"),
        (["new", "x"], f"Expected --task TASK, found no task. Known: {', '.join(task_names())}.\n"),
        (
            ["new", "x", "--task", "text-classification", "--data", "no.csv"],
            "Expected a file or folder for --data, found nothing at 'no.csv'. Check the path.\n",
        ),
        (
            ["run", "other.yaml"],
            "Expected a spec, found no file 'other.yaml'. Make one: lingqu new NAME --task TASK --data FILE\n",
        ),
    ],
)
def test_a_wrong_request_is_one_sentence_and_status_2(
    arguments: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(capsys, *arguments) == (2, said)


def test_a_broken_row_of_a_file_gives_no_label_from_the_wrong_column(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text('text,label\nthe soup,food\nwell, well,food\n"no end,food\n')
    with pytest.raises(DataError) as refused:
        _whole_rows(str(path))
    assert str(refused.value) == (
        "1. row 2: Expected a whole row, found 3 cells where the header names 2. Repair it, or leave it out.\n"
        "2. row 3: Expected a whole row, found quotes that do not close. Repair it, or leave it out."
    )
    path.write_text("text,label\nthe soup,food\n")
    assert _whole_rows(str(path)) == [{"text": "the soup", "label": "food"}]


def test_what_users_wrote_is_shown_and_never_obeyed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A label that anybody may send over HTTP stands in a table of the owner's terminal."""
    turning = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    evil = f"fo\x1b]52;c;cm0=\x07od\x1b[2J\x9b31m{turning}渠"
    # A bell Rich leaves out by itself.
    harmless = f"fo␛]52;c;cm0=od␛[2J\ufffd31m{len(turning) * chr(0xFFFD)}渠"
    file = io.StringIO()
    console = SafeConsole(file=file, width=80, force_terminal=True, color_system="standard", highlight=False)
    console.print(table("", [evil], [[evil]]), Text(evil, style="bold"), evil)
    assert file.getvalue().replace("␇", "").count(harmless) == 4
    assert "\x1b[1m" in file.getvalue() and not {"\x07", "\x9b", *turning} & {*file.getvalue()}
    assert told(capsys, "export", "x", evil)[0] == 2
    assert call(["feedback", "add", f"{evil}.csv"]) == 2
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("word", sorted(VERBS))
def test_words_of_other_tools_find_their_verb(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call([word, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: lingqu {VERBS[word]} ")


def test_every_command_has_help_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert call([]) == 0
    shown = capsys.readouterr().out
    for verb, (_, about, _) in COMMANDS.items():
        assert f"    {verb} " in shown
        assert about in " ".join(shown.split())


@pytest.mark.parametrize("task", task_names())
def test_new_writes_a_spec_that_is_right(task: str, lingqu: Lingqu, tmp_path: Path) -> None:
    assert as_json(lingqu("new", "mine", "--task", task, "--json"))["task"] == task
    checked = lingqu("check", "mine/lingqu.yaml", "--json")
    assert checked.returncode == 0, checked.stderr
    assert as_json(checked)["rows"] == 240
    again = lingqu("new", "mine", "--task", task)
    assert again.returncode == 2
    assert (
        again.stderr == "Expected a name without a spec yet, found mine/lingqu.yaml. Edit it, or choose another name.\n"
    )


def test_new_finds_the_columns_or_lists_them(lingqu: Lingqu, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Review,queue,no\nfine,a,1\nbad,b,2\n")
    (tmp_path / "b.csv").write_text("Review,class\n" + "".join(f"fine {n * n},{'ab'[n % 2]}\n" for n in range(60)))
    asked = lingqu("new", "first", "--task", "text-classification", "--data", "a.csv")
    assert asked.stdout.endswith("Next: lingqu check first/lingqu.yaml  once data.columns names your columns\n")
    written = (tmp_path / "first/lingqu.yaml").read_text()
    assert '  # your columns: Review, queue, "no"\n  columns: {text: Review, label: label}' in written
    asked = lingqu("new", "second", "--task", "text-classification", "--data", "b.csv")
    assert asked.stdout.endswith("Next: lingqu run second/lingqu.yaml\n")
    assert lingqu("check", "second/lingqu.yaml").returncode == 0


def test_new_names_rows_in_the_same_place_so_that_both_can_move(lingqu: Lingqu, tmp_path: Path) -> None:
    rows = "text,label\n" + "".join(f"fine {n * n},{'ab'[n % 2]}\n" for n in range(60))
    (tmp_path / "here").mkdir()
    (tmp_path / "here/a.csv").write_text(rows)
    made = lingqu("new", "here/mine", "--task", "text-classification", "--data", "here/a.csv", "--json")
    assert as_json(made)["source"] == "../a.csv"
    (tmp_path / "here").rename(tmp_path / "there")
    assert lingqu("check", "there/mine").returncode == 0


def test_new_refuses_a_file_that_no_reader_takes(lingqu: Lingqu, tmp_path: Path) -> None:
    (tmp_path / "notes.docx").write_text("some notes")
    done = lingqu("new", "mine", "--task", "text-classification", "--data", "notes.docx")
    assert (done.returncode, done.stderr) == (
        2,
        (
            "Expected a csv, tsv, txt, jsonl, json, parquet, npz or xlsx file or a folder of images, found 'notes.docx'. "
            "Known: .csv, .json, .jsonl, .ndjson, .npz, .parquet, .pq, .tab, .tsv, .txt, .xlsm, .xlsx.\n"
        ),
    )
    assert not (tmp_path / "mine").exists()


def test_help_is_a_word_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert call(["help"]) == 0
    assert capsys.readouterr().out.startswith("usage: lingqu [-h]")
    assert call(["help", "run"]) == 0
    assert capsys.readouterr().out.startswith("usage: lingqu run [-h]")


def test_a_folder_stands_for_the_spec_in_it(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.parent)
    status, said = told(capsys, "check", folder.name)
    assert status == 2
    assert said.startswith(f"{folder.name}/lingqu.yaml:5: Expected the column 'mesage' for text")


def test_new_with_a_wrong_name_writes_nothing(lingqu: Lingqu, tmp_path: Path) -> None:
    done = lingqu("new", "bad name", "--task", "text-classification")
    assert (done.returncode, done.stderr) == (
        2,
        "Expected a name of Latin letters, digits, - _ and . for name, found 'bad name'. Correct it.\n",
    )
    assert not (tmp_path / "bad name").exists()


def test_brackets_in_a_reason_or_a_path_are_no_markup(finished: Path, lingqu: Lingqu) -> None:
    reason = "[/red] because [x]"
    registry = Registry(Store.open(finished / ".lingqu"))
    registry.set_alias("kinds", "staging", 1, expect_epoch=0, who="me", why=reason)
    assert reason in lingqu("history").stdout
    done = lingqu("export", "kinds", "out [/x]")
    assert (done.returncode, "kinds@1 is in out [/x] (" in done.stdout) == (0, True)
    assert "lingqu predict 'out [/x]' INPUT" in done.stdout


@pytest.mark.parametrize("command", ["versions", "history"])
def test_an_unknown_model_is_no_empty_list(command: str, finished: Path, lingqu: Lingqu) -> None:
    done = lingqu(command, "kind")
    assert (done.returncode, done.stderr) == (
        2,
        "Expected a model of the registry, found 'kind'. Did you mean 'kinds'?\n",
    )


def test_next_steps_work_from_where_they_are_told(
    finished: Path, lingqu: Lingqu, monkeypatch: pytest.MonkeyPatch
) -> None:
    above = finished.parent
    done = lingqu("run", f"{finished.name}/lingqu.yaml", cwd=above)
    assert f"lingqu show kinds@1 --home {finished.name}/.lingqu" in done.stdout
    assert lingqu("show", "kinds@1", "--home", f"{finished.name}/.lingqu", cwd=above).returncode == 0
    assert "lingqu show kinds@1  " in lingqu("run").stdout


@pytest.mark.heavy
def test_versions_in_a_pipe_keep_their_cells_whole(
    finished: Path, process: Lingqu, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    line = process("versions").stdout.splitlines()[1]
    assert line.split()[:7] == ["kinds", "1", "champion", "text-classification", "promote", "f1", "1"]


def test_a_slice_of_no_column_is_shown_before_training(project: Path, lingqu: Lingqu) -> None:
    with (project / "lingqu.yaml").open("a") as file:
        file.write("gates: {slices: {labell: {f1: '>= 0.8'}}}\n")
    done = lingqu("run")
    assert (done.returncode, "train" in done.stderr) == (2, False)
    assert done.stderr.endswith(
        "Expected a column under gates.slices that parts the test rows, found 'labell'. Did you mean 'label'?\n"
    )


def test_show_cuts_no_sentence_off(finished: Path, lingqu: Lingqu) -> None:
    shown = lingqu("show").stdout
    assert as_json(lingqu("show", "--json"))["gate"]["sentence"] in shown


@pytest.mark.heavy
def test_a_run_tells_what_was_found_in_the_data(project: Path, lingqu: Lingqu) -> None:
    with (project / "rows.csv").open("a") as file:
        file.write(",food\n")
    done = lingqu("run")
    assert "Warning: 1 broken row was set aside.\n" in done.stdout
    assert as_json(lingqu("run", "--json"))["quarantined"] == 1


def test_predict_on_this_folder_names_its_answers(
    finished: Path, lingqu: Lingqu, capsys: pytest.CaptureFixture[str]
) -> None:
    done = lingqu("predict", "kinds", ".")
    assert (done.returncode, done.stderr.startswith("Expected ")) == (2, True)


def test_rows_of_one_label_are_shown_before_any_work(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "t.csv").write_text("message,queue\n" + "".join(f"hello {i},a\n" for i in range(40)))
    (folder / "lingqu.yaml").write_text(SPEC.replace("mesage", "message"))
    said = "Expected at least two different labels, found ['a'] in every row. Check data.columns.label, or add rows of another class.\n"
    assert told(capsys, "check") == (2, f"lingqu.yaml:5: {said}")
    status, error = told(capsys, "run")
    assert (status, error.splitlines()[-1] + "\n") == (2, f"lingqu.yaml:5: {said}")
    assert "train" not in error


def test_ids_taken_for_labels_are_few_lines(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "t.csv").write_text("message,queue\n" + "".join(f"hello {i},q{i}\n" for i in range(40)))
    (folder / "lingqu.yaml").write_text(SPEC.replace("mesage", "message"))
    status, error = told(capsys, "run")
    assert (status, len(error.splitlines()) < 12) == (2, True)
    assert "There are 40 classes in 40 rows: check data.columns." in error


def test_a_word_that_is_no_column_is_shown_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "lingqu.yaml").write_text(SPEC.replace("text: mesage", "txt: message"))
    assert told(capsys, "check")[1].count("found 'txt'") == 1


@pytest.mark.parametrize("rows", ["a text", {"text": "a text"}, ["a text"]])
def test_rows_that_are_no_list_of_mappings(rows: object, finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished)
    with pytest.raises(RequestError, match=r"^Expected rows as a list of mappings, found a (str|dict)\."):
        load("kinds").predict(rows)  # pyright: ignore[reportArgumentType]


def test_a_wrong_output_format(finished: Path, lingqu: Lingqu) -> None:
    done = lingqu("predict", "kinds", "rows.csv", "-o", "out.xlsx")
    assert (done.returncode, done.stderr) == (
        2,
        "Expected an output file of csv, tsv, jsonl or parquet, found 'out.xlsx'. Known: .csv, .jsonl, .parquet, .tsv.\n",
    )


def test_doctor_finds_everything_here(tmp_path: Path, lingqu: Lingqu) -> None:
    done = lingqu("doctor", "--json")
    assert done.returncode == 0, done.stdout
    checks = {check["what"]: check["state"] for check in as_json(done)["checks"]}
    assert checks["torch"] == checks["onnxruntime"] == checks["store"] == "ok"


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    import lingqu.cli.start

    def broken(_: object) -> int:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(lingqu.cli.start, "tasks", broken)
    with pytest.raises(ZeroDivisionError):
        call(["tasks"])


def test_a_library_that_ctrl_c_kept_from_loading_is_not_called_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "lingqu.yaml").write_text("name: n\ntask: tabular-classification\ndata: {source: sklearn:iris}\n")
    # Another test of this process may have loaded it: then the package alone says where its parts are.
    for name in ("sklearn", "sklearn.datasets"):
        monkeypatch.setitem(sys.modules, name, None)
    assert call(["check", str(tmp_path)]) == 2
    assert "found it not installed" in capsys.readouterr().err
    monkeypatch.setattr(signals, "_HEARD", [signal.SIGINT])
    assert call(["check", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "\nStopped. Nothing is lost: the same command goes on from here.\n"
