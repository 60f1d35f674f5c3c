"""Read and change the graph of a bundle: what feeds what, the tensors that are fixed, and the last dense layer.

All that compression changes, it changes here, in the ONNX graph: it works for every family, and for those of a team.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from lingqu.bundle.read import LOGITS, Bundle
from lingqu.bundle.trust import MODEL
from lingqu.contract import Rows

if TYPE_CHECKING:
    from lingqu.contract.task import Array

BATCH = 64


class Graph:
    """An ONNX graph with its edges both ways; `fixed` holds the tensors that do not depend on the input, by name."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        _give_each_its_own(model)
        self.nodes: list[Any] = list(model.graph.node)
        self.maker: dict[str, Any] = {name: node for node in self.nodes for name in node.output}
        self.users: dict[str, list[Any]] = {}
        for node in self.nodes:
            for name in node.input:
                self.users.setdefault(name, []).append(node)
        self._initial: dict[str, Any] = {tensor.name: tensor for tensor in model.graph.initializer}
        self._constant: dict[str, Any] = {
            node.output[0]: node.attribute[0].t
            for node in self.nodes
            if node.op_type == "Constant" and node.attribute[0].name == "value"
        }

    @classmethod
    def of(cls, bundle: Bundle) -> Graph:
        """The graph of a bundle, as its file holds it."""
        return cls(onnx.load(bundle.path / MODEL))

    def fixed(self, name: str) -> Array | None:
        """The value of a tensor that is fixed, None for one that is computed."""
        found = self._initial.get(name)
        found = self._constant.get(name) if found is None else found
        return None if found is None else numpy_helper.to_array(found)

    def weight(self, name: str) -> Array | None:
        """The value of a weight; None for what is computed, or a constant of the graph."""
        found = self._initial.get(name)
        return None if found is None else numpy_helper.to_array(found)

    def put(self, name: str, value: Array) -> None:
        """A weight with a new value, of any shape."""
        self._initial[name].CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value), name))

    def reshape(self, node: Any, shape: Sequence[int]) -> None:
        """A Reshape node with another shape, in the words of ONNX: 0 keeps an axis, -1 is what is left."""
        name = f"{node.output[0]}_shape"
        self.model.graph.initializer.append(numpy_helper.from_array(np.array(shape, np.int64), name))
        node.input[1] = name

    def is_output(self, name: str) -> bool:
        """Whether the tensor is what the graph gives."""
        return any(found.name == name for found in self.model.graph.output)

    def bytes(self) -> bytes:
        """The checked graph as it is now, without shapes that were noted down before."""
        del self.model.graph.value_info[:]
        onnx.checker.check_model(self.model, full_check=True)
        return self.model.SerializeToString(deterministic=True)

    def watch(self, names: list[str], bundle: Bundle, rows: Rows) -> Iterator[tuple[Array, ...]]:
        """The values of these tensors for the rows, batch by batch; rows of about one length share a batch."""
        watched = onnx.ModelProto()
        watched.CopyFrom(self.model)
        del watched.graph.output[:]
        watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
        inputs = [found.name for found in session.get_inputs()]
        for batch in rows.batches(BATCH):
            arrays = bundle.task.encode(batch, bundle.memory)
            found = session.run(names, {name: arrays[name] for name in inputs})
            yield tuple(np.asarray(value) for value in found)


def _give_each_its_own(model: onnx.ModelProto) -> None:
    """Vectors that are equal are written once, and the others are pointers to them (Identity): each its own again."""
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in [*model.graph.node]:
        if node.op_type == "Identity" and node.input[0] in held and len(held[node.input[0]].dims) == 1:
            own = model.graph.initializer.add()
            own.CopyFrom(held[node.input[0]])
            own.name = node.output[0]
            model.graph.node.remove(node)


@dataclass(frozen=True, slots=True)
class Head:
    """The dense layer that gives the logits: logits = features @ weights + bias.

    `weights` (D, K) and `bias` (K,) are its values, `features` the name of the tensor that it reads.
    """

    features: str
    node: Any
    weights_name: str
    bias_name: str | None
    turned: bool
    """Whether the graph holds the weights as (K, D)."""
    weights: Array
    bias: Array

    def put(self, graph: Graph, weights: Array, bias: Array) -> None:
        """The layer with other weights, and another bias where it has one."""
        graph.put(self.weights_name, (weights.T if self.turned else weights).astype(np.float32))
        if self.bias_name is not None:
            graph.put(self.bias_name, bias.astype(np.float32))


def find_head(graph: Graph) -> Head | None:
    """The last dense layer; None when the logits come from anything else (a forest, a table of n-grams)."""
    last = graph.maker.get(LOGITS)
    if last is None:
        return None
    bias_name = None
    if last.op_type == "Add":
        sides = [(own, other) for own, other in (tuple(last.input), tuple(last.input)[::-1]) if own in graph.maker]
        product = next((own for own, other in sides if graph.weight(other) is not None), None)
        if product is None:
            return None
        bias_name = next(other for own, other in sides if own == product)
        last = graph.maker[product]
    if last.op_type not in ("MatMul", "Gemm") or (last.op_type == "Gemm" and bias_name is not None):
        return None
    settings = {found.name: onnx.helper.get_attribute_value(found) for found in last.attribute}
    if settings.get("transA", 0) or settings.get("alpha", 1.0) != 1.0 or settings.get("beta", 1.0) != 1.0:
        return None
    weights = graph.weight(last.input[1])
    if weights is None or weights.ndim != 2 or weights.dtype != np.float32:
        return None
    if last.op_type == "Gemm" and len(last.input) > 2:
        bias_name = last.input[2]
    turned = bool(settings.get("transB", 0))
    weights = weights.T if turned else weights
    bias = None if bias_name is None else graph.weight(bias_name)
    if bias_name is not None and (bias is None or bias.shape != (weights.shape[1],)):
        return None
    bias = np.zeros(weights.shape[1], np.float32) if bias is None else bias
    return Head(last.input[0], last, last.input[1], bias_name, turned, weights, bias)
