"""The files of a bundle: written with their hashes, and later finished with what was measured.

Two steps: a candidate is what is measured; `finish` adds what the measuring found (metrics, lineage, model card) beside
the very same `model.onnx` and `encoding.json`.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from lingqu.bundle.read import CARD, ENCODING, MANIFEST, MODEL, Bundle
from lingqu.contract import Memory
from lingqu.store.atomic import write_bytes, write_json


def write_folder(folder: Path, manifest: dict[str, Any], model: bytes, memory: Memory) -> Bundle:
    """The files of a bundle with their hashes in the manifest, opened again as a user would."""
    encoding = json.dumps(memory, ensure_ascii=False, sort_keys=True, allow_nan=False).encode()
    files = {MODEL: model, ENCODING: encoding}
    for file_name, data in files.items():
        write_bytes(folder / file_name, data)
    hashes = {file_name: hashlib.sha256(data).hexdigest() for file_name, data in files.items()}
    write_json(folder / MANIFEST, {**manifest, "files": hashes})
    return Bundle.open(folder)


def finish(
    candidate: Bundle, folder: Path, *, name: str, card: str, metrics: dict[str, Any], lineage: dict[str, Any]
) -> Bundle:
    """The candidate with its metrics, lineage and model card, in a new folder; model and encoding stay to the byte."""
    for file_name in candidate.manifest["files"]:
        write_bytes(folder / file_name, (candidate.path / file_name).read_bytes())
    text = card.encode()
    files = {**candidate.manifest["files"], CARD: hashlib.sha256(text).hexdigest()}
    write_bytes(folder / CARD, text)
    write_json(
        folder / MANIFEST, {"name": name, **candidate.manifest, "metrics": metrics, "lineage": lineage, "files": files}
    )
    return Bundle.open(folder)
