"""Eight-bit weights through ONNX Runtime, kept only when the test sees no cost.

Matrix products, embeddings and LSTMs are quantised dynamically (weights per channel, activations as they come);
convolutions statically, their activation ranges taken from training rows.
Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference".
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnxruntime import quantization

from lingqu.bundle.folder import write_folder
from lingqu.bundle.read import MODEL, Bundle
from lingqu.contract import Answer, LabelScores, NumberValue, Rows
from lingqu.statistics import mcnemar, mean_below

if TYPE_CHECKING:
    from lingqu.contract.task import Arrays

DYNAMIC = ("MatMul", "Gemm", "Gather", "LSTM")
CALIBRATION_ROWS = 256
SEEN = 0.05
MOST_LOST = 0.01


@dataclass(frozen=True, slots=True)
class Comparison:
    """One before-and-after row: what was tried, what it saved, what it cost, and whether it was kept."""

    method: str
    kept: bool
    why: str
    rows: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    loss_before: float = 0.0
    loss_after: float = 0.0
    p: float | None = None

    def to_json(self) -> dict[str, Any]:
        """For the report."""
        return asdict(self)


def quantise(bundle: Bundle, folder: Path, *, train: Rows, valid: Rows) -> Comparison:
    """Write the int8 bundle to `folder` and compare it on validation rows; the caller keeps it only when `kept`.

    The test is one-sided: was float32 better than int8 on the same rows? Labels by McNemar's exact test on right and
    wrong and a paired test on the log loss, numbers by a paired test on absolute errors. Besides, at most one point may
    be lost.
    """
    operators = _operators(bundle.path / MODEL)
    if not operators & {*DYNAMIC, "Conv"}:
        return Comparison("int8", False, "nothing in this model can be quantised: it is a forest of thresholds")
    data, manifest = _rounded(bundle, train), {**bundle.manifest, "precision": "int8"}
    raw = Bundle(folder, manifest, bundle.memory, bundle.task, data)
    # What ships is what is calibrated: temperature and error range belong to these weights.
    targets = bundle.task.targets(valid, bundle.memory)
    memory = bundle.task.calibrate(raw.outputs(valid), targets, bundle.memory)
    return compare(bundle, write_folder(folder, manifest, data, memory), valid)


def again(bundle: Bundle, folder: Path, *, train: Rows) -> Bundle:
    """The int8 bundle in `folder`, for a recipe that was compared before: its calibration is kept."""
    return write_folder(folder, {**bundle.manifest, "precision": "int8"}, _rounded(bundle, train), bundle.memory)


def _rounded(bundle: Bundle, train: Rows) -> bytes:
    """The model with 8-bit weights."""
    model = bundle.path / MODEL
    if "Conv" not in _operators(model):
        return _dynamic(model)
    return _static(model, bundle, train.take(range(0, len(train), max(1, -(-len(train) // CALIBRATION_ROWS)))))


def compare(before: Bundle, after: Bundle, rows: Rows) -> Comparison:
    """The before-and-after row of two bundles on the same rows with their targets."""
    truth = rows[before.task.target.name]
    first, second = losses(before.predict(rows), truth), losses(after.predict(rows), truth)
    zero_one = set(np.unique([first, second])) <= {0.0, 1.0}
    # The null hypothesis is "no cost", and a small p is a cost that was seen.
    p = mcnemar(second == 0, first == 0).p if zero_one else mean_below(first - second, 0.0).p
    if zero_one:
        # Labels may all stay while the ranking behind them is lost: the scores are tested as well, each at half the level.
        surprises = [surprise(one.predict(rows), truth) for one in (before, after)]
        p = min(1.0, 2 * min(p, mean_below(surprises[0] - surprises[1], 0.0).p))
    sizes = [(bundle.path / MODEL).stat().st_size for bundle in (before, after)]
    lost = float(second.mean() - first.mean()) / (1.0 if zero_one else max(float(first.mean()), 1e-12))
    if sizes[1] >= sizes[0]:
        kept, why = False, "it is not smaller"
    elif p < SEEN:
        kept, why = False, f"the paired test sees a cost (p = {p:.3g} < {SEEN})"
    elif lost > MOST_LOST:
        kept, why = False, f"it loses {lost:.1%}, more than {MOST_LOST:.0%}"
    else:
        kept, why = True, f"{sizes[0] / sizes[1]:.1f} times smaller and no cost that the test can see (p = {p:.3g})"
    means = (round(float(first.mean()), 6), round(float(second.mean()), 6))
    return Comparison("int8", kept, why, len(rows), sizes[0], sizes[1], *means, p=float(p))


def losses(answers: list[Answer], truth: list[Any]) -> np.ndarray[Any, Any]:
    """What each answer costs: 0 or 1 for a label, the absolute error for a number, float64 (rows,)."""
    costs = []
    for answer, right in zip(answers, truth, strict=True):
        if isinstance(answer, LabelScores):
            costs.append(float(answer.label != right))
        elif isinstance(answer, NumberValue):
            costs.append(abs(answer.value - float(right)))
        else:
            costs.append(1.0)
    return np.array(costs, np.float64)


def surprise(answers: list[Answer], truth: list[Any]) -> np.ndarray[Any, Any]:
    """-log of the score that each answer gave the right label, float64 (rows,); a refusal scored it nothing."""
    scores = [
        answer.scores.get(right, 0.0) if isinstance(answer, LabelScores) else 0.0
        for answer, right in zip(answers, truth, strict=True)
    ]
    return -np.log(np.maximum(np.array(scores, np.float64), 1e-6))


def _operators(model: Path) -> set[str]:
    return {node.op_type for node in onnx.load(model).graph.node}


def _dynamic(model: Path) -> bytes:
    return _quantised(
        model,
        lambda target: quantization.quantize_dynamic(
            model,
            target,
            op_types_to_quantize=list(DYNAMIC),
            per_channel=True,
            weight_type=quantization.QuantType.QInt8,
        ),
    )


def _static(model: Path, bundle: Bundle, rows: Rows) -> bytes:
    return _quantised(
        model,
        lambda target: quantization.quantize_static(
            model,
            target,
            _Calibration(bundle, rows),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            op_types_to_quantize=["Conv", "MatMul", "Gemm"],
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        ),
    )


def _quantised(model: Path, write: Callable[[Path], None]) -> bytes:
    """What `write` writes, in silence: the tool logs advice on pre-processing that the root logger would print."""
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / model.name
        logging.disable(logging.WARNING)
        try:
            write(target)
        finally:
            logging.disable(logging.NOTSET)
        return target.read_bytes()


class _Calibration(quantization.CalibrationDataReader):
    """Encoded training rows, a batch at a time, from which the ranges of activations are taken."""

    def __init__(self, bundle: Bundle, rows: Rows) -> None:
        self._batches: Iterator[Arrays] = (bundle.task.encode(batch, bundle.memory) for batch in rows.batches(32))

    def get_next(self) -> Arrays | None:  # type: ignore[override]
        return next(self._batches, None)
