"""Bundles made by hand in milliseconds, whose answers tell which version and which row they are from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from lingqu.bundle.folder import write_folder
from lingqu.bundle.read import Bundle
from lingqu.registry import Registry, Version
from lingqu.store import Store

STEP = 0.25
"""Version n answers x + n * STEP, which is exact in float32 for whole x below two million."""


def echo_graph(number: int) -> bytes:
    """An ONNX model of x + number * STEP."""
    offset = helper.make_tensor("offset", TensorProto.FLOAT, [1], [number * STEP])
    made = helper.make_graph(
        [helper.make_node("Add", ["numbers", "offset"], ["logits"])],
        "echo",
        [helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["rows", 1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", None])],
        [offset],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()


def failing_graph(number: int, above: float) -> bytes:
    """The same answers up to a number; a row above it makes ONNX Runtime fail, and all that share its batch."""
    made = helper.make_graph(
        [
            helper.make_node("Greater", ["numbers", "most"], ["is_above"]),
            helper.make_node("Cast", ["is_above"], ["place"], to=TensorProto.INT64),
            # There is one offset: the second place is none.
            helper.make_node("Gather", ["offsets", "place"], ["offset"], axis=0),
            helper.make_node("Add", ["numbers", "offset"], ["logits"]),
        ],
        "failing",
        [helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["rows", 1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", None])],
        [
            helper.make_tensor("offsets", TensorProto.FLOAT, [1], [number * STEP]),
            helper.make_tensor("most", TensorProto.FLOAT, [], [above]),
        ],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()


def large_graph(number: int, megabytes: int) -> bytes:
    """The same answers from a model of that size."""
    table = np.zeros(megabytes * 250_000, np.float32)
    table[7] = number * STEP
    made = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "place"], ["offset"], axis=0),
            helper.make_node("Add", ["numbers", "offset"], ["logits"]),
        ],
        "large",
        [helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["rows", 1])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", None])],
        [numpy_helper.from_array(table, "table"), helper.make_tensor("place", TensorProto.INT64, [1], [7])],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()


def loop_graph(
    number: int, *, steps_per_row: int = 0, hangs_above: float | None = None, hang_steps: int = 1 << 62
) -> bytes:
    """The same answers by a loop: slow in proportion to rows, or, for a row above a number, for very long."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["again"], ["go_on"]),
            helper.make_node("Add", ["x", "one"], ["more"]),
            helper.make_node("Sub", ["more", "one"], ["same"]),
        ],
        "body",
        [
            value("step", TensorProto.INT64, []),
            value("again", TensorProto.BOOL, []),
            value("x", TensorProto.FLOAT, ["rows", 1]),
        ],
        [value("go_on", TensorProto.BOOL, []), value("same", TensorProto.FLOAT, ["rows", 1])],
        [helper.make_tensor("one", TensorProto.FLOAT, [], [1.0])],
    )
    constants = [
        helper.make_tensor("offset", TensorProto.FLOAT, [1], [number * STEP]),
        helper.make_tensor("yes", TensorProto.BOOL, [], [True]),
        helper.make_tensor("per_row", TensorProto.INT64, [], [steps_per_row]),
        helper.make_tensor("ever", TensorProto.INT64, [], [hang_steps]),
        helper.make_tensor("first", TensorProto.INT64, [], [0]),
        helper.make_tensor("most", TensorProto.FLOAT, [], [1e30 if hangs_above is None else hangs_above]),
    ]
    nodes = [
        helper.make_node("Shape", ["numbers"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["rows"], axis=0),
        helper.make_node("Mul", ["rows", "per_row"], ["usual"]),
        helper.make_node("ReduceMax", ["numbers"], ["largest"], keepdims=0),
        helper.make_node("Greater", ["largest", "most"], ["hang"]),
        helper.make_node("Where", ["hang", "ever", "usual"], ["steps"]),
        helper.make_node("Loop", ["steps", "yes", "numbers"], ["looped"], body=body),
        helper.make_node("Add", ["looped", "offset"], ["logits"]),
    ]
    made = helper.make_graph(
        nodes,
        "loop",
        [value("numbers", TensorProto.FLOAT, ["rows", 1])],
        [value("logits", TensorProto.FLOAT, ["rows", None])],
        constants,
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()


def echo(folder: Path, number: int = 0, *, model: bytes | None = None, **changes: Any) -> Bundle:
    """A bundle that answers the column `x` plus number * STEP."""
    numbers = [{"name": "x", "mean": 0.0, "std": 1.0}]
    memory = {"front": {"name": "table", "numbers": numbers, "categories": []}, "mean": 0.0, "std": 1.0}
    manifest = {
        "format": 1,
        "name": "echo",
        "task": "tabular-regression",
        "columns": [{"name": "x", "source": "x", "kind": "number", "missing": False}],
        "answer": "number-value",
    }
    return write_folder(folder, {**manifest, **changes}, model or echo_graph(number), memory)


def register(store: Store, folder: Path, name: str = "echo", lineage: dict[str, Any] | None = None) -> Version:
    """The bundle of this folder as the next version of a name."""
    return Registry(store).register(
        name,
        bundle=store.put_folder(folder),
        data_version="d",
        run="r",
        task="tabular-regression",
        metrics={},
        decision={},
        lineage=lineage or {},
        spec={},
    )


def versions(store: Store, folder: Path, count: int, name: str = "echo") -> list[Version]:
    """So many versions of a name, each with the answers of its number; the first is champion."""
    made = []
    for number in range(1, count + 1):
        echo(folder / f"{name}-{number}", number)
        made.append(register(store, folder / f"{name}-{number}", name))
    Registry(store).promote(name, 1, who="test", why="the first")
    return made
