"""One small bundle for each task, without torch: a linear model that ridge regression fits on the toy rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from lingqu.bundle.folder import write_folder
from lingqu.bundle.read import Bundle
from lingqu.contract import Front, Rows
from lingqu.data.accept import columns_of, learn_limits
from lingqu.tasks import find_task

BUCKETS = 256
NGRAMS = Front("ngrams", {"buckets": BUCKETS, "words": [1], "chars": []})
FRONTS = {
    "text-classification": NGRAMS,
    "multi-label-text-classification": NGRAMS,
    "image-classification": Front("pixels", {"side": 16}),
    "tabular-classification": Front("table", {"kinds": {"income": "number", "job": "category"}}),
    "tabular-regression": Front("table", {"kinds": {"rooms": "number", "town": "category"}}),
}
_TYPES = {
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "float32": TensorProto.FLOAT,
    "uint8": TensorProto.UINT8,
}


def make(
    task_name: str, folder: Path, name: str = "", rows: Rows | None = None, sources: dict[str, str] | None = None
) -> Bundle:
    """A bundle of that task that answers its toy rows well; `sources` are the users' own names of columns."""
    task = find_task(task_name)
    rows = task.toy(120) if rows is None else rows
    memory = task.learn(rows, FRONTS[task_name])
    arrays = task.encode(rows, memory)
    targets = task.targets(rows, memory)
    wanted = np.eye(len(memory["labels"]))[targets] * 8 - 4 if targets.ndim == 1 and "labels" in memory else targets
    wanted = wanted * 8.0 - 4 if targets.ndim == 2 else wanted
    weights = _fit(arrays, wanted.reshape(len(rows), -1))
    kinds = FRONTS[task_name].settings.get("kinds", {column.name: column.kind for column in task.columns})
    manifest = {
        "format": 1,
        "name": name or task_name,
        "task": task_name,
        "columns": learn_limits(rows, columns_of(task, kinds), sources),
        "answer": task.answer.kind,
    }
    return write_folder(folder, manifest, _graph(arrays, weights), {**memory, **_calibration(task_name)})


def _calibration(task_name: str) -> dict[str, Any]:
    return {"error": 0.1} if task_name == "tabular-regression" else {}


def _features(arrays: dict[str, Any]) -> Any:
    if "ids" in arrays:
        counts = np.zeros((len(arrays["ids"]), BUCKETS + 1))
        for row, (ids, values) in enumerate(zip(arrays["ids"], arrays["counts"], strict=True)):
            np.add.at(counts[row], ids, values)
        return counts
    return np.concatenate([array.reshape(len(array), -1).astype(np.float64) for array in arrays.values()], axis=1)


def _fit(arrays: dict[str, Any], wanted: Any) -> tuple[Any, Any]:
    """Weights and bias of least squares with a small ridge."""
    features = _features(arrays)
    centre, bias = features.mean(0), wanted.mean(0)
    scaled = features - centre
    inner = scaled.T @ scaled + 0.1 * np.eye(features.shape[1])
    weights = np.linalg.solve(inner, scaled.T @ (wanted - bias))
    return weights.astype(np.float32), (bias - centre @ weights).astype(np.float32)


def _graph(arrays: dict[str, Any], fitted: tuple[Any, Any]) -> bytes:
    weights = [numpy_helper.from_array(fitted[0], "weights"), numpy_helper.from_array(fitted[1], "bias")]
    nodes = []
    if "ids" in arrays:
        weights.append(numpy_helper.from_array(np.array([2], np.int64), "last"))
        weights.append(numpy_helper.from_array(np.array([1], np.int64), "middle"))
        nodes += [
            helper.make_node("Gather", ["weights", "ids"], ["rows"]),
            helper.make_node("Unsqueeze", ["counts", "last"], ["tall"]),
            helper.make_node("Mul", ["rows", "tall"], ["weighed"]),
            helper.make_node("ReduceSum", ["weighed", "middle"], ["summed"], keepdims=0),
        ]
    else:
        for name in arrays:
            nodes.append(helper.make_node("Cast", [name], [f"{name}.float"], to=TensorProto.FLOAT))
            nodes.append(helper.make_node("Flatten", [f"{name}.float"], [f"{name}.flat"]))
        nodes.append(helper.make_node("Concat", [f"{name}.flat" for name in arrays], ["all"], axis=1))
        nodes.append(helper.make_node("MatMul", ["all", "weights"], ["summed"]))
    nodes.append(helper.make_node("Add", ["summed", "bias"], ["logits"]))
    inputs = [
        helper.make_tensor_value_info(
            name,
            _TYPES[str(array.dtype)],
            ["rows", *("length" if "ids" in arrays else size for size in array.shape[1:])],
        )
        for name, array in arrays.items()
    ]
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", None])]
    made = helper.make_graph(nodes, "linear", inputs, outputs, weights)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()
