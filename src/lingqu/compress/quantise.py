"""Eight-bit weights through ONNX Runtime, kept only when the test sees no cost.

Matrix products, embeddings and LSTMs are quantised dynamically (weights per channel, activations as they come);
convolutions statically, their activation ranges taken from training rows. A last dense layer that is a small part of
the weights stays as it is: it costs few bytes, and can be fitted again afterwards.
Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference".
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from onnxruntime import quantization

from lingqu.bundle.folder import write_folder
from lingqu.bundle.read import Bundle
from lingqu.bundle.trust import MODEL
from lingqu.compress.comparison import Comparison, compare
from lingqu.compress.graph import Graph, find_head
from lingqu.contract import Memory, Rows

if TYPE_CHECKING:
    from lingqu.contract.task import Arrays

DYNAMIC = ("MatMul", "Gemm", "Gather", "LSTM")
CALIBRATION_ROWS = 256
SMALL_HEAD = 0.1
NOTHING = "nothing in this model can be quantised: it is a forest of thresholds"


def quantise(bundle: Bundle, folder: Path, *, train: Rows, valid: Rows) -> Comparison:
    """Write the int8 bundle to `folder` and compare it on validation rows; the caller keeps it only when `kept`."""
    if not can_be_quantised(bundle):
        return Comparison("int8", False, NOTHING)
    return compare(bundle, quantised(bundle, folder, train=train, valid=valid), valid)


def can_be_quantised(bundle: Bundle) -> bool:
    """Whether the graph has an operator that int8 is for."""
    return bool({node.op_type for node in Graph.of(bundle).nodes} & {*DYNAMIC, "Conv"})


def quantised(bundle: Bundle, folder: Path, *, train: Rows, valid: Rows | None = None) -> Bundle:
    """The int8 bundle in `folder`, untested; `train` gives activation ranges.

    What ships is what is calibrated: temperature and error range belong to these weights, and are fitted to `valid`.
    Without validation rows the memory stays as it is, for a model whose decisions were made before.
    """
    model = bundle.path / MODEL
    graph = Graph.of(bundle)
    kept = _small_head(graph)
    if any(node.op_type == "Conv" for node in graph.nodes):
        sample = train.take(range(0, len(train), max(1, -(-len(train) // CALIBRATION_ROWS))))
        data = _static(model, bundle, sample, kept)
    else:
        data = _dynamic(model, kept)
    return rewritten(bundle, folder, data, valid=valid, precision="int8")


def rewritten(bundle: Bundle, folder: Path, model: bytes, *, valid: Rows | None, **manifest: str) -> Bundle:
    """The bundle with another graph, calibrated on validation rows where they are given."""
    written = {**bundle.manifest, **manifest}
    memory: Memory = bundle.memory
    if valid is not None:
        raw = Bundle(folder, written, memory, bundle.task, model)
        memory = bundle.task.calibrate(raw.outputs(valid), bundle.task.targets(valid, memory), memory)
    return write_folder(folder, written, model, memory)


def _small_head(graph: Graph) -> list[str]:
    """The name of the last dense layer, where that is less than a tenth of the weights; else nothing."""
    head = find_head(graph)
    weights = sum(tensor.ByteSize() for tensor in graph.model.graph.initializer)
    if head is None or head.weights.nbytes >= SMALL_HEAD * weights:
        return []
    # The dynamic tool splits a Gemm into a MatMul of this name and an Add before it looks at names.
    return [head.node.name, f"{head.node.name}_MatMul"]


def _dynamic(model: Path, kept: list[str]) -> bytes:
    return _quantised(
        model,
        lambda target: quantization.quantize_dynamic(
            model,
            target,
            op_types_to_quantize=list(DYNAMIC),
            nodes_to_exclude=kept,
            per_channel=True,
            weight_type=quantization.QuantType.QInt8,
        ),
    )


def _static(model: Path, bundle: Bundle, rows: Rows, kept: list[str]) -> bytes:
    return _quantised(
        model,
        lambda target: quantization.quantize_static(
            model,
            target,
            _Calibration(bundle, rows),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            op_types_to_quantize=["Conv", "MatMul", "Gemm"],
            nodes_to_exclude=kept,
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
