"""What makes a bundle worth trusting: its manifest, and files that are what the manifest records.

A bundle may come from anywhere. Names are from a closed list, files are files (no link, pipe or folder), every byte is
proved by its hash, and what is refused is refused in one sentence.
"""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path
from typing import Any

from lingqu.data.values import CONVERT
from lingqu.errors import BundleError, DataError, Problem

FORMAT = 1
CASCADE_FORMAT = 2
"""A cascade is of a format of its own, so that an older lingqu says that it must be upgraded."""
MODEL, ENCODING, MANIFEST, CARD = "model.onnx", "encoding.json", "manifest.json", "README.md"
MEMBERS = ("cheap", "dear")
"""The folders of a cascade's two members, each a bundle of its own."""
FILE_CAP = 4 << 30
NOT_TRUSTED = "Do not use this bundle."
REQUIRED = {"task": str, "columns": list, "answer": str, "files": dict}


def member_manifests() -> list[str]:
    """The files of a cascade that vouch for its members: their manifests, which vouch for the rest."""
    return [f"{member}/{MANIFEST}" for member in MEMBERS]


def read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json_object(_read(folder, MANIFEST), folder, MANIFEST)
    except (FileNotFoundError, NotADirectoryError):
        found = "no such folder" if not folder.is_dir() else f"no {MANIFEST} in it"
        raise DataError(Problem(f"a bundle folder at {folder}", found, "Make one with `lingqu export`.")) from None
    version = manifest.get("format")
    if not isinstance(version, int) or not FORMAT <= version <= CASCADE_FORMAT:
        expected = f"a bundle of format {FORMAT} to {CASCADE_FORMAT}"
        raise BundleError(Problem(expected, f"format {version!r}", "Upgrade lingqu: pip install -U lingqu."))
    needed = [ENCODING, *member_manifests()] if version == CASCADE_FORMAT else [MODEL, ENCODING]
    absent = [key for key, kind in REQUIRED.items() if not isinstance(manifest.get(key), kind)]
    absent += [name for name in needed if not absent and name not in manifest["files"]]
    if absent:
        raise BundleError(
            Problem(
                f"{', '.join(absent)} in {folder.name}/{MANIFEST}", "nothing of the kind", "Export the bundle again."
            )
        )
    strange = [name for name in manifest["files"] if name not in (*needed, CARD)]
    if strange:
        expected = f"no files but {', '.join(needed)} and {CARD} in the manifest"
        raise BundleError(Problem(expected, f"'{strange[0][:100]}'", NOT_TRUSTED))
    if version == CASCADE_FORMAT:
        _check_cascade(manifest, folder)
    for place, column in enumerate(manifest["columns"], 1):
        if not _is_column(column):
            raise BundleError(
                Problem(
                    f"name, source, kind and missing of column {place} in {folder.name}/{MANIFEST}",
                    f"{column}"[:200],
                    NOT_TRUSTED,
                )
            )
    return manifest


def _check_cascade(manifest: dict[str, Any], folder: Path) -> None:
    """BundleError unless the members are the two that a cascade has, and its threshold is a probability."""
    members, threshold = manifest.get("members"), manifest.get("threshold")
    if members != [*MEMBERS]:
        expected = f"the members {' and '.join(MEMBERS)} in {folder.name}/{MANIFEST}"
        raise BundleError(Problem(expected, f"{members}"[:200], NOT_TRUSTED))
    if not isinstance(threshold, float) or not 0 <= threshold <= 1:
        expected = f"a threshold from 0.0 to 1.0 in {folder.name}/{MANIFEST}"
        raise BundleError(Problem(expected, f"{threshold}"[:200], NOT_TRUSTED))
    if manifest["answer"] not in ("label-scores", "label-set"):
        expected = f"the answer 'label-scores' or 'label-set' of a cascade in {folder.name}/{MANIFEST}"
        raise BundleError(Problem(expected, f"'{manifest['answer']}'"[:200], NOT_TRUSTED))


def _is_column(column: Any) -> bool:
    """Whether this is a column's limits as `learn_limits` writes them."""
    return (
        isinstance(column, dict)
        and isinstance(column.get("name"), str)
        and isinstance(column.get("source"), str)
        and isinstance(column.get("kind"), str)
        and column["kind"] in CONVERT
        and isinstance(column.get("missing"), bool)
        and ("low" in column) == ("high" in column)
        # A whole number of any length is JSON too, but no float holds it.
        and all(isinstance(column[end], float) or _is_small(column[end]) for end in ("low", "high") if end in column)
    )


def _is_small(value: Any) -> bool:
    return isinstance(value, int) and abs(value) <= 1 << 53


def json_object(data: bytes, folder: Path, name: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BundleError(
            Problem(f"a JSON object in {folder.name}/{name}", "something else", "Export the bundle again.")
        )
    return value


def proved(folder: Path, name: str, digest: str) -> bytes:
    """The bytes of one file of the bundle, proved by their hash."""
    try:
        data = _read(folder, name)
    except FileNotFoundError:
        raise BundleError(Problem(f"{name} in {folder.name}", "no such file", "Export the bundle again.")) from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise BundleError(
            Problem(
                f"{name} as the manifest records it", "other bytes", "The file was changed: export the bundle again."
            )
        )
    return data


def _read(folder: Path, name: str) -> bytes:
    """The bytes of a file that is one: a link may lead anywhere, a pipe waits for ever, a device never ends."""
    path = folder / name
    # A folder on the way may be a link as well.
    for above in (folder / part for part in Path(name).parents if part.name):
        if not stat.S_ISDIR(found := above.lstat().st_mode):
            raise BundleError(Problem(f"a folder {above.name} in {folder.name}", _kind(found), NOT_TRUSTED))
    found = path.lstat()
    if not stat.S_ISREG(found.st_mode):
        raise BundleError(Problem(f"a file {name} in {folder.name}", _kind(found.st_mode), NOT_TRUSTED))
    if found.st_size > FILE_CAP:
        raise BundleError(Problem(f"at most 4 GiB in {name} of {folder.name}", f"{found.st_size:,} bytes", NOT_TRUSTED))
    try:
        return path.read_bytes()
    except PermissionError:
        raise BundleError(
            Problem(f"a readable {name} in {folder.name}", "permission denied", "Change who may read it.")
        ) from None


def _kind(mode: int) -> str:
    if stat.S_ISLNK(mode):
        return "a link"
    if stat.S_ISREG(mode):
        return "a file"
    return "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
