"""A bundle whose hashes are right and whose content is not: one sentence, never a traceback."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto

from lingqu.bundle.read import Bundle
from lingqu.errors import BundleError
from tests.bundle.conftest import Make, graph

DISTRUST = "Do not use this bundle."


def refused(folder: Path) -> str:
    with pytest.raises(BundleError) as caught:
        Bundle.open(folder).predict([{"x": 1.0}, {"x": 2.0}])
    return str(caught.value)


def rewrite(folder: Path, **changes: Any) -> None:
    """The manifest with these keys, and with the hashes of the files as they are now."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in manifest["files"]:
        manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps({**manifest, **changes}))


def remember(folder: Path, data: bytes) -> None:
    (folder / "encoding.json").write_bytes(data)
    rewrite(folder)


@pytest.mark.parametrize("name", ["model.onnx", "encoding.json", "manifest.json"])
def test_a_link_is_not_followed(make: Make, tmp_path: Path, name: str) -> None:
    folder = make().path
    (folder / name).rename(tmp_path / name)
    (folder / name).symlink_to(tmp_path / name)
    assert refused(folder) == f"Expected a file {name} in bundle, found a link. {DISTRUST}"


@pytest.mark.parametrize("name", ["model.onnx", "manifest.json"])
def test_a_pipe_is_not_waited_for(make: Make, name: str) -> None:
    folder = make().path
    (folder / name).unlink()
    os.mkfifo(folder / name)
    assert refused(folder) == f"Expected a file {name} in bundle, found a pipe or a device. {DISTRUST}"


def test_a_folder_is_no_file(make: Make) -> None:
    folder = make().path
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").mkdir()
    assert refused(folder) == f"Expected a file model.onnx in bundle, found a folder. {DISTRUST}"


def test_five_gigabytes_are_not_read(make: Make) -> None:
    folder = make().path
    os.truncate(folder / "model.onnx", (4 << 30) + 1)
    assert refused(folder) == f"Expected at most 4 GiB in model.onnx of bundle, found 4,294,967,297 bytes. {DISTRUST}"


@pytest.mark.parametrize("data", [b'{"a":' * 100_000, b"[" * 100_000, b"[]", b'"text"', b"9" * 5000])
def test_an_encoding_that_is_no_object(make: Make, data: bytes) -> None:
    folder = make().path
    remember(folder, data)
    expected = "Expected a JSON object in bundle/encoding.json, found something else. Export the bundle again."
    assert refused(folder) == expected


def test_a_manifest_nested_without_end(make: Make) -> None:
    folder = make().path
    (folder / "manifest.json").write_bytes(b'{"a":' * 100_000)
    expected = "Expected a JSON object in bundle/manifest.json, found something else. Export the bundle again."
    assert refused(folder) == expected


GOOD = {"name": "x", "source": "x", "kind": "number", "missing": False}


@pytest.mark.parametrize(
    "column",
    [
        "x", None, [], {}, {**GOOD, "name": 1}, {**GOOD, "source": None}, {**GOOD, "kind": "__import__"},
        {**GOOD, "kind": ["number"]}, {**GOOD, "missing": "no"}, {**GOOD, "low": 0.0}, {**GOOD, "low": "0", "high": 1.0},
        {**GOOD, "low": 0, "high": 10**400},
    ],
)  # fmt: skip
def test_a_column_that_is_none(make: Make, column: Any) -> None:
    folder = make().path
    rewrite(folder, columns=[GOOD, column])
    found = f"{column}"[:200]
    assert refused(folder) == (
        f"Expected name, source, kind and missing of column 2 in bundle/manifest.json, found {found}. {DISTRUST}"
    )


def test_an_answer_of_another_task(make: Make) -> None:
    folder = make().path
    rewrite(folder, answer="label-scores")
    assert refused(folder) == (
        "Expected the answer 'number-value' of tabular-regression in bundle/manifest.json, "
        f"found 'label-scores'. {DISTRUST}"
    )


@pytest.mark.parametrize(
    ("memory", "found"),
    [
        ({}, "KeyError: 'front'"),
        ({"front": 1}, "TypeError: 'int' object is not subscriptable"),
        ({"front": {"name": "os.system"}}, "KeyError: 'os.system'"),
        ({"front": {"name": "table"}}, "KeyError: 'numbers'"),
    ],
)
def test_a_memory_that_no_task_learned(make: Make, memory: dict[str, Any], found: str) -> None:
    folder = make().path
    remember(folder, json.dumps(memory).encode())
    expected = f"Expected what tabular-regression remembers in bundle/encoding.json, found {found}."
    assert refused(folder) == f"{expected} Export the bundle again."


@pytest.mark.parametrize("labels", [5, None, [1, 2], {"a": 1}])
def test_labels_that_are_no_texts(make: Make, labels: Any) -> None:
    folder = make().path
    remember(folder, json.dumps({"labels": labels}).encode())
    assert refused(folder) == f"Expected labels as texts in bundle/encoding.json, found {labels}. {DISTRUST}"


def swap(folder: Path, model: bytes) -> str:
    (folder / "model.onnx").write_bytes(model)
    rewrite(folder)
    return refused(folder)


def test_a_graph_without_logits(make: Make) -> None:
    told = swap(make().path, graph(gives="other"))
    assert told == f"Expected an output 'logits' of bundle/model.onnx, found other. {DISTRUST}"


def test_a_graph_that_asks_for_what_no_front_gives(make: Make) -> None:
    told = swap(make().path, graph(given="passwords"))
    assert told == (
        f"Expected a model in bundle/model.onnx that reads numbers, codes, found the input 'passwords'. {DISTRUST}"
    )


def test_a_graph_that_fails_while_it_runs(make: Make) -> None:
    told = swap(make().path, graph("Reshaped"))
    assert told.startswith("Expected an ONNX model in bundle/model.onnx, found ")
    told = swap(make().path, graph("Split", num_outputs=1, axis=7))
    assert told.startswith("Expected an ONNX model in bundle/model.onnx, found ")


def test_a_graph_that_wants_other_shapes(make: Make) -> None:
    """Encoded rows that the graph cannot take: the failure comes from the run, not from the loading."""
    folder = make().path
    numbers = [{"name": "x", "mean": 0.0, "std": 1.0}] * 2
    memory = {"front": {"name": "table", "numbers": numbers, "categories": []}, "mean": 0.0, "std": 1.0}
    remember(folder, json.dumps(memory).encode())
    told = refused(folder)
    assert told.startswith(
        "Expected an ONNX model in bundle/model.onnx, found Got invalid dimensions for input: numbers"
    )
    assert told.endswith(" Export the bundle again.")


def test_a_graph_that_gives_no_floats(make: Make) -> None:
    told = swap(make().path, graph("Cast", kind=TensorProto.INT64, to=TensorProto.INT64))
    assert told == f"Expected floats from bundle/model.onnx, found int64. {DISTRUST}"


def test_a_graph_that_gives_other_rows(make: Make) -> None:
    told = swap(make().path, graph("Transpose", perm=[1, 0]))
    assert told == (
        "Expected 1 numbers a row from bundle/model.onnx, found an array of shape (1, 2) for 2 rows. " + DISTRUST
    )
