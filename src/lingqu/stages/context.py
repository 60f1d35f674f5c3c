"""What every stage of one run shares, and how a stage's result is found again or made and kept.

A result is plain JSON that names blobs of the store; it is found by the hash of the stage's inputs and of the code that
makes it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lingqu.contract import Task
from lingqu.errors import missing_package
from lingqu.spec import Spec
from lingqu.store import Store
from lingqu.store.canonical import canonical_json, is_digest
from lingqu.store.source import libraries, source_beside

Tell = Callable[[str, float, str], None]
"""Progress: the stage, how much of it is done (0 to 1), one sentence."""
Say = Callable[[float, str], None]
"""The same from inside a stage."""
Work = Callable[[Path, Say], dict[str, Any]]
"""What a stage does, given a folder that outlives a kill and somebody to tell."""

# The code that a stage's result depends on; a change of any file there does the stage again.
DATA = ("contract", "data", "stages/context", "stages/rows")
TRAIN = ("contract", "data", "losses", "models", "spec", "tasks", "train", "stages/context")
BUNDLE = ("contract", "data", "bundle", "models", "tasks", "stages/context")
COMPRESS = (*TRAIN, "bundle", "compress", "statistics")
EVALUATE = (*BUNDLE, "evaluate", "metrics", "registry", "statistics")

EXTRAS = {
    **dict.fromkeys(
        ("torch", "onnx", "sklearn", "lightgbm", "scipy", "pyarrow", "safetensors", "threadpoolctl"), "train"
    ),
    "optuna": "tune",
}
"""A package that a stage may lack -> the extra that brings it."""


def silent(_stage: str, _done: float, _sentence: str) -> None:
    """Tells nobody."""


@dataclass
class Context:
    """One run: what is wanted, of which task, where results are kept, and who is told; `cached` names what was there."""

    spec: Spec
    task: Task
    store: Store
    tell: Tell = silent
    cached: list[str] = field(default_factory=list)

    def once(self, name: str, inputs: Mapping[str, Any], code: tuple[str, ...], work: Work) -> dict[str, Any]:
        """The result of a stage: found when its inputs and its code are the same, made and kept otherwise."""
        version = {
            "code": self.store.code_version(*code),
            "task code": source_beside(type(self.task)),
            "libraries": libraries(),
        }
        key = self.store.stage(name, {**inputs, **version})
        # Two specs of different names may need the same stage at the same time: the second waits and finds it done.
        with self.store.lock(f"stage-{key}"):
            found = self.store.stage_result(key)
            if found is not None:
                self.cached.append(name)
                self.tell(name, 1.0, "unchanged")
                return found
            self.tell(name, 0.0, "")
            started = time.perf_counter()
            # As it will be found again: what follows must not depend on whether this stage was done just now.
            result = json.loads(canonical_json(self.work(name, work, self.store.work(key))))
            self.store.finish_stage(key, result, time.perf_counter() - started, blobs=blobs_of(result, self.store))
            self.store.clear_work(key)
            self.tell(name, 1.0, "done")
            return result

    def work(self, name: str, work: Work, folder: Path) -> dict[str, Any]:
        """What a stage gives, done now; MissingPackageError with the install line for what it lacks."""
        try:
            return work(folder, lambda done, sentence: self.tell(name, done, sentence))
        except ModuleNotFoundError as error:
            if error.name in EXTRAS:
                raise missing_package(error.name, EXTRAS[error.name], f"the stage '{name}'") from error
            raise


def blobs_of(result: Mapping[str, Any], store: Store) -> list[str]:
    """The blobs and folders that a result names, so that losing one makes the stage anew."""
    return [value for value in result.values() if is_digest(value) and store.holds(value)]
