"""Several labels in one cell, in every form in which people write them, with names in any language."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lingqu.contract import LabelSet
from lingqu.data.ingest import examine, ingest
from lingqu.data.label_sets import best_threshold, encode_sets, fit_binary_temperature, sigmoid
from lingqu.data.values import CellFault, to_labels
from lingqu.errors import DataError
from lingqu.spec import DataSettings
from lingqu.store import Store
from lingqu.tasks import find_task

TASK = find_task("multi-label-text-classification")


@pytest.mark.parametrize(
    ("cell", "read"),
    [
        ("b|a", "a|b"),
        ("b; a;b", "a|b"),
        ("体育，财经", "体育|财经"),
        ("体育、财经；科技", "体育|科技|财经"),
        ('["财经", "体育"]', "体育|财经"),
        ("[]", ""),
        ("", ""),
        (" , ", ""),
        ("[1, 2.0]", "1|2"),
        ("[brackets] in a name", "[brackets] in a name"),
        (3, "3"),
        (None, None),
    ],
)
def test_cells_of_several_labels(cell: object, read: str | None) -> None:
    assert to_labels(cell) == read


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ('[["a"]]', "'[[\"a\"]]' is no list of names"),
        ('["a|b"]', "'[\"a|b\"]' has a label with a | in its name"),
    ],
)
def test_cells_that_are_refused(cell: str, said: str) -> None:
    with pytest.raises(CellFault) as error:
        to_labels(cell)
    assert str(error.value) == said


def rows(count: int = 60) -> list[dict[str, object]]:
    toys = TASK.toy(count)
    return [{"text": row["text"], "labels": row["labels"].split("|") if row["labels"] else []} for row in toys]


def write(path: Path, lines: list[dict[str, object]]) -> str:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return str(path)


def test_lists_and_delimiters_make_the_same_version(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    listed = DataSettings(source=write(tmp_path / "a.jsonl", rows()), near_duplicates=False)
    lines = ["text\tlabels", *(f"{row['text']}\t{'/'.join(row['labels'])}" for row in rows())]  # type: ignore[arg-type]
    (tmp_path / "b.tsv").write_text("\n".join(lines) + "\n")
    joined = DataSettings(source=str(tmp_path / "b.tsv"), near_duplicates=False, label_delimiter="/")
    first, second = (ingest(settings, TASK, store) for settings in (listed, joined))
    assert first.id == second.id
    assert set(first.labels) == {"delivery", "价格", "质量"}
    assert first.labels["价格"] == sum("价格" in row["labels"] for row in rows())  # type: ignore[operator]
    found = examine(listed, TASK).profile["labels"]
    assert {one["label"]: one["train"] + one["validation"] + one["test"] for one in found} == first.labels


def test_labels_are_wanted(tmp_path: Path) -> None:
    one = [{**row, "labels": ["a"]} for row in rows()]
    with pytest.raises(DataError) as error:
        examine(DataSettings(source=write(tmp_path / "a.jsonl", one)), TASK)
    assert str(error.value) == (
        "Expected at least two different labels, found ['a'] in every row. "
        "Check data.columns.labels, or add rows of another class."
    )
    rare = [*rows(), {"text": "once only", "labels": ["rare", "价格"]}]
    settings = DataSettings(source=write(tmp_path / "b.jsonl", rare), near_duplicates=False)
    with pytest.raises(DataError) as error:
        ingest(settings, TASK, Store.open(tmp_path / "store"))
    assert "found none of 'rare' (1 row in all)" in str(error.value)


def test_unknown_labels_are_told() -> None:
    with pytest.raises(DataError) as error:
        encode_sets(["价格|质料"], ["价格", "质量"])
    assert str(error.value) == "Expected labels of the training rows only, found '质料'. Known: 价格, 质量."


@pytest.mark.parametrize("seed", range(5))
def test_the_threshold_is_the_best_there_is(seed: int) -> None:
    draw = np.random.default_rng(seed)
    targets = (draw.random((40, 3)) < 0.3).astype(int)
    scores = np.clip(0.3 * targets + 0.7 * draw.random((40, 3)), 0, 1).round(2)

    def f1(threshold: float) -> float:
        said = scores >= threshold
        return 2 * (said & (targets > 0)).sum() / (said.sum() + targets.sum())

    assert f1(best_threshold(scores, targets)) == pytest.approx(max(f1(t) for t in np.linspace(0.005, 0.995, 199)))


def test_the_temperature_makes_probabilities_honest() -> None:
    draw = np.random.default_rng(0)
    logits = draw.normal(0, 2, (3000, 2))
    targets = (draw.random(logits.shape) < sigmoid(logits)).astype(int)
    assert fit_binary_temperature(logits * 3, targets) == pytest.approx(3, rel=0.1)


def test_an_answer_may_be_empty() -> None:
    answer = LabelSet.of({"a": 0.1, "b": 0.3}, 0.5)
    assert answer.cells(scores=True) == {"prediction": "", "confidence": 0.7, "score.a": 0.1, "score.b": 0.3}
    assert answer.chance("") == pytest.approx(0.63)
