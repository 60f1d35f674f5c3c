"""Read a bundle and predict with it.

A bundle is a folder: `model.onnx`, `encoding.json` (what encode and decode need), `manifest.json` (task, columns and
their learned limits, hashes, format version) and `README.md` (the model card). Reading needs onnxruntime, numpy,
tokenizers and Pillow; the task's own `encode` and `decode` do the rest.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state  # pyright: ignore[reportAttributeAccessIssue]

from lingqu.contract import Answer, Memory, Refusal, Rows, Task
from lingqu.data.accept import accept
from lingqu.errors import BundleError, DataError, Problem, RequestError, UnknownNameError
from lingqu.tasks import find_task

if TYPE_CHECKING:
    from lingqu.contract.task import Arrays

FORMAT = 1
MODEL, ENCODING, MANIFEST, CARD = "model.onnx", "encoding.json", "manifest.json", "README.md"
BATCH = 64
REQUIRED = {"task": str, "columns": list, "answer": str, "files": dict}

NOT_FINITE = str(
    Problem("finite numbers from the model for this row", "not-a-number or infinity", "Look for extreme values in it.")
)
"""Why a row is refused that the network could not compute."""

# What ONNX Runtime raises for a model that it cannot run.
_REFUSED = (
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.NotImplemented,
    state.RuntimeException,
)


class Bundle:
    """A model that answers, with everything it needs beside it.

    `task` encodes and decodes, `memory` is what training remembered, `manifest` is the contract with the world.
    Safe to share between threads: nothing changes after opening.
    """

    def __init__(self, path: Path, manifest: dict[str, Any], memory: Memory, task: Task, model: bytes) -> None:
        self.path = path
        self.manifest = manifest
        self.memory = memory
        self.task = task
        try:
            self._session = onnxruntime.InferenceSession(model, _options(), providers=["CPUExecutionProvider"])
        except _REFUSED as error:
            found = str(error).split(" : ")[-1][:200].rstrip(".")
            raise BundleError(
                Problem(f"an ONNX model in {path.name}/{MODEL}", found, "Export the bundle again.")
            ) from None
        self._inputs = {found.name for found in self._session.get_inputs()}

    @classmethod
    def open(cls, path: str | Path) -> Bundle:
        """The bundle in this folder, every file checked against its hash; BundleError when it cannot be trusted."""
        folder = Path(path)
        manifest = _manifest(folder)
        files = {name: _checked(folder, name, digest) for name, digest in manifest["files"].items()}
        try:
            task = find_task(manifest["task"])
        except UnknownNameError as error:
            raise BundleError(
                Problem(
                    f"the task '{manifest['task']}' of {folder.name}",
                    "no such task",
                    "Install the package that brings it.",
                )
            ) from error
        return cls(folder, manifest, _json(files[ENCODING], folder, ENCODING), task, files[MODEL])

    def predict(self, rows: Rows | Iterable[Mapping[str, Any]], *, root: Path | None = None) -> list[Answer]:
        """One answer a row, in order; a row that breaks the contract gets a Refusal and the rest are answered.

        So does a row for which the network gives no finite numbers; BundleError when that is every row it was asked.
        Columns are named as in the user's own file or by their role. A column that is missing from all rows is one
        error for all: DataError. With `root`, a picture may be the name of a file below that folder.
        """
        answers = self.answer(rows, root=root)
        if gave_numbers(answers) is False:
            raise never_finite()
        return answers

    def answer(self, rows: Rows | Iterable[Mapping[str, Any]], *, root: Path | None = None) -> list[Answer]:
        """As `predict`, for one part of many rows: nothing is raised when no row of this part has finite numbers."""
        given = rows if isinstance(rows, Rows) else Rows.from_dicts(_mappings(rows))
        if not len(given):
            return []
        accepted, errors = accept(given, self.manifest["columns"], root=root)
        good = [place for place, error in enumerate(errors) if error is None]
        answers: list[Answer] = [Refusal(error or NOT_FINITE) for error in errors]
        if good:
            outputs = self._outputs(accepted.take(good))
            finite = _finite(outputs)
            decoded = self.task.decode({name: array[finite] for name, array in outputs.items()}, self.memory)
            for place, answer in zip(np.array(good)[finite].tolist(), decoded, strict=True):
                answers[place] = answer
        return answers

    def outputs(self, rows: Rows) -> Arrays:
        """What the network gives for accepted rows, one row each, in order; BundleError when any is not finite."""
        outputs = self._outputs(rows)
        if not _finite(outputs).all():
            raise never_finite()
        return outputs

    def _outputs(self, rows: Rows) -> Arrays:
        order = np.array(sorted(range(len(rows)), key=lambda place: _weight(rows, place)), np.int64)
        parts: list[Arrays] = [
            self.run(self.task.encode(batch, self.memory)) for batch in rows.take(order.tolist()).batches(BATCH)
        ]
        back = np.argsort(order)
        return {name: np.concatenate([part[name] for part in parts])[back] for name in parts[0]}

    def run(self, arrays: Arrays) -> Arrays:
        """The network alone: encoded arrays in, output arrays out, finite or not."""
        names = [found.name for found in self._session.get_outputs()]
        found = self._session.run(names, {name: array for name, array in arrays.items() if name in self._inputs})
        return {name: np.asarray(array) for name, array in zip(names, found, strict=True)}


def gave_numbers(answers: Iterable[Answer]) -> bool | None:
    """Whether the network gave any of these rows finite numbers; None when it was asked for none of them."""
    errors = {answer.error if isinstance(answer, Refusal) else None for answer in answers}
    return True if None in errors else False if NOT_FINITE in errors else None


def never_finite() -> BundleError:
    """What is told of a network that gave no row finite numbers: the fault is its own, not the rows'."""
    return BundleError(Problem("finite numbers from the model", "not-a-number or infinity", "Roll back."))


def _finite(outputs: Arrays) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether all that the network gave for a row is finite, bool (rows,)."""
    return np.all([np.isfinite(array.reshape(len(array), -1)).all(axis=1) for array in outputs.values()], axis=0)


def _mappings(rows: Any) -> list[Mapping[str, Any]]:
    """The rows as a list; RequestError for one row alone, a bare text, or anything else that is no list of mappings."""
    listed = None if isinstance(rows, (str, bytes, Mapping)) else list(rows)
    wrong = [rows] if listed is None else [row for row in listed if not isinstance(row, Mapping)]
    if listed is None or wrong:
        advice = "Give each row as {column: value}, and one or several rows in a list."
        raise RequestError(Problem("rows as a list of mappings", f"a {type(wrong[0]).__name__}", advice))
    return listed


def _weight(rows: Rows, place: int) -> int:
    """How long a row is, so that rows of one length share a batch."""
    return sum(len(value) for name in rows.names if isinstance(value := rows[name][place], str))


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS") or min(os.cpu_count() or 1, 4))
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning threads starve their neighbours on small machines; an arena keeps the memory of the longest text for ever.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = False
    return options


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = _json((folder / MANIFEST).read_bytes(), folder, MANIFEST)
    except FileNotFoundError:
        found = "no such folder" if not folder.is_dir() else f"no {MANIFEST} in it"
        raise DataError(Problem(f"a bundle folder at {folder}", found, "Make one with `lingqu export`.")) from None
    version = manifest.get("format")
    if not isinstance(version, int) or not 1 <= version <= FORMAT:
        raise BundleError(
            Problem(
                f"a bundle of format 1 to {FORMAT}", f"format {version!r}", "Upgrade lingqu: pip install -U lingqu."
            )
        )
    absent = [key for key, kind in REQUIRED.items() if not isinstance(manifest.get(key), kind)]
    absent += [name for name in (MODEL, ENCODING) if not absent and name not in manifest["files"]]
    if absent:
        raise BundleError(
            Problem(
                f"{', '.join(absent)} in {folder.name}/{MANIFEST}", "nothing of the kind", "Export the bundle again."
            )
        )
    return manifest


def _json(data: bytes, folder: Path, name: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise BundleError(
            Problem(f"a JSON object in {folder.name}/{name}", "something else", "Export the bundle again.")
        )
    return value


def _checked(folder: Path, name: str, digest: str) -> bytes:
    """The bytes of one file of the bundle, proved by their hash; only plain names, so no path leads outside."""
    if Path(name).name != name:
        raise BundleError(Problem("plain file names in the manifest", f"'{name}'", "Do not use this bundle."))
    try:
        data = (folder / name).read_bytes()
    except FileNotFoundError:
        raise BundleError(Problem(f"{name} in {folder.name}", "no such file", "Export the bundle again.")) from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise BundleError(
            Problem(
                f"{name} as the manifest records it", "other bytes", "The file was changed: export the bundle again."
            )
        )
    return data
