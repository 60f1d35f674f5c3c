"""The first layer of a convolutional network, out of the shipped bundle: its filters, and what they see in a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from lingqu.bundle.read import MODEL
from lingqu.contract import Rows

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle

MOST_FILTERS = 32


def first_layer(bundle: Bundle, rows: Rows) -> dict[str, np.ndarray[Any, Any]] | None:
    """`filters` float32 (F, C, h, w) and `maps` float32 (rows, F, H, W) of the first convolution; None when there is none.

    Both are read out of the graph while it answers these accepted rows, eight-bit weights included.
    """
    if bundle.cascade is not None or not (bundle.path / MODEL).is_file():
        return None
    import onnx

    model = onnx.load(bundle.path / MODEL)
    layer = next((node for node in model.graph.node if node.op_type == "Conv"), None)
    if layer is None:
        return None
    wanted = {"filters": layer.input[1], "maps": layer.output[0]}
    # A weight may be a constant of the graph, which is no output yet; it becomes one under a name of its own.
    names: dict[str, str] = {}
    for role, tensor in wanted.items():
        names[role] = f"lingqu_{role}"
        model.graph.node.append(onnx.helper.make_node("Identity", [tensor], [names[role]]))
        model.graph.output.append(onnx.helper.make_tensor_value_info(names[role], onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    arrays = bundle.task.encode(rows, bundle.memory)
    given = {found.name: arrays[found.name] for found in session.get_inputs()}
    filters, maps = session.run([names["filters"], names["maps"]], given)
    return {"filters": np.asarray(filters)[:MOST_FILTERS], "maps": np.asarray(maps)[:, :MOST_FILTERS]}
