"""A spec is read from a file, text, a mapping or Python, and comes back the same from what `show` prints."""

from pathlib import Path

import pytest

from lingqu.errors import SpecError
from lingqu.spec import GivenSplits, Spec, load_spec, show

FULL = """\
name: ticket-router
task: text-classification
data:
  source: tickets.csv
  columns: {text: message, label: queue}
size: small
budget: 10 min
model: auto
train: {method: auto}
compress: {quantise: int8}
gates: {f1: ">= 0.85", latency_p95: "<= 20 ms", slices: {language: {f1: ">= 0.80"}}}
serve: {port: 8000}
improve: {after: 200 new labels, at_most: 1 per day, promote: ask}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tickets.csv").write_text("message,queue\n", encoding="utf-8")
    (tmp_path / "spec.yaml").write_text(FULL, encoding="utf-8")
    return tmp_path


def test_the_spec_of_the_design(folder):
    spec = load_spec(folder / "spec.yaml", tasks=["text-classification"], metrics=["f1"], models=["ngram-linear"])
    assert spec.name == "ticket-router"
    assert spec.data.columns == {"text": "message", "label": "queue"}
    assert spec.budget_seconds == 600
    assert spec.families is None
    assert [(limit.name, limit.sense, limit.value) for limit in spec.gates.limits()] == [
        ("f1", ">=", 0.85),
        ("latency_p95", "<=", 20.0),
    ]
    assert spec.gates.slice_limits()["language"][0].value == 0.8
    assert spec.improve.new_labels == 200
    assert spec.improve.pause_seconds == 86400


def test_paths_start_at_the_file_not_at_the_current_folder(folder, monkeypatch):
    monkeypatch.chdir("/")
    spec = load_spec(str(folder / "spec.yaml"))
    assert spec.folder == folder
    assert spec.located_data().source == str(folder / "tickets.csv")
    assert spec.data.source == "tickets.csv"


def test_bundled_sets_are_no_paths(tmp_path):
    spec = load_spec({"name": "a", "task": "t", "data": {"source": "sklearn:digits"}}, folder=tmp_path)
    assert spec.located_data().source == "sklearn:digits"


def test_given_splits(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("x\n")
    spec = load_spec("name: a\ntask: t\ndata:\n  source: {train: a.csv, dev: b.csv}\n", folder=tmp_path)
    assert spec.data.source == GivenSplits(train="a.csv", validation="b.csv")
    assert spec.located_data().source == GivenSplits(train=str(tmp_path / "a.csv"), validation=str(tmp_path / "b.csv"))


def test_python_needs_no_file():
    spec = Spec(name="a", task="t", data={"source": "nowhere.csv"})  # type: ignore[arg-type]
    assert spec.folder == Path.cwd()
    assert spec.train.clip == 1.0


def test_python_errors_are_the_same_tree():
    with pytest.raises(SpecError) as caught:
        Spec(name="a", task="t", data={"source": "a.csv"}, train={"lern_rate": 1})  # type: ignore[arg-type]
    assert str(caught.value) == "Expected a setting of train, found 'lern_rate'. Did you mean 'learning_rate'?"


def test_a_spec_is_checked_again_with_names(folder):
    spec = load_spec(folder / "spec.yaml")
    with pytest.raises(SpecError, match="Did you mean 'text-classification'"):
        load_spec(spec.model_copy(update={"task": "text-clasification"}), tasks=["text-classification"])
    assert load_spec(spec).folder == folder


@pytest.mark.parametrize("extra", ["", "model: [cnn, mlp]\n", "train: {epochs: 3, lr: 1e-3}\n"])
def test_what_show_prints_is_the_same_spec(folder, extra):
    text = FULL.replace("model: auto\n", extra) if extra.startswith("model") else FULL
    text = text.replace("train: {method: auto}\n", extra) if extra.startswith("train") else text
    spec = load_spec(text, folder=folder)
    again = load_spec(show(spec), folder=folder)
    assert again == spec
    assert show(again) == show(spec)
    assert Spec(**spec.model_dump(mode="json")).model_dump() == spec.model_dump()


def test_show_keeps_odd_names(tmp_path):
    names = {"text": "1", "label": "a: b # c", "x": "no", "y2": "true", "z": '"', "w": "消息", "v": "007", "u": "~"}
    odd = {"name": "a", "task": "tabular", "data": {"source": "sklearn:iris", "columns": names, "delimiter": "tab"}}
    spec = load_spec(odd, folder=tmp_path)
    assert load_spec(show(spec), folder=tmp_path) == spec
    assert spec.data.delimiter == "\t"


def test_settings_are_frozen():
    spec = Spec(name="a", task="t", data={"source": "a.csv"})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="frozen"):
        spec.name = "b"  # type: ignore[misc]


def test_every_problem_at_once_in_the_order_of_lines(tmp_path):
    text = "name: 12\nsize: huge\ndata:\n  source: sklearn:digts\n  encoding: utf8\nlr: 3\nsize: small\n"
    with pytest.raises(SpecError) as caught:
        load_spec(text, folder=tmp_path)
    assert str(caught.value) == (
        "1. spec:1: Expected a name of Latin letters, digits, - _ and . for name, found 12. Put it in quotes.\n"
        "2. spec:1: Expected the setting task, found nothing. Add it: what to learn; `lingqu tasks` lists them.\n"
        "3. spec:2: Expected tiny, small, medium or large for size, found 'huge'. Correct it; left out, it is small.\n"
        "4. spec:4: Expected a bundled set for data.source, found 'sklearn:digts'. Did you mean 'digits'?\n"
        "5. spec:6: Expected a setting of the spec, found 'lr'. lingqu calls it train.learning_rate.\n"
        "6. spec:7: Expected each name once, found 'size' again (first on line 2). Keep one of them."
    )
    assert caught.value.exit_status == 2


def test_a_table_of_names_says_nothing_about_roles():
    text = "name: a\ntask: t\ndata: {source: sklearn:iris, columns: {text: x}}\n"
    assert load_spec(text, tasks={"t": "module:Class"}).data.columns == {"text": "x"}
