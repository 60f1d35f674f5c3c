"""HARDENING D11: rows reach the model as the same arrays by the training path and by the serving path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lingqu.contract import Front, Rows
from lingqu.data.accept import accept, columns_of, learn_limits
from lingqu.data.ingest import ingest
from lingqu.data.readers import stream
from lingqu.spec import DataSettings
from lingqu.store import Store
from lingqu.tasks import find_task
from tests.conftest import write_csv

ROWS = 1000


def both_paths(task_name: str, front: Front, tmp_path: Path) -> tuple[dict, dict]:
    """The arrays of the training rows as the data version holds them, and as the raw file gives them."""
    task = find_task(task_name)
    rows = task.toy(ROWS)
    if task.takes_features:
        rows = rows.with_columns({"key": [f"k{i * 7919 % 100_003}" for i in range(ROWS)]})
    tmp_path.mkdir(exist_ok=True)
    path = write_csv(tmp_path / "rows.csv", rows)
    key = "key" if task.takes_features else "text"
    settings = DataSettings(source=str(path), near_duplicates=False, types={"key": "id"} if task.takes_features else {})
    store = Store.open(tmp_path / "store")
    version = ingest(settings, task, store)
    train = version.rows("train", store)
    kinds = columns_of(task, version.kinds)
    told = {**front.settings, "kinds": kinds} if task.takes_features else front.settings
    memory = task.learn(train, Front(front.name, told))
    limits = learn_limits(train, kinds, version.columns)
    raw = Rows.from_dicts([row for batch in stream(path) for row in batch.rows])
    place = {value: i for i, value in enumerate(raw[key])}
    accepted, errors = accept(raw.take([place[value] for value in train[key]]), limits)
    assert errors == [None] * len(train)
    return task.encode(train, memory), task.encode(accepted, memory)


def test_numbers_and_categories_are_the_same(tmp_path: Path) -> None:
    trained, served = both_paths("tabular-classification", Front("table", {}), tmp_path)
    assert np.array_equal(trained["codes"], served["codes"])
    assert np.abs(trained["numbers"] - served["numbers"]).max() <= 1e-6


@pytest.mark.heavy
def test_ngrams_and_tokens_are_the_same(tmp_path: Path) -> None:
    for front in (Front("ngrams", {"buckets": 4096}), Front("tokens", {"vocabulary": 200})):
        trained, served = both_paths("text-classification", front, tmp_path / front.name)
        for name in trained:
            assert np.array_equal(trained[name], served[name]), name


def test_every_kind_of_cell_has_a_word_for_refusals() -> None:
    from lingqu.data.accept import NOUNS
    from lingqu.data.values import CONVERT

    assert set(NOUNS) == set(CONVERT)
