"""Small real training runs, here or in a process of their own that may be killed."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lingqu.contract import Step
from lingqu.models import find_family
from lingqu.models.family import Facts
from lingqu.train.fit import Trained, fit_rung
from lingqu.train.options import TrainOptions

PROCESSES = multiprocessing.get_context("forkserver")
# torch is imported once, in the server; each run is a fork of it and starts at once.
PROCESSES.set_forkserver_preload(["training_lab"])

FRONTS: dict[str, dict[str, Any]] = {
    "ngrams": {"name": "ngrams", "buckets": 64},
    "tokens": {"name": "tokens", "vocabulary": 40},
    "pixels": {"name": "pixels", "channels": 1, "height": 8, "width": 8, "mean": [0.5], "std": [0.3]},
    "table": {"name": "table", "numbers": [{}, {}, {}], "categories": [{}, {}], "cardinalities": [4, 3]},
}

NETWORKS = ("mlp", "cnn", "bilstm")
MORE = ("resnet", "rnn", "gru", "lstm", "textcnn", "transformer")
EVERY_NETWORK = (*NETWORKS, *MORE)
EVERY = (*EVERY_NETWORK, "by-hand", "tree", "ngram-linear", "logistic", "boosting", "blend")


def sooner(*first: str, all_of: Sequence[str]) -> list[Any]:
    """The parameters of a test of families: these in every run, the others with the heavy tests."""
    return [name if name in first else pytest.param(name, marks=pytest.mark.heavy) for name in all_of]


def arrays_for(front: str, rows: int, seed: int = 0) -> dict[str, Any]:
    """Random arrays as this front gives them; the row's class is easy to read off them."""
    draw = np.random.default_rng(seed)
    label = np.arange(rows) % 2
    if front == "table":
        numbers = draw.normal(size=(rows, 3)).astype(np.float32)
        numbers[:, 0] += 3 * label
        numbers[draw.random((rows, 3)) < 0.05] = np.nan
        codes = np.stack([label + 1, draw.integers(0, 3, rows)], axis=1)
        return {"numbers": numbers, "codes": codes}
    if front == "pixels":
        pixels = draw.integers(0, 80, (rows, 1, 8, 8)).astype(np.uint8)
        pixels[label == 1, :, 3:5] += 120
        pixels[label == 0, :, :, 3:5] += 120
        return {"pixels": pixels}
    lengths = draw.integers(3, 12, rows)
    width = int(lengths.max())
    real = np.arange(width) < lengths[:, None]
    # Ids rise within a row and do not repeat, as those of n-grams do; odd ones for one class, even ones for the other.
    ids = np.sort(draw.permuted(np.tile(np.arange(2, 38, 2), (rows, 1)), axis=1)[:, :width], axis=1) - label[:, None]
    ids = np.where(real, ids, 0)
    if front == "tokens":
        return {"tokens": ids.astype(np.int64), "lengths": lengths.astype(np.int64)}
    return {"ids": ids.astype(np.int32), "counts": (real * draw.integers(1, 4, (rows, width))).astype(np.float32)}


def facts_for(front: str, rows: int, *, regression: bool = False) -> Facts:
    if regression:
        return Facts(1, "regression", FRONTS[front], rows)
    return Facts(2, "classification", FRONTS[front], rows, (rows - rows // 2, rows // 2))


def train(
    name: str,
    work: Path,
    *,
    rows: int = 96,
    regression: bool = False,
    settings: dict[str, Any] | None = None,
    targets: Any = None,
    size: str = "tiny",
    progress: Callable[[float, str], None] = lambda _done, _sentence: None,
    **options: Any,
) -> Trained:
    """One family on toy arrays; `targets` replace the ones that can be learned."""
    family = find_family(name)
    front = family.front
    labels = np.arange(rows) % 2
    if targets is None:
        targets = (labels * 2 - 1).astype(np.float32) if regression else labels
    return fit_rung(
        family,
        {**family.settings(size), **(settings or {})},
        arrays_for(front, rows),
        targets,
        arrays_for(front, 40, seed=1),
        (np.arange(40) % 2 * 2 - 1).astype(np.float32) if regression else np.arange(40) % 2,
        facts=facts_for(front, rows, regression=regression),
        steps=(Step("squared" if regression else "cross_entropy"),),
        options=TrainOptions(**options),
        work=work,
        progress=progress,
    )


def digest(trained: Trained) -> str:
    """One name for everything that came out: every bit of the weights, every loss."""
    spelled = hashlib.sha256(json.dumps(trained.history, sort_keys=True).encode())
    for name, array in sorted(trained.weights.items()):
        spelled.update(name.encode() + str(array.dtype).encode() + array.tobytes())
    return spelled.hexdigest()


def _child(name: str, work: Path, failpoint: str, out: Path, options: dict[str, Any]) -> None:
    os.environ["LQ_FAILPOINT"] = failpoint
    out.write_text(digest(train(name, work, **options)))


def start(name: str, work: Path, out: Path, *, failpoint: str = "", **options: Any) -> Any:
    """The same run in a process of its own; `out` will hold its digest."""
    with pytest.MonkeyPatch.context() as patch:
        # The server finds what it shall import once by this path alone.
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        forkserver.ensure_running()
    process = PROCESSES.Process(target=_child, args=(name, work, failpoint, out, options))
    process.start()
    return process
