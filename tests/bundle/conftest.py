"""A bundle made by hand, by the writer that training uses: few bytes, any graph, any memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

from lingqu.bundle.folder import write_folder
from lingqu.bundle.read import Bundle

Make = Callable[..., Bundle]


def graph(
    operator: str = "Log",
    given: str = "numbers",
    gives: str = "logits",
    kind: int = TensorProto.FLOAT,
    **attributes: Any,
) -> bytes:
    """One operator from one input (rows, 1) to one output."""
    made = helper.make_graph(
        [helper.make_node(operator, [given], [gives], **attributes)],
        "small",
        [helper.make_tensor_value_info(given, TensorProto.FLOAT, ["rows", 1])],
        [helper.make_tensor_value_info(gives, kind, ["rows", None])],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return model.SerializeToString()


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A bundle that answers the logarithm of the column `x`: 0 and below have none."""

    def made(model: bytes | None = None, **changes: Any) -> Bundle:
        numbers = [{"name": "x", "mean": 0.0, "std": 1.0}]
        memory = {"front": {"name": "table", "numbers": numbers, "categories": []}, "mean": 0.0, "std": 1.0}
        manifest = {
            "format": 1,
            "task": "tabular-regression",
            "columns": [{"name": "x", "source": "x", "kind": "number", "missing": False}],
            "answer": "number-value",
        }
        folder = tmp_path / "bundle"
        folder.mkdir(exist_ok=True)
        return write_folder(folder, {**manifest, **changes}, model or graph(), memory)

    return made
