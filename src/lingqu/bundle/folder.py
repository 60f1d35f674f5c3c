"""The files of a bundle: written with their hashes, and later finished with what was measured.

Two steps: a candidate is what is measured; `finish` adds what the measuring found (metrics, lineage, model card) beside
the very same `model.onnx` and `encoding.json`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lingqu.bundle.golden import GOLDEN, record
from lingqu.bundle.read import Bundle
from lingqu.bundle.trust import CARD, CASCADE_FORMAT, ENCODING, MANIFEST, MEMBERS, MODEL, member_manifests
from lingqu.contract import Memory
from lingqu.store.atomic import write_bytes, write_json


def write_folder(folder: Path, manifest: dict[str, Any], model: bytes, memory: Memory) -> Bundle:
    """The files of a bundle with their hashes in the manifest, opened again as a user would."""
    return _write(folder, manifest, {MODEL: model, ENCODING: _spelled(memory)})


def write_cascade(folder: Path, cheap: Bundle, dear: Bundle, threshold: float, memory: Memory) -> Bundle:
    """A bundle of two members, opened again as a user would; columns and target are those of `dear`."""
    for member, bundle in zip(MEMBERS, (cheap, dear), strict=True):
        _copy(bundle, folder / member)
    files = {name: (folder / name).read_bytes() for name in member_manifests()}
    own = {"format": CASCADE_FORMAT, "family": "cascade", "members": [*MEMBERS], "threshold": float(threshold)}
    return _write(folder, {**dear.manifest, **own}, {ENCODING: _spelled(memory), **files})


def finish(
    candidate: Bundle, folder: Path, *, name: str, card: str, metrics: dict[str, Any], lineage: dict[str, Any]
) -> Bundle:
    """The candidate with its metrics, lineage and model card, in a new folder; what predicts stays to the byte."""
    _copy(candidate, folder)
    text = card.encode()
    files = {**candidate.manifest["files"], CARD: hashlib.sha256(text).hexdigest()}
    write_bytes(folder / CARD, text)
    write_json(
        folder / MANIFEST, {"name": name, **candidate.manifest, "metrics": metrics, "lineage": lineage, "files": files}
    )
    return Bundle.open(folder)


def restate(folder: Path, out: Path, change: Callable[[Any], Any]) -> bool:
    """The bundle of a folder with `change` done to every text in it, in a new folder; whether anything was changed.

    `change` takes and gives JSON values or texts. The network stays to the byte; hashes and golden answers are made anew.
    """
    manifest = json.loads((folder / MANIFEST).read_bytes())
    members = [member for member in MEMBERS if (folder / member).is_dir()]
    changed = sum(restate(folder / member, out / member, change) for member in members) > 0
    files: dict[str, bytes] = {}
    for name in manifest["files"]:
        before = (out if "/" in name else folder).joinpath(name).read_bytes()
        if name == ENCODING:
            memory = json.loads(before)
            files[name] = before if (after := change(memory)) == memory else _spelled(after)
        else:
            files[name] = change(before.decode()).encode() if name == CARD else before
        changed |= files[name] != before
        if "/" not in name:
            write_bytes(out / name, files[name])
    about = {name: change(value) if name != "files" else value for name, value in manifest.items()}
    changed |= about != manifest
    if changed:
        about["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        golden = about.pop(GOLDEN, None)
        write_json(out / MANIFEST, about)
        found = None if golden is None else record(Bundle.open(out))
        about |= {} if found is None else {GOLDEN: found}
    write_json(out / MANIFEST, about)
    return changed


def _spelled(memory: Memory) -> bytes:
    return json.dumps(memory, ensure_ascii=False, sort_keys=True, allow_nan=False).encode()


def _write(folder: Path, manifest: dict[str, Any], files: dict[str, bytes]) -> Bundle:
    """These files and a manifest with their hashes and what the bundle says to its golden rows."""
    for name, data in files.items():
        write_bytes(folder / name, data)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    plain = {name: value for name, value in manifest.items() if name != GOLDEN} | {"files": hashes}
    write_json(folder / MANIFEST, plain)
    golden = record(Bundle.open(folder))
    if golden is not None:
        write_json(folder / MANIFEST, {**plain, GOLDEN: golden})
    return Bundle.open(folder)


def _copy(bundle: Bundle, folder: Path) -> None:
    """Every file of a bundle, byte for byte, its members' too."""
    for name in (*bundle.manifest["files"], MANIFEST):
        write_bytes(folder / name, (bundle.path / name).read_bytes())
    if bundle.cascade is not None:
        _copy(bundle.cascade.cheap, folder / MEMBERS[0])
        _copy(bundle.cascade.dear, folder / MEMBERS[1])
