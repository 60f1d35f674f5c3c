"""Every task's columns are watched by their kind, and what is watched tells changed rows from others."""

from __future__ import annotations

import numpy as np
import pytest

from lingqu.contract import LabelScores, LabelSet, NumberValue, Refusal, Rows
from lingqu.data.accept import columns_of
from lingqu.data.pictures import encode_png
from lingqu.monitor.drift import compare
from lingqu.monitor.pictures import picture_numbers
from lingqu.monitor.signals import EVENTS, KINDS, NUMBERS, VECTORS, of_answers, of_columns
from lingqu.monitor.texts import text_vectors
from lingqu.serve.journal import answer_cells
from lingqu.tasks import find_task, task_names


@pytest.mark.parametrize("name", task_names())
def test_the_columns_of_every_task_are_watched(name: str) -> None:
    task = find_task(name)
    rows = task.toy(8)
    kinds = {column: "number" if isinstance(rows[column][0], float | int) else "category" for column in rows.names}
    asked = columns_of(task, kinds)
    signals = of_columns(rows, asked, {})
    assert {signal.column for signal in signals} == set(asked)
    assert len({signal.name for signal in signals}) == len(signals)
    for signal in signals:
        assert signal.kind in KINDS
        assert len(signal) == 8
        assert signal.values.ndim == (2 if signal.kind == VECTORS else 1)


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        (LabelScores.of({"a": 0.7, "b": 0.3}), ["refused", "confidence", "answer"]),
        (LabelSet.of({"a": 0.7, "b": 0.6}, 0.5), ["refused", "confidence", "answer"]),
        (NumberValue(3.0, 2.0, 4.5), ["refused", "answer", "width of the range"]),
        (Refusal("no"), ["refused"]),
    ],
)
def test_the_answers_of_every_kind_are_watched(answer, names: list[str]) -> None:
    cells = answer_cells(answer, "masked")[0]
    assert [signal.name for signal in of_answers([cells] * 3)] == names


def test_missing_and_unseen_are_events() -> None:
    rows = Rows({"age": [1.0, None, 3.0], "job": ["a", None, "z"]})
    found = {one.name: one for one in of_columns(rows, {"age": "number", "job": "category"}, {"job": ["a", "b"]})}
    assert found["age"].values.tolist() == [1.0, 3.0]
    assert found["age: missing"].values.tolist() == [False, True, False]
    assert found["job: unseen"].values.tolist() == [False, True]
    assert found["job: unseen"].kind == EVENTS
    assert of_columns(Rows({"age": [None]}), {"when": "time", "who": "id"}, {}) == []
    assert of_columns(Rows({}), {"age": "number"}, {})[0].kind == NUMBERS


@pytest.mark.heavy
def test_texts_of_another_kind_are_seen_and_their_like_is_not() -> None:
    rng = np.random.default_rng(0)
    words = ["order", "late", "refund", "please", "parcel", "where", "today", "thanks"]
    shouts = ["!!!", "WIN", "$$$", "click", "http", "free", "now", "www"]

    def texts(some: list[str], rows: int) -> list[str]:
        return [" ".join(rng.choice(some, 6)) for _ in range(rows)]

    def signals(given: list[str]):
        return of_columns(Rows({"text": given}), {"text": "text"}, {})

    before = signals(texts(words, 130))
    same, other = (compare(before, signals(texts(some, 110))) for some in (words, shouts))
    assert not any(one.drifted for one in same)
    assert "text: wording" in [one.signal for one in other if one.drifted]
    vectors = text_vectors(["", "a", "灵渠连接两条河", "\ud800x"])
    assert vectors[0].sum() == 0
    assert np.allclose(np.linalg.norm(vectors[1:], axis=1), 1, atol=1e-5)


def test_pictures_are_numbers() -> None:
    found = picture_numbers([encode_png(np.full((9, 12, 3), level, np.uint8)) for level in (0, 255)] + [b"broken"])
    assert found["brightness"].tolist() == [0.0, 1.0]
    assert found["pixels"].tolist() == [108.0, 108.0]
    assert found["look"].shape == (2, 64)
    assert picture_numbers([])["look"].shape == (0, 64)
