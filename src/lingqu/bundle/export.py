"""A trained network as an ONNX graph.

Networks go through torch's TorchScript exporter, which writes our small graphs in 0.1 s (the newer one needs 1 to 10 s
for the same graphs). Forests become one TreeEnsembleRegressor node.
"""

from __future__ import annotations

import io
import logging
import warnings
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from onnx import TensorProto, compose, helper, numpy_helper
from torch import nn

from lingqu.data.fronts import RAGGED
from lingqu.models.blend import Blend
from lingqu.models.boosting import Forest

if TYPE_CHECKING:
    from lingqu.contract.task import Arrays

OPSET = 18


class _Named(nn.Module):
    """A network whose inputs come by position, as the exporter hands them."""

    def __init__(self, network: nn.Module, names: list[str]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        return self.network(**dict(zip(self.names, tensors, strict=True)))


def to_onnx(network: nn.Module, example: Arrays, front: str) -> bytes:
    """The network as one ONNX file: inputs named as in `example`, output `logits`, rows (and lengths) free."""
    if isinstance(network, Forest):
        return _forest(network, example)
    if isinstance(network, Blend):
        return _blend(network, example, front)
    names = list(example)
    axes = {name: {0: "rows"} | ({1: "length"} if name in RAGGED.get(front, ()) else {}) for name in names}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The exporter tells of its successor and of traced shapes; parity with torch on real rows is checked instead.
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        torch.onnx.export(
            _Named(network.eval(), names),
            tuple(torch.from_numpy(array) for array in example.values()),
            buffer,  # pyright: ignore[reportArgumentType]  # this exporter takes open files too
            dynamo=False,
            opset_version=OPSET,
            input_names=names,
            output_names=["logits"],
            dynamic_axes={**axes, "logits": {0: "rows"}},
        )
    model = onnx.load_from_string(buffer.getvalue())
    return _finished(model)


def _finished(model: onnx.ModelProto) -> bytes:
    """The checked graph, without the traces of the machine that wrote it."""
    model.doc_string = ""
    for node in model.graph.node:
        node.doc_string = ""
        for key in [*node.metadata_props]:
            node.metadata_props.remove(key)
    model.producer_name, model.producer_version = "lingqu", ""
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def _forest(forest: Forest, example: Arrays) -> bytes:
    """A forest as one TreeEnsembleRegressor on the numbers and the codes side by side (opset ai.onnx.ml 3)."""
    nodes = {name: buffer.numpy() for name, buffer in forest.named_buffers()}
    place = np.arange(len(nodes["feature"]))
    tree = np.searchsorted(nodes["roots"], place, side="right") - 1
    root = nodes["roots"][tree]
    leaf = nodes["left"] == place
    trees = helper.make_node(
        "TreeEnsembleRegressor",
        ["table"],
        ["logits"],
        domain="ai.onnx.ml",
        n_targets=forest.outputs,
        nodes_treeids=tree.tolist(),
        nodes_nodeids=(place - root).tolist(),
        nodes_featureids=nodes["feature"].tolist(),
        nodes_values=nodes["threshold"].tolist(),
        nodes_modes=["LEAF" if is_leaf else "BRANCH_LEQ" for is_leaf in leaf],
        nodes_truenodeids=np.where(leaf, 0, nodes["left"] - root).tolist(),
        nodes_falsenodeids=np.where(leaf, 0, nodes["right"] - root).tolist(),
        nodes_missing_value_tracks_true=nodes["missing_left"].astype(np.int64).tolist(),
        target_treeids=tree[leaf].tolist(),
        target_nodeids=(place - root)[leaf].tolist(),
        target_ids=nodes["tree_class"][tree[leaf]].tolist(),
        target_weights=nodes["value"][leaf].tolist(),
    )
    codes = helper.make_node("Cast", ["codes"], ["codes_as_numbers"], to=TensorProto.FLOAT)
    looked_up, effects, constants = _effects(forest)
    joined = helper.make_node("Concat", ["numbers", "codes_as_numbers", *effects], ["table"], axis=1)
    graph = helper.make_graph(
        [codes, *looked_up, joined, trees],
        "forest",
        [
            helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["rows", example["numbers"].shape[1]]),
            helper.make_tensor_value_info("codes", TensorProto.INT64, ["rows", example["codes"].shape[1]]),
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", forest.outputs])],
        constants,
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", 3)]
    return _finished(helper.make_model(graph, opset_imports=opsets, ir_version=10))


def _effects(forest: Forest) -> tuple[list[onnx.NodeProto], list[str], list[onnx.TensorProto]]:
    """The look-up of the effects of codes, as far as a forest has them: nodes, the name of what they give, constants."""
    if not forest.effects.numel():
        return [], [], []
    width = len(forest.wide) * forest.effects.shape[1]
    arrays = {
        "wide": forest.wide,
        "starts": forest.starts,
        "effects": forest.effects,
        "flat": torch.tensor([-1, width]),
    }
    nodes = [
        helper.make_node("Gather", ["codes", "wide"], ["wide_codes"], axis=1),
        helper.make_node("Add", ["wide_codes", "starts"], ["places"]),
        helper.make_node("Gather", ["effects", "places"], ["found"], axis=0),
        helper.make_node("Reshape", ["found", "flat"], ["effects_of_codes"]),
    ]
    constants = [numpy_helper.from_array(array.numpy(), name) for name, array in arrays.items()]
    return nodes, ["effects_of_codes"], constants


def _blend(blend: Blend, example: Arrays, front: str) -> bytes:
    """A line and a forest on the same inputs, and their weighted average."""
    weight = blend.weight.detach().numpy()
    shares = (("w0", weight), ("w1", 1 - weight))
    constants = [numpy_helper.from_array(share, name) for name, share in shares]
    inputs: list[onnx.ValueInfoProto] = []
    nodes: list[onnx.NodeProto] = []
    for place, part in enumerate((blend.line, blend.forest)):
        model = onnx.load_from_string(to_onnx(part, example, front))
        graph = compose.add_prefix(model, f"part{place}/", rename_inputs=False).graph
        inputs, nodes = [*graph.input], [*nodes, *graph.node]
        constants += graph.initializer
        scores = f"part{place}/logits"
        if blend.classes:
            nodes.append(helper.make_node("LogSoftmax", [scores], [f"log{place}"], axis=1))
            scores = f"log{place}"
        nodes.append(helper.make_node("Mul", [scores, f"w{place}"], [f"share{place}"]))
    nodes.append(helper.make_node("Add", ["share0", "share1"], ["logits"]))
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["rows", blend.forest.outputs])]
    whole = helper.make_graph(nodes, "blend", inputs, outputs, constants)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", 3)]
    return _finished(helper.make_model(whole, opset_imports=opsets, ir_version=10))
