"""Read a bundle and predict with it.

A bundle is a folder: `model.onnx`, `encoding.json` (what encode and decode need), `manifest.json` (task, columns and
their learned limits, hashes, format version) and `README.md` (the model card). A cascade has two such folders, `cheap`
and `dear`, in place of a model. Reading needs onnxruntime, numpy, tokenizers and Pillow; the task's own `encode` and
`decode` do the rest.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state  # pyright: ignore[reportAttributeAccessIssue]

from lingqu.bundle.cascade import Cascade
from lingqu.bundle.scan import refuse_outside
from lingqu.bundle.threads import threads_asked
from lingqu.bundle.trust import (
    ENCODING,
    FORMAT,
    MANIFEST,
    MEMBERS,
    MODEL,
    NOT_TRUSTED,
    json_object,
    proved,
    read_manifest,
)
from lingqu.contract import Answer, Memory, Refusal, Rows, Task
from lingqu.data.accept import accept
from lingqu.errors import BundleError, LingquError, Problem, RequestError, UnknownNameError
from lingqu.tasks import find_task

if TYPE_CHECKING:
    from lingqu.contract.task import Arrays

BATCH = 64
LOGITS = "logits"

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


class Brake:
    """Ends a run from another thread: once it is pulled, the network stops before its next operation, with a BundleError.

    >>> brake = Brake()
    >>> brake.pull()
    >>> brake.pulled
    True
    """

    def __init__(self) -> None:
        self.options = onnxruntime.RunOptions()
        self.options.log_severity_level = 4

    def pull(self) -> None:
        """End what runs, and whatever begins with this brake."""
        self.options.terminate = True

    @property
    def pulled(self) -> bool:
        """Whether it was."""
        return self.options.terminate


class Bundle:
    """A model that answers, with everything it needs beside it.

    `task` encodes and decodes, `memory` is what training remembered, `manifest` is the contract with the world.
    `cascade` holds the members of one, None for a model of its own.
    Safe to share between threads: nothing changes after opening.
    """

    def __init__(
        self, path: Path, manifest: dict[str, Any], memory: Memory, task: Task, model: bytes | Cascade
    ) -> None:
        self.path = path
        self.manifest = manifest
        self.memory = memory
        self.task = task
        self.cascade = model if isinstance(model, Cascade) else None
        if not isinstance(model, Cascade):
            self._load(model)

    def _load(self, model: bytes) -> None:
        refuse_outside(model, f"{self.path.name}/{MODEL}")
        with self._running():
            self._session = onnxruntime.InferenceSession(model, _options(), providers=["CPUExecutionProvider"])
        self._inputs = {found.name for found in self._session.get_inputs()}
        names = [found.name for found in self._session.get_outputs()]
        if LOGITS not in names:
            raise BundleError(
                Problem(
                    f"an output '{LOGITS}' of {self.path.name}/{MODEL}", ", ".join(names)[:200] or "none", NOT_TRUSTED
                )
            )

    @classmethod
    def open(cls, path: str | Path) -> Bundle:
        """The bundle in this folder, every file checked against its hash; BundleError when it cannot be trusted."""
        folder = Path(path)
        manifest = read_manifest(folder)
        files = {name: proved(folder, name, digest) for name, digest in manifest["files"].items()}
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
        memory = json_object(files[ENCODING], folder, ENCODING)
        labels = memory.get("labels", [])
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            raise BundleError(Problem(f"labels as texts in {folder.name}/{ENCODING}", f"{labels}"[:200], NOT_TRUSTED))
        if MODEL in files:
            return cls(folder, manifest, memory, task, files[MODEL])
        return cls(folder, manifest, memory, task, cls._members(folder, manifest, labels))

    @classmethod
    def _members(cls, folder: Path, manifest: dict[str, Any], labels: list[str]) -> Cascade:
        """The members of a cascade, each a plain bundle that answers the same question."""
        for member in MEMBERS:
            # Looked at before it is opened, so that a cascade of cascades never begins to unfold.
            found = read_manifest(folder / member)
            for name, wanted in (("format", FORMAT), ("task", manifest["task"]), ("answer", manifest["answer"])):
                if found[name] != wanted:
                    expected = f"the {name} {wanted!r} of the member {folder.name}/{member}"
                    raise BundleError(Problem(expected, f"{found[name]!r}"[:200], NOT_TRUSTED))
        cheap, dear = (cls.open(folder / member) for member in MEMBERS)
        for member, one in zip(MEMBERS, (cheap, dear), strict=True):
            if one.memory.get("labels") != labels:
                expected = f"the labels of {folder.name} in {folder.name}/{member}/{ENCODING}"
                raise BundleError(Problem(expected, f"{one.memory.get('labels')}"[:200], NOT_TRUSTED))
        return Cascade(cheap, dear, manifest["threshold"])

    def _repr_html_(self) -> str:
        """How it shows itself in a notebook."""
        from lingqu.bundle.notebook import of_bundle

        return of_bundle(self)

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
        for place, answer in zip(good, self.decide(accepted.take(good)) if good else [], strict=True):
            answers[place] = answer
        return answers

    def decide(self, rows: Rows, brake: Brake | None = None) -> list[Answer]:
        """One answer for each accepted row, in order; a Refusal where the network has no finite numbers."""
        outputs = self.raw(rows, brake)
        if all(np.isfinite(array).all() for array in outputs.values()):
            with self._remembering():
                return list(self.task.decode(outputs, self.memory))
        finite = _finite(outputs)
        with self._remembering():
            decoded = self.task.decode({name: array[finite] for name, array in outputs.items()}, self.memory)
        answers: list[Answer] = [Refusal(NOT_FINITE)] * len(rows)
        for place, answer in zip(np.flatnonzero(finite).tolist(), decoded, strict=True):
            answers[place] = answer
        return answers

    def outputs(self, rows: Rows) -> Arrays:
        """What the network gives for accepted rows, one row each, in order; BundleError when any is not finite."""
        outputs = self.raw(rows)
        if not _finite(outputs).all():
            raise never_finite()
        return outputs

    def raw(self, rows: Rows, brake: Brake | None = None) -> Arrays:
        """As `outputs`, finite or not; a cascade has no brake."""
        if self.cascade is not None:
            return self.cascade.raw(rows)
        if len(rows) <= BATCH:
            return self._batch(rows, brake)
        order = np.array(sorted(range(len(rows)), key=lambda place: _weight(rows, place)), np.int64)
        parts = [self._batch(batch) for batch in rows.take(order.tolist()).batches(BATCH)]
        back = np.argsort(order)
        return {name: np.concatenate([part[name] for part in parts])[back] for name in parts[0]}

    def _batch(self, rows: Rows, brake: Brake | None = None) -> Arrays:
        with self._remembering():
            arrays, width = self.task.encode(rows, self.memory), self.task.outputs(self.memory)
        outputs = self.run(arrays, brake)
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

    def run(self, arrays: Arrays, brake: Brake | None = None) -> Arrays:
        """The network alone: encoded arrays in, its logits out, finite or not; BundleError when it cannot be run.

        A cascade has no network of its own: ask its members.
        """
        unknown = sorted(self._inputs - arrays.keys())
        if unknown:
            expected = f"a model in {self.path.name}/{MODEL} that reads {', '.join(arrays)}"
            raise BundleError(Problem(expected, f"the input '{unknown[0][:100]}'", NOT_TRUSTED))
        with self._running():
            given = {name: arrays[name] for name in self._inputs}
            found = self._session.run([LOGITS], given, brake.options if brake else None)[0]
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
    first, *others = (np.isfinite(array.reshape(len(array), -1)) for array in outputs.values())
    return np.logical_and.reduce([np.asarray(first.all(axis=1)), *(other.all(axis=1) for other in others)])


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
    options.intra_op_num_threads = threads_asked() or min(os.cpu_count() or 1, 4)
    options.inter_op_num_threads = 1
    # What fails is raised, and told by whoever asked; the library would write it to standard error as well.
    options.log_severity_level = 4
    # Spinning threads starve their neighbours on small machines; an arena keeps the memory of the longest text for ever.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = False
    return options
