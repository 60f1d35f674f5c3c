"""Sets that the Hub's library reads, from folders on disk: no network, no code."""

from __future__ import annotations

import importlib
import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lingqu.contract import Rows
from lingqu.data.readers import fingerprint, read, stream
from lingqu.errors import DataError

pytestmark = pytest.mark.heavy


class _Library:
    """`datasets`, loaded when a test needs it: collecting the tests should not take seconds."""

    def __getattr__(self, name: str) -> Any:
        if name not in {"ClassLabel", "Dataset", "DatasetDict", "Features", "Image", "List", "Value", "config"}:
            # pytest asks every name of a module whether it is a test.
            raise AttributeError(name)
        return getattr(importlib.import_module("datasets"), name)


datasets = _Library()
pytestmark = pytest.mark.heavy


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def reviews(rows: int) -> Any:
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["好", "坏"]),
            "at": datasets.Value("timestamp[s]"),
            "tags": datasets.List(datasets.Value("string")),
        }
    )
    columns = {
        "text": [f"text {i}" for i in range(rows)],
        "label": [i % 2 if i else -1 for i in range(rows)],
        "at": [0] * rows,
        "tags": [["a", "b"]] * rows,
    }
    return datasets.Dataset.from_dict(columns, features=features)


def refusal(source: str) -> str:
    with pytest.raises(DataError) as error:
        read(source)
    return str(error.value)


def test_a_saved_set_keeps_its_splits_and_the_names_of_its_classes(tmp_path: Path) -> None:
    whole = datasets.DatasetDict({"train": reviews(5), "test": reviews(2)})
    whole.save_to_disk(tmp_path / "set")
    found = read(f"hf://{tmp_path}/set")
    assert found.splits == ["train"] * 5 + ["test"] * 2
    assert found.rows["label"] == [None, "坏", "好", "坏", "好", None, "坏"]
    assert found.rows.row(1) == {"text": "text 1", "label": "坏", "at": "1970-01-01T00:00:00", "tags": '["a", "b"]'}
    one = f"hf://{tmp_path}/set#test"
    assert (read(one).splits, fingerprint(one)) == (["", ""], fingerprint(one))
    assert [(part.first, len(part.rows)) for part in stream(f"hf://{tmp_path}/set#train", 3)] == [(1, 3), (4, 2)]
    assert refusal(f"hf://{tmp_path}/set#tset") == (
        f"Expected the split 'tset' of {tmp_path}/set, found the splits 'train', 'test'. Did you mean 'test'?"
    )


def test_pictures_stay_bytes(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(file, "PNG")
    features = datasets.Features({"image": datasets.Image()})
    set_ = datasets.Dataset.from_dict({"image": [{"bytes": file.getvalue(), "path": None}]}, features=features)
    set_.save_to_disk(tmp_path / "set")
    found = read(f"hf://{tmp_path}/set")
    assert found.rows == Rows({"image": [file.getvalue()]}) and found.splits == [""]


def test_files_of_a_folder_are_read_and_unknown_splits_told(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "train.csv").write_text("text,label\na,x\nb,y\n")
    (folder / "test.csv").write_text("text,label\nc,x\n")
    found = read(f"hf://{folder}")
    assert (found.rows["text"], found.splits) == (["a", "b", "c"], ["train", "train", "test"])
    whole = datasets.DatasetDict({"train": reviews(2), "extra": reviews(2)})
    whole.save_to_disk(tmp_path / "odd")
    assert refusal(f"hf://{tmp_path}/odd") == (
        "Expected splits called train, validation and test, found the splits 'train', 'extra'. Name one: #extra."
    )


def test_code_and_files_that_can_hold_code_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    advice = "Check data.source, and whether it needs `hf auth login`."
    (folder / "set.py").write_text(f"open({str(tmp_path / 'owned')!r}, 'w')")
    assert refusal(f"hf://{folder}") == (
        f"Expected the set {folder}, found Dataset scripts are no longer supported, but found set.py. {advice}"
    )
    (folder / "set.py").unlink()
    (folder / "train.pkl").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    assert refusal(f"hf://{folder}") == (
        f"Expected the set {folder}, found No (supported) data files found in {folder}. {advice}"
    )
    with tarfile.open(folder / "train.tar", "w") as packed:
        packed.add(folder / "train.pkl", "0.pth")
    assert refusal(f"hf://{folder}") == (
        "Expected a set of arrow, csv, json, parquet, text, imagefolder files, found one of the kind 'webdataset'. "
        "Save the rows to a file first: csv, jsonl or parquet."
    )
    assert not (tmp_path / "owned").exists()
    assert refusal(f"hf://{folder}s") == f"Expected a folder {folder}s, found no such folder. Check data.source."
