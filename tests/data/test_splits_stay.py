"""A row's split follows from what is asked of it, and never from its label, its neighbours in the file, or the hash seed."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from lingqu.contract import Front, Rows
from lingqu.data import fronts
from lingqu.data.ingest import ingest
from lingqu.data.labels import learn_labels
from lingqu.data.ragged import pack
from lingqu.data.version import DataVersion
from lingqu.spec import DataSettings
from lingqu.store import Store
from lingqu.tasks import find_task
from tests.conftest import write_csv


def version_of(rows: Rows, folder: Path, **settings: object) -> tuple[DataVersion, Store]:
    folder.mkdir(exist_ok=True)
    write_csv(folder / "rows.csv", rows)
    store = Store.open(folder / "store")
    read = DataSettings(source=str(folder / "rows.csv"), **settings)
    return ingest(read, find_task("text-classification"), store), store


def splits(version: DataVersion, store: Store) -> dict[str, str]:
    return {text: split for split in version.counts for text in version.rows(split, store)["text"]}


def test_a_corrected_label_or_a_new_column_moves_no_row(tmp_path: Path) -> None:
    rows = find_task("text-classification").toy(200)
    before = version_of(rows, tmp_path / "a")
    other = ["sport" if i % 50 == 0 else label for i, label in enumerate(rows["label"])]
    relabelled = version_of(rows.with_columns({"label": other}), tmp_path / "b")
    wider = version_of(rows.with_columns({"page": [str(i) for i in range(200)]}), tmp_path / "c")
    assert splits(*before) == splits(*relabelled) == splits(*wider)
    for split in ("train", "test"):
        ids = set(before[0].row_ids(split, before[1]))
        assert ids == set(relabelled[0].row_ids(split, relabelled[1])) == set(wider[0].row_ids(split, wider[1]))
    assert before[0].id != relabelled[0].id


def test_equal_texts_with_different_labels_do_not_depend_on_the_order(tmp_path: Path) -> None:
    rows = Rows({"text": [f"text {i // 4}" for i in range(240)], "label": ["ab"[i % 2] for i in range(240)]})
    order = list(range(240))
    random.Random(0).shuffle(order)
    first, _ = version_of(rows, tmp_path / "a", near_duplicates=False)
    second, _ = version_of(rows.take(order), tmp_path / "b", near_duplicates=False)
    assert first.id == second.id


@pytest.mark.heavy
def test_the_order_of_labels_is_the_same_in_every_process() -> None:
    code = (
        "from lingqu.data.labels import learn_labels; print(learn_labels(['1', '01', '001', '10', '--5', '-5', 'x']))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in (1, 2, 3)
    }
    assert told == {"['-5', '001', '01', '1', '10', '--5', 'x']\n"}
    assert learn_labels(["10", "9"]) == ["9", "10"]


def test_a_text_that_spells_a_special_token_is_text() -> None:
    rows = Rows({"text": ["[PAD] a [UNK] [PAD]", "b [PAD]", "plain words"] * 4})
    memory = fronts.learn(rows, Front("tokens", {"vocabulary": 300}))
    arrays = fronts.encode(rows, memory)
    for tokens, length in zip(arrays["tokens"], arrays["lengths"], strict=True):
        assert (tokens[:length] > 0).all()
        assert (tokens[length:] == 0).all()
    packed = pack([arrays], fronts.RAGGED["tokens"])
    assert packed["tokens"].lengths.tolist() == arrays["lengths"].tolist()
