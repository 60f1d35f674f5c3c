"""Read a bundle and predict with it.

A bundle is a folder: `model.onnx`, `encoding.json` (what encode and decode need), `manifest.json` (task, columns and
their learned limits, hashes, format version) and `README.md` (the model card). Reading needs onnxruntime, numpy,
tokenizers and Pillow; the task's own `encode` and `decode` do the rest.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state  # pyright: ignore[reportAttributeAccessIssue]

from lingqu.contract import Answer, Memory, Refusal, Rows, Task
from lingqu.data.accept import accept
from lingqu.data.values import CONVERT
from lingqu.errors import BundleError, DataError, LingquError, Problem, RequestError, UnknownNameError
from lingqu.tasks import find_task

if TYPE_CHECKING:
    from lingqu.contract.task import Arrays

FORMAT = 1
MODEL, ENCODING, MANIFEST, CARD = "model.onnx", "encoding.json", "manifest.json", "README.md"
BATCH = 64
FILE_CAP = 4 << 30
LOGITS = "logits"
NOT_TRUSTED = "Do not use this bundle."
REQUIRED = {"task": str, "columns": list, "answer": str, "files": dict}

NOT_FINITE = str(
    Problem("finite numbers from the model for this row", "not-a-number or infinity", "Look for extreme values in it.")
)
"""Why a row is refused that the network could not compute."""

# What ONNX Runtime raises for a model that it cannot load or run; ValueError is for inputs that are not given.
_REFUSED = (
    state.EPFail,
    state.EngineError,
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.NoSuchFile,
    state.NotFound,
    state.NotImplemented,
    state.RuntimeException,
    RuntimeError,
    ValueError,
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
        with self._running():
            self._session = onnxruntime.InferenceSession(model, _options(), providers=["CPUExecutionProvider"])
        self._inputs = {found.name for found in self._session.get_inputs()}
        names = [found.name for found in self._session.get_outputs()]
        if LOGITS not in names:
            raise BundleError(
                Problem(f"an output '{LOGITS}' of {path.name}/{MODEL}", ", ".join(names)[:200] or "none", NOT_TRUSTED)
            )

    @classmethod
    def open(cls, path: str | Path) -> Bundle:
        """The bundle in this folder, every file checked against its hash; BundleError when it cannot be trusted."""
        folder = Path(path)
        manifest = _manifest(folder)
        files = {name: _proved(folder, name, digest) for name, digest in manifest["files"].items()}
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
        if manifest["answer"] != task.answer.kind:
            found = f"'{manifest['answer']}'"[:200]
            raise BundleError(
                Problem(
                    f"the answer '{task.answer.kind}' of {task.name} in {folder.name}/{MANIFEST}", found, NOT_TRUSTED
                )
            )
        memory = _json(files[ENCODING], folder, ENCODING)
        labels = memory.get("labels", [])
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            raise BundleError(Problem(f"labels as texts in {folder.name}/{ENCODING}", f"{labels}"[:200], NOT_TRUSTED))
        return cls(folder, manifest, memory, task, files[MODEL])

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
            with self._remembering():
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
        parts = [self._batch(batch) for batch in rows.take(order.tolist()).batches(BATCH)]
        back = np.argsort(order)
        return {name: np.concatenate([part[name] for part in parts])[back] for name in parts[0]}

    def _batch(self, rows: Rows) -> Arrays:
        with self._remembering():
            arrays, width = self.task.encode(rows, self.memory), self.task.outputs(self.memory)
        outputs = self.run(arrays)
        shape = outputs[LOGITS].shape
        if shape != (len(rows), width):
            raise BundleError(
                Problem(
                    f"{width} numbers a row from {self.path.name}/{MODEL}",
                    f"an array of shape {shape} for {len(rows)} rows",
                    NOT_TRUSTED,
                )
            )
        return outputs

    def run(self, arrays: Arrays) -> Arrays:
        """The network alone: encoded arrays in, its logits out, finite or not; BundleError when it cannot be run."""
        unknown = sorted(self._inputs - arrays.keys())
        if unknown:
            expected = f"a model in {self.path.name}/{MODEL} that reads {', '.join(arrays)}"
            raise BundleError(Problem(expected, f"the input '{unknown[0][:100]}'", NOT_TRUSTED))
        with self._running():
            found = self._session.run([LOGITS], {name: arrays[name] for name in self._inputs})[0]
        if not isinstance(found, np.ndarray) or found.dtype.kind != "f":
            kind = found.dtype if isinstance(found, np.ndarray) else type(found).__name__
            raise BundleError(Problem(f"floats from {self.path.name}/{MODEL}", f"{kind}", NOT_TRUSTED))
        return {LOGITS: found}

    @contextmanager
    def _running(self) -> Iterator[None]:
        """What ONNX Runtime says of a graph that it cannot load or run, told as a BundleError."""
        try:
            yield
        except _REFUSED as error:
            found = str(error).split(" : ")[-1].splitlines()[0][:200].rstrip(".")
            raise BundleError(
                Problem(f"an ONNX model in {self.path.name}/{MODEL}", found, "Export the bundle again.")
            ) from None

    @contextmanager
    def _remembering(self) -> Iterator[None]:
        """What a task trips over in a memory that it never learned; the traceback stays with the BundleError."""
        try:
            yield
        except (LingquError, MemoryError):
            raise
        except Exception as error:
            found = f"{type(error).__name__}: {error}".splitlines()[0][:200].rstrip(".")
            expected = f"what {self.task.name} remembers in {self.path.name}/{ENCODING}"
            raise BundleError(Problem(expected, found, "Export the bundle again.")) from error


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
        manifest = _json(_read(folder, MANIFEST), folder, MANIFEST)
    except (FileNotFoundError, NotADirectoryError):
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
    strange = [name for name in manifest["files"] if name not in (MODEL, ENCODING, CARD)]
    if strange:
        raise BundleError(
            Problem(
                f"no files but {MODEL}, {ENCODING} and {CARD} in the manifest", f"'{strange[0][:100]}'", NOT_TRUSTED
            )
        )
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


def _json(data: bytes, folder: Path, name: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BundleError(
            Problem(f"a JSON object in {folder.name}/{name}", "something else", "Export the bundle again.")
        )
    return value


def _proved(folder: Path, name: str, digest: str) -> bytes:
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
    return "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
