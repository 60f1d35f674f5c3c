"""A bundle that cannot be trusted is refused in one sentence."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from lingqu.bundle.read import Bundle
from lingqu.errors import BundleError, DataError, LingquError


@pytest.fixture
def bundle(finished: Path) -> Path:
    """The champion of a finished project, exported; every file may be spoiled."""
    from lingqu.registry import Registry
    from lingqu.store import Store
    from lingqu.store.atomic import copy_folder

    store = Store.open(finished / ".lingqu")
    copy_folder(store.folder_path(Registry(store).get("kinds").bundle), finished / "bundle")
    return finished / "bundle"


def spoil(bundle: Path, **changes: Any) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    (bundle / "manifest.json").write_text(json.dumps({**manifest, **changes}))


def refused(bundle: Path, kind: type[LingquError] = BundleError) -> str:
    with pytest.raises(kind) as caught:
        Bundle.open(bundle)
    return str(caught.value)


def test_a_good_bundle_opens(bundle: Path) -> None:
    opened = Bundle.open(bundle)
    assert opened.manifest["name"] == "kinds"
    assert set(opened.manifest["files"]) == {"README.md", "encoding.json", "model.onnx"}
    assert opened.manifest["metrics"]["f1"]["value"] == 1.0
    assert (bundle / "README.md").read_text().startswith("---\n")


def test_no_folder(tmp_path: Path) -> None:
    expected = f"Expected a bundle folder at {tmp_path / 'x'}, found no such folder. Make one with `lingqu export`."
    assert refused(tmp_path / "x", DataError) == expected


def test_a_newer_format(bundle: Path) -> None:
    spoil(bundle, format=99)
    expected = "Expected a bundle of format 1 to 2, found format 99. Upgrade lingqu: pip install -U lingqu."
    assert refused(bundle) == expected


def test_a_task_that_is_not_installed(bundle: Path) -> None:
    spoil(bundle, task="weather")
    expected = "Expected the task 'weather' of bundle, found no such task. Install the package that brings it."
    assert refused(bundle) == expected


@pytest.mark.parametrize("name", ["model.onnx", "encoding.json", "README.md"])
def test_one_changed_byte(bundle: Path, name: str) -> None:
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)
    expected = (
        f"Expected {name} as the manifest records it, found other bytes. The file was changed: export the bundle again."
    )
    assert refused(bundle) == expected


def test_a_missing_file(bundle: Path) -> None:
    (bundle / "model.onnx").unlink()
    assert refused(bundle) == "Expected model.onnx in bundle, found no such file. Export the bundle again."


def test_a_manifest_without_columns(bundle: Path) -> None:
    spoil(bundle, columns=None)
    assert (
        refused(bundle)
        == "Expected columns in bundle/manifest.json, found nothing of the kind. Export the bundle again."
    )


def test_a_manifest_that_is_no_json(bundle: Path) -> None:
    (bundle / "manifest.json").write_bytes(b"\xff{")
    assert (
        refused(bundle)
        == "Expected a JSON object in bundle/manifest.json, found something else. Export the bundle again."
    )


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "pytorch_model.bin"])
def test_a_file_name_that_leads_out(bundle: Path, name: str) -> None:
    files = json.loads((bundle / "manifest.json").read_text())["files"]
    spoil(bundle, files={**files, name: "0" * 64})
    assert refused(bundle) == (
        "Expected no files but model.onnx, encoding.json and README.md in the manifest, "
        f"found '{name}'. Do not use this bundle."
    )


def test_a_model_that_is_no_onnx(bundle: Path) -> None:
    (bundle / "model.onnx").write_bytes(b"not a graph")
    files = json.loads((bundle / "manifest.json").read_text())["files"]
    spoil(bundle, files={**files, "model.onnx": hashlib.sha256(b"not a graph").hexdigest()})
    expected = "Expected an ONNX model in bundle/model.onnx, found bytes that are no protobuf. Export the bundle again."
    assert refused(bundle) == expected
