"""Two models of AG News and their answers to its test rows: what the proofs about gates are dealt from."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lingqu.contract import Answer, Rows
from lingqu.spec import TrainSettings
from lingqu.store import Store
from lingqu.tasks import find_task
from lingqu.train.folds import learned_answers

LEARNED, STOPPED = 1500, 300


@dataclass(frozen=True, eq=False)
class Pair:
    """The truth of test rows and two models' answers, which were learned from different rows by the same recipe."""

    truth: NDArray[Any]
    first: NDArray[Any]
    second: NDArray[Any]
    """Answers, as objects (rows,)."""

    @property
    def discordance(self) -> float:
        """The share of rows on which exactly one is right."""
        return float(np.mean(self.right(self.first) != self.right(self.second)))

    def right(self, answers: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether each answer is right."""
        return np.array([answer.label == true for answer, true in zip(answers, self.truth, strict=True)])


def rows_of(data: Path, split: str) -> Rows:
    """Rows of AG News with text and label as text."""
    import pyarrow.parquet

    read = pyarrow.parquet.read_table(data / "ag_news" / f"{split}.parquet").to_pydict()
    return Rows({"text": read["text"], "label": [f"{label}" for label in read["label"]]})


def pair(data: Path, seed: int = 0) -> Pair:
    """Two n-gram models of lingqu, each from rows of its own."""
    train, test = rows_of(data, "train"), rows_of(data, "test")
    order = np.random.default_rng(seed).permutation(len(train))
    each = LEARNED + STOPPED
    given = [answers(train.take(order[k * each : (k + 1) * each].tolist()), test) for k in range(2)]
    return Pair(np.array(test["label"]), *(objects(one) for one in given))


def answers(rows: Rows, asked: Rows, *, stop: int = STOPPED) -> list[Answer]:
    """The answers of an n-gram model learned from these rows, the last of which, `stop` many, choose between variants."""
    task = find_task("text-classification")
    with tempfile.TemporaryDirectory() as scratch:
        return learned_answers(
            task,
            "ngram-linear",
            rows.take(range(len(rows) - stop)),
            rows.take(range(len(rows) - stop, len(rows))),
            asked,
            kinds={"text": "text", "label": "label"},
            size="small",
            settings=TrainSettings(),
            seconds=60.0,
            store=Store.open(Path(scratch) / "store"),
            work=Path(scratch) / "work",
            part="news",
        )


def objects(given: list[Answer]) -> NDArray[Any]:
    """Answers as an array that can be indexed."""
    held = np.empty(len(given), dtype=object)
    held[:] = given
    return held
