"""Turn a trained network into a bundle, and prove that the bundle says what the network said."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lingqu import __version__
from lingqu.bundle.export import to_onnx
from lingqu.bundle.folder import write_folder
from lingqu.bundle.read import Bundle
from lingqu.bundle.trust import FORMAT
from lingqu.contract import Memory, Rows, Task
from lingqu.data.accept import Limits
from lingqu.errors import BundleError, Problem

PARITY_ROWS = 512
LABELS_EQUAL, LARGEST_DIFFERENCE = 0.999, 1e-4


@dataclass(frozen=True, slots=True)
class Parity:
    """How a bundle compares with its network on real rows."""

    rows: int
    labels_equal: float
    largest_difference: float

    @property
    def holds(self) -> bool:
        """Whether the two may be called the same model."""
        return self.labels_equal >= LABELS_EQUAL and self.largest_difference <= LARGEST_DIFFERENCE

    def to_json(self) -> dict[str, Any]:
        """For the manifest."""
        return {"rows": self.rows, "labels_equal": self.labels_equal, "largest_difference": self.largest_difference}


def write_candidate(
    folder: Path,
    *,
    task: Task,
    family: str,
    network: nn.Module,
    memory: Memory,
    columns: Limits,
    rows: Rows,
    calibrate: bool = True,
) -> Bundle:
    """Export, check parity, calibrate on validation rows, and write; BundleError when bundle and network disagree.

    `rows` are validation rows with their targets: real ones that the network was not fitted on. When it was, `calibrate`
    must be False: the memory then keeps the calibration that it holds.
    """
    example = task.encode(rows.take(range(min(4, len(rows)))), memory)
    model = to_onnx(network, example, memory["front"]["name"])
    bundle = Bundle(folder, {"columns": columns}, memory, task, model)
    parity = check_parity(bundle, network, rows.take(range(min(PARITY_ROWS, len(rows)))))
    if calibrate:
        memory = task.calibrate(bundle.outputs(rows), task.targets(rows, memory), memory)
    manifest = {
        "format": FORMAT,
        "lingqu": __version__,
        "task": task.name,
        "family": family,
        "precision": "float32",
        "columns": columns,
        "target": {"name": task.target.name, "kind": task.target.kind},
        "answer": task.answer.kind,
        "parity": parity.to_json(),
    }
    return write_folder(folder, manifest, model, memory)


def check_parity(bundle: Bundle, network: nn.Module, rows: Rows) -> Parity:
    """Compare bundle and network on these rows; BundleError when they are not the same model.

    Scores are compared as the user sees them: probabilities, or the standardised number.
    """
    arrays = bundle.task.encode(rows, bundle.memory)
    with torch.inference_mode():
        expected = network.eval()(**{name: torch.from_numpy(array) for name, array in arrays.items()}).numpy()
    found = bundle.outputs(rows)["logits"]
    several = expected.shape[1] > 1
    gap = np.abs(_scores(expected) - _scores(found)).max(initial=0.0)
    equal = (expected.argmax(1) == found.argmax(1)).mean() if several else 1.0
    parity = Parity(len(rows), round(float(equal), 6), float(f"{gap:.3g}"))
    if not parity.holds:
        raise BundleError(
            Problem(
                f"a bundle that agrees with its network (labels {LABELS_EQUAL:.1%}, scores within {LARGEST_DIFFERENCE:g})",
                f"labels {parity.labels_equal:.1%}, scores within {parity.largest_difference:g} on {parity.rows} rows",
                "This is a fault of the exporter or of the model family; the version is not written.",
            )
        )
    return parity


def _scores(logits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if logits.shape[1] == 1:
        return logits.astype(np.float64)
    weights = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)
