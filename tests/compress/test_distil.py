"""A student learns from rows without labels what its teacher knows, and takes its place only when a test sees no cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lingqu.bundle.read import Bundle
from lingqu.compress.distil import Student, distil, read_unlabelled
from lingqu.contract import Rows
from lingqu.data.forgotten import Rule, Rules
from lingqu.errors import DataError, SpecError
from lingqu.loop import check
from lingqu.spec import TrainSettings
from lingqu.tasks import find_task
from tests.compress.conftest import Learned
from tests.conftest import write_csv
from tests.evaluate.tiny_bundle import make_bundle

UNNAMED = (
    "Expected the setting compress.distil.unlabelled, found nothing. "
    "Add it: rows without labels for the chosen model to answer."
)
NOT_THERE = (
    "Expected a file or folder for compress.distil.unlabelled, found nothing at 'row.csv'. Did you mean 'rows.csv'?"
)


def student(family: str, **settings: Any) -> Student:
    kinds = {"rooms": "number", "town": "category", "target": "number"} if family == "linear" else {"text": "text"}
    return Student(family, "tiny", kinds, TrainSettings(**settings), 60.0)


@pytest.mark.heavy
def test_labels_of_the_teacher_are_what_is_learned(tmp_path: Path) -> None:
    """The teacher has every label turned round, and rows with labels are few: the student says what the teacher says."""
    teacher = make_bundle("text-classification", tmp_path / "teacher")
    labels = teacher.memory["labels"]
    task = find_task("text-classification")
    rows = task.toy(300, seed=5)
    few = rows.take(range(12))
    found = distil(
        teacher, tmp_path / "new", student("ngram-linear"), unlabelled=rows, train=few, valid=few, work=tmp_path
    )
    said = [Bundle.open(tmp_path / "new").predict(rows), teacher.predict(rows)]
    assert np.mean([a.label == b.label for a, b in zip(*said, strict=True)]) > 0.95
    assert Bundle.open(tmp_path / "new").memory["labels"] == labels
    assert found.why.endswith("; ngram-linear learned from 300 rows without labels")


@pytest.mark.heavy
def test_what_the_labels_alone_would_teach_is_told(tmp_path: Path) -> None:
    teacher = make_bundle("tabular-regression", tmp_path / "teacher")
    rows = find_task("tabular-regression").toy(80, seed=5)
    one = student("linear")
    alone = Student(one.family, one.size, one.kinds, one.settings, one.seconds, labels_only=teacher)
    found = distil(teacher, tmp_path / "new", alone, unlabelled=rows, train=rows, valid=rows, work=tmp_path)
    told = f"(loss {found.loss_after:.4g}, from the labels alone {found.loss_before:.4g})"
    assert found.why.endswith(f"; linear learned from 80 rows without labels {told}")


@pytest.mark.heavy
def test_a_network_learns_the_whole_distribution(learned: Learned, tmp_path: Path) -> None:
    teacher, rows = learned("text-classification", "ngram-linear")
    more = find_task("text-classification").toy(200, seed=9)
    taught = student("textcnn", class_weights="balanced")
    distil(teacher, tmp_path / "new", taught, unlabelled=more, train=rows, valid=rows, work=tmp_path)
    new = Bundle.open(tmp_path / "new")
    assert new.manifest["family"] == "textcnn"
    fresh = find_task("text-classification").toy(100, seed=11)
    said = [one.predict(fresh) for one in (new, teacher)]
    assert np.mean([a.label == b.label for a, b in zip(*said, strict=True)]) > 0.95


@pytest.mark.heavy
def test_rows_that_the_contract_refuses_teach_nothing(tmp_path: Path) -> None:
    teacher = make_bundle("tabular-regression", tmp_path / "teacher")
    cells = {"rooms": ["3", "many", "5", "1e9"], "town": ["Guilin", "Guilin", "Xing'an", "Guilin"], "note": ["a"] * 4}
    source = write_csv(tmp_path / "more.csv", Rows(cells))
    found = read_unlabelled(str(source), teacher)
    assert (found["rooms"], found.names) == ([3.0, 5.0], ("rooms", "town"))
    forgotten = Rules([Rule.of("Xing'an", bytes(32)), Rule.of("b", bytes(32), column="note")], bytes(32))
    assert read_unlabelled(str(source), teacher, forgotten=forgotten)["rooms"] == [3.0]
    write_csv(source, Rows({"rooms": ["3"]}))
    with pytest.raises(DataError, match="Expected a column 'town', found columns rooms"):
        read_unlabelled(str(source), teacher)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (
            {"into": "ngram-liner", "unlabelled": "rows.csv"},
            "Expected a model family that lingqu knows, found 'ngram-liner'. Did you mean 'ngram-linear'?",
        ),
        ({"into": "mlp", "unlabelled": "row.csv"}, NOT_THERE),
        ({"into": "mlp"}, UNNAMED),
    ],
)
def test_a_wrong_wish_is_told_before_anything_is_learned(project: Path, asked: dict[str, str], told: str) -> None:
    text = (project / "lingqu.yaml").read_text()
    wish = ", ".join(f"{name}: {value}" for name, value in asked.items())
    (project / "lingqu.yaml").write_text(f"{text}compress: {{distil: {{{wish}}}}}\n")
    with pytest.raises(SpecError) as caught:
        check(project / "lingqu.yaml")
    assert [str(problem).split(": ", 1)[1] for problem in caught.value.problems] == [told]


@pytest.mark.heavy
def test_each_label_of_a_set_is_taught_by_itself(learned: Learned, tmp_path: Path) -> None:
    teacher, _ = learned("multi-label-text-classification", "textcnn")
    task = teacher.task
    more, few = task.toy(300, seed=5), task.toy(24, seed=6)
    found = distil(
        teacher, tmp_path / "new", student("ngram-linear"), unlabelled=more, train=few, valid=few, work=tmp_path
    )
    assert found.why.endswith("; ngram-linear learned from 300 rows without labels")
    fresh = task.toy(200, seed=7)
    said = [one.predict(fresh) for one in (Bundle.open(tmp_path / "new"), teacher)]
    assert np.mean([a.label == b.label for a, b in zip(*said, strict=True)]) > 0.9


@pytest.mark.heavy
def test_a_teacher_that_is_unsure_makes_an_unsure_student(tmp_path: Path) -> None:
    """What the student says of a text is as likely as its teacher finds it, not as sure as a label would be."""
    teacher = make_bundle("text-classification", tmp_path / "teacher")
    teacher.memory["temperature"] = 12.0
    rows = find_task("text-classification").toy(300, seed=5)
    taught = Student("ngram-linear", "tiny", {"text": "text"}, TrainSettings(), 60.0)
    logits = []
    for temperature in (12.0, 0.05):
        teacher.memory["temperature"] = temperature
        folder = tmp_path / f"{temperature}"
        distil(teacher, folder, taught, unlabelled=rows, train=rows.take(range(12)), valid=rows, work=folder)
        logits.append(float(np.abs(Bundle.open(folder).outputs(rows)["logits"]).mean()))
    assert logits[0] < 0.6 * logits[1], logits
