"""The example of a bundle: a row that it accepts, for every task that there is."""

from __future__ import annotations

from typing import Any

import pytest

from lingqu.bundle.example import example
from lingqu.contract import Category, Id, Image, Label, Number, Rows, Text, Time
from lingqu.data.accept import accept, columns_of, learn_limits
from lingqu.data.labels import LabelTask
from lingqu.data.types import infer
from lingqu.tasks import OURS, find_task


def limits_of(name: str) -> tuple[Any, list[dict[str, Any]]]:
    task = find_task(name)
    rows = task.toy(40)
    given = {column.name: column.kind for column in (*task.columns, task.target) if column.kind != "features"}
    return task, learn_limits(rows, columns_of(task, infer(rows, given)), {"text": "message", "image": "photo"})


@pytest.mark.parametrize("name", sorted(OURS))
def test_a_row_that_the_contract_accepts(name: str) -> None:
    task, limits = limits_of(name)
    row = example({"columns": limits}, task)
    assert list(row) == [limit["source"] for limit in limits]
    _, errors = accept(Rows.from_dicts([row]), limits)
    assert errors == [None]
    assert example({"columns": limits}, task) == row


@pytest.mark.parametrize(
    ("column", "labels", "chinese"),
    [
        ("留言", ["a", "b"], True),
        ("text", ["投诉", "表扬", "other"], True),
        ("text", ["a", "b", "价格"], False),
        ("レビュー内容", [], False),
    ],
)
def test_a_text_is_chinese_where_the_names_are(column: str, labels: list[str], chinese: bool) -> None:
    limits = [{"name": "text", "source": column, "kind": "text", "missing": False}]
    row = example({"columns": limits}, find_task("text-classification"), labels)
    assert row[column].isascii() is not chinese


class Visit(LabelTask):
    """Every kind of column at once, and a toy that knows none of them."""

    name = "visit"
    about = "Whether a visit ends well."
    columns = (Text("note"), Image("photo"), Number("age"), Category("job"), Id("user"), Time("day"))
    target = Label("label")
    fronts = ("table",)
    ladder = ("logistic",)

    def toy(self, rows: int = 48, seed: int = 0) -> Rows:
        return Rows({"label": ["well", "badly"] * (rows // 2)})


def test_every_kind_of_column_has_a_value_without_limits_and_without_a_toy() -> None:
    limits: list[dict[str, Any]] = [
        {"name": column.name, "source": column.name, "kind": column.kind, "missing": False} for column in Visit.columns
    ]
    row = example({"columns": limits}, Visit())
    _, errors = accept(Rows.from_dicts([row]), limits)
    assert errors == [None]
    assert row["photo"].startswith(b"\x89PNG")


def test_a_column_that_was_always_missing_still_gets_a_value() -> None:
    limits = learn_limits(Rows({"age": [None, None], "job": [None, None]}), {"age": "number", "job": "category"})
    assert example({"columns": limits}, find_task("tabular-classification")) == {"age": 0.0, "job": "a"}


def test_a_number_is_within_what_was_learned_however_narrow() -> None:
    limits = learn_limits(Rows({"age": [1.0000000001, 1.0000000002]}), {"age": "number"})
    number = example({"columns": limits}, find_task("tabular-classification"))["age"]
    assert 1.0000000001 <= number <= 1.0000000002
