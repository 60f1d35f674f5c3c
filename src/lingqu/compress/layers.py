"""Pairs of layers in a graph with hidden units between them that nothing else reads, so that units can be left out.

    x → [dense or convolution: makes H units] → activation, norm by batch, pooling … → [dense or convolution: reads them]

Such pairs are the hidden layers of a perceptron, the feed-forward parts of a Transformer, and convolutions one after
another. What a residual connection carries is no such pair: its units are read elsewhere too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from lingqu.compress.graph import Graph

if TYPE_CHECKING:
    from lingqu.contract.task import Array

SINGLE = ("Relu", "Erf", "Tanh", "Sigmoid", "Gelu", "Elu", "LeakyRelu", "HardSwish", "Identity", "Clip", "Sqrt", "Cast")
PAIRED = ("Add", "Sub", "Mul", "Div", "Pow")
POOLS = ("MaxPool", "AveragePool")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two layers and what lies between them: `units` are read by `reader` as the tensor `between`.

    A unit is `block` numbers of a dense layer: one for a hidden unit, the width of a head for a head. `reshapes` are nodes
    with a shape that holds however many units are left.
    """

    reader: Any
    between: str
    units: int
    along: list[tuple[str, int]] = field(default_factory=list)
    """The weights that hold one block per unit, each with its axis; the reader's own are not among them."""
    block: int = 1
    reshapes: list[tuple[Any, tuple[int, ...]]] = field(default_factory=list)

    @property
    def is_convolution(self) -> bool:
        """Whether the units are channels."""
        return self.reader.op_type == "Conv"

    def keep(self, graph: Graph, chosen: Array) -> None:
        """Only these units, in everything but the reader's weights."""
        places = (chosen[:, None] * self.block + np.arange(self.block)).ravel()
        for name, axis in self.along:
            value = graph.weight(name)
            assert value is not None
            graph.put(name, np.take(value, places, axis=axis))
        for node, shape in self.reshapes:
            graph.reshape(node, shape)


def settings_of(node: Any) -> dict[str, Any]:
    """The attributes of a node by name."""
    return {found.name: onnx.helper.get_attribute_value(found) for found in node.attribute}


def find_pairs(graph: Graph) -> Iterator[Pair]:
    """Every pair of the graph, from the input on; a weight that more than one node reads belongs to none."""
    for node in graph.nodes:
        found = made(graph, node)
        if found is None:
            continue
        units, along = found
        pair = _follow(graph, node, units, along)
        if pair is not None and all(len(graph.users[name]) == 1 for name, _ in pair.along):
            yield pair


def made(graph: Graph, node: Any) -> tuple[int, list[tuple[str, int]]] | None:
    """How many units a layer makes, and its weights along them; None for what is no such layer."""
    if node.op_type not in ("Gemm", "MatMul", "Conv"):
        return None
    weights, settings = graph.weight(node.input[1]), settings_of(node)
    if weights is None or weights.dtype != np.float32 or settings.get("group", 1) != 1 or settings.get("transA", 0):
        return None
    if node.op_type != "Conv" and weights.ndim != 2:
        return None
    axis = 0 if node.op_type == "Conv" or settings.get("transB", 0) else 1
    along = [(node.input[1], axis)]
    if len(node.input) > 2:
        along.append((node.input[2], 0))
        bias = graph.weight(node.input[2])
        if bias is None or bias.shape != (weights.shape[axis],):
            return None
    return weights.shape[axis], along


def _follow(graph: Graph, maker: Any, units: int, along: list[tuple[str, int]]) -> Pair | None:
    """The pair that begins with this layer; None when its units go anywhere but through one reader."""
    inside, waiting, reader, between = {maker.output[0]}, [maker.output[0]], None, ""
    while waiting:
        name = waiting.pop()
        if graph.is_output(name):
            return None
        for node in graph.users.get(name, []):
            if reads(graph, node, name, units, convolution=maker.op_type == "Conv"):
                if reader is not None:
                    return None
                reader, between = node, name
            elif node.output[0] not in inside:
                more = _passes(graph, node, inside, units, maker.op_type == "Conv")
                if more is None:
                    return None
                along = along + more
                inside.add(node.output[0])
                waiting.append(node.output[0])
    # A product of two tensors inside passes only when both of them were met.
    for name in inside - {maker.output[0]}:
        for given in graph.maker[name].input:
            if given and given not in inside and graph.fixed(given) is None:
                return None
    return None if reader is None else Pair(reader, between, units, along)


def reads(graph: Graph, node: Any, name: str, units: int, *, convolution: bool) -> bool:
    """Whether the node is a layer of the same kind that reads these units."""
    if node.op_type not in (("Conv",) if convolution else ("Gemm", "MatMul")) or node.input[0] != name:
        return False
    weights, settings = graph.weight(node.input[1]), settings_of(node)
    if weights is None or len(graph.users[node.input[1]]) > 1 or settings.get("group", 1) != 1:
        return False
    if settings.get("transA", 0) or settings.get("alpha", 1.0) != 1.0 or settings.get("beta", 1.0) != 1.0:
        return False
    if set(settings.get("dilations", [1])) != {1} or settings.get("auto_pad", b"NOTSET") != b"NOTSET":
        return False
    axis = 1 if convolution or settings.get("transB", 0) else 0
    return weights.ndim >= 2 and weights.shape[axis] == units


def _passes(graph: Graph, node: Any, inside: set[str], units: int, convolution: bool) -> list[tuple[str, int]] | None:
    """The weights along the units of a node that treats each unit alone; None for a node that mixes or reshapes them."""
    fixed = {name: value for name in node.input if (value := graph.fixed(name)) is not None}
    if node.op_type == "BatchNormalization":
        names = list(node.input[1:])
        return [(name, 0) for name in names] if all(graph.weight(name) is not None for name in names) else None
    if node.op_type in SINGLE or (convolution and node.op_type in POOLS):
        return []
    if node.op_type not in PAIRED:
        return None
    vectors = [name for name, value in fixed.items() if value.size > 1]
    # A vector meets the last axis, where the units of dense layers are; those of convolutions are the second.
    if not vectors:
        return []
    suits = not convolution and all(
        graph.weight(name) is not None and fixed[name].shape == (units,) for name in vectors
    )
    return [(name, 0) for name in vectors] if suits else None
