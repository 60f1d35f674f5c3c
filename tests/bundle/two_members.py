"""A cascade made by hand: one number decides; the cheap member is wrong near its border, and unsure there."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from lingqu.bundle.folder import write_cascade, write_folder
from lingqu.bundle.read import Bundle
from lingqu.contract import Rows

BORDER = 0.3
LABELS = ["no", "yes"]


def member(folder: Path, *, border: float, steep: float, work: int = 0) -> Bundle:
    """A bundle that says yes above a border, the surer the further from it; `work` products of matrices take time."""
    wanted = np.array([[-steep, steep]], np.float32), np.array([steep * border, -steep * border], np.float32)
    weights = [numpy_helper.from_array(value, name) for name, value in zip("wb", wanted, strict=True)]
    nodes = [helper.make_node("Gemm", ["numbers", "w", "b"], ["logits"])]
    if work:
        weights.append(numpy_helper.from_array(np.eye(work, dtype=np.float32) * 1e-9, "square"))
        nodes = [helper.make_node("Gemm", ["numbers", "w", "b"], ["bare"])]
        nodes += [
            helper.make_node("ReduceSum", ["numbers"], ["one"], keepdims=0),
            helper.make_node("Mul", ["square", "one"], ["turned"]),
            helper.make_node("MatMul", ["turned", "turned"], ["product"]),
            helper.make_node("ReduceMean", ["product"], ["almost-nothing"], keepdims=0),
            helper.make_node("Add", ["bare", "almost-nothing"], ["logits"]),
        ]
    made = helper.make_graph(
        nodes,
        "member",
        [helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["rows", 1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", 2])],
        weights,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    memory = {
        "front": {"name": "table", "numbers": [{"name": "x", "mean": 0.0, "std": 1.0}], "categories": []},
        "labels": LABELS,
        "temperature": 1.0,
    }
    manifest = {
        "format": 1,
        "task": "tabular-classification",
        "family": "cheap" if steep < 10 else "dear",
        "columns": [{"name": "x", "source": "x", "kind": "number", "missing": False}],
        "target": {"name": "label", "kind": "label"},
        "answer": "label-scores",
    }
    return write_folder(folder, manifest, model.SerializeToString(), memory)


def members(folder: Path, *, work: int = 0) -> tuple[Bundle, Bundle]:
    """The cheap member, a little off, and the dear one, which is right."""
    cheap = member(folder / "one", border=0.0, steep=4.0)
    return cheap, member(folder / "other", border=BORDER, steep=50.0, work=work)


def cascade(folder: Path, threshold: float = 0.95) -> Bundle:
    """The two of them in one bundle."""
    memory = {"labels": LABELS, "temperature": 1.0}
    return write_cascade(folder / "bundle", *members(folder), threshold, memory)


def rows(count: int, seed: int = 0) -> Rows:
    """Numbers from -1 to 1 and what the border says of them."""
    draw = random.Random(seed)
    numbers = [draw.uniform(-1, 1) for _ in range(count)]
    return Rows({"x": numbers, "label": [LABELS[x > BORDER] for x in numbers]})
