"""The heads of attention in a graph, so that whole heads can be left out.

    x → [queries] → (B, T, H · d) → (B, H, T, d) ─┐
    x → [keys]    → …                            ─┴→ scores + mask → softmax ─┐
    x → [values]  → …                                                        ─┴→ (B, H, T, d) → (B, T, H · d) → [reader]

A head is d columns of the three layers that make it, and d rows of the one that reads it. Which heads are needed least, and
what the others take over from them, `lingqu.compress.prune` finds as it does for hidden units. Graphs write the number of
heads into shapes; those are written anew with -1 in its place, which means whatever is left.
Source: Michel, Levy and Neubig 2019, "Are Sixteen Heads Really Better than One?", arXiv 1905.10650.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lingqu.bundle.read import Bundle
from lingqu.compress.graph import Graph
from lingqu.compress.layers import Pair, made, reads, settings_of
from lingqu.contract import Rows

if TYPE_CHECKING:
    from lingqu.contract.task import Array

QUERIES, KEYS = (0, 2, 1, 3), (0, 2, 3, 1)
"""How (B, T, H, d) is turned: to (B, H, T, d), and to (B, H, d, T)."""
SPLIT, SAME, MERGED = (0, 0, -1, None), (0, -1, 0, 0), (0, 0, -1)
"""Shapes in which only the number of heads may change: 0 is as it was, None the width of a head."""
SCORES = ("Add", "Sub", "Mul", "Div")

Shape = tuple[int | None, ...]


@dataclass(slots=True)
class _Way:
    """What lies between a layer and its heads.

    `along` are the weights along the heads, `reshapes` the nodes whose shapes are written anew, `axes` the tensors on the
    way, each with the axis of its heads.
    """

    units: int = 0
    along: list[tuple[str, int]] = field(default_factory=list)
    reshapes: list[tuple[Any, Shape]] = field(default_factory=list)
    axes: dict[str, int] = field(default_factory=dict)


def find_heads(graph: Graph, bundle: Bundle, rows: Rows) -> Iterator[Pair]:
    """The heads of each attention layer whose heads nothing else reads, from the input on; some rows tell how wide they are."""
    for node in graph.nodes:
        if node.op_type == "Softmax":
            found = _heads(graph, node, bundle, rows)
            if found is not None:
                yield found


def _heads(graph: Graph, softmax: Any, bundle: Bundle, rows: Rows) -> Pair | None:
    mixing = _user(graph, softmax.output[0])
    scoring, beside = _scoring(graph, softmax.input[0])
    if mixing is None or scoring is None or mixing.op_type != "MatMul" or mixing.input[0] != softmax.output[0]:
        return None
    sides = ((scoring.input[0], QUERIES), (scoring.input[1], KEYS), (mixing.input[1], QUERIES))
    ways = [way for name, turned in sides if (way := _up(graph, name, turned)) is not None]
    reader, below = _down(graph, mixing.output[0])
    if len(ways) < len(sides) or reader is None:
        return None
    units = {way.units for way in ways}
    width = _width(graph, reader)
    whole = [*ways, below]
    along = [entry for way in whole for entry in way.along]
    if units != {width} or any(len(graph.users[name]) > 1 for name, _ in along):
        return None
    if not all(_unasked(graph, name, axis) for way in whole for name, axis in way.axes.items()):
        return None
    heads = _probe(graph, scoring.input[0], beside, bundle, rows)
    if not heads or width % heads:
        return None
    each = width // heads
    reshapes = [
        (node, tuple(each if size is None else size for size in shape)) for way in whole for node, shape in way.reshapes
    ]
    return Pair(reader, reader.input[0], heads, along, block=each, reshapes=reshapes)


def _user(graph: Graph, name: str) -> Any:
    """The one node that computes with a tensor, None for several; to ask for its shape is not to compute with it."""
    users = [node for node in graph.users.get(name, []) if node.op_type != "Shape"]
    return users[0] if len(users) == 1 and not graph.is_output(name) else None


def _scoring(graph: Graph, name: str) -> tuple[Any, list[str]]:
    """The product of queries and keys behind a softmax, and what meets it on the way (a scale, a mask)."""
    beside: list[str] = []
    while (node := graph.maker.get(name)) is not None and _user(graph, name) is not None:
        if node.op_type == "MatMul":
            return (node if graph.fixed(node.input[1]) is None else None), beside
        product = [given for given in node.input if _is_product(graph, given)]
        if node.op_type not in SCORES or len(product) != 1:
            break
        beside += [given for given in node.input if given != product[0]]
        name = product[0]
    return None, beside


def _is_product(graph: Graph, name: str) -> bool:
    """Whether a tensor is a product of two computed ones, with nothing but scales and masks behind it."""
    node = graph.maker.get(name)
    if node is None or graph.fixed(name) is not None:
        return False
    if node.op_type == "MatMul":
        return graph.fixed(node.input[1]) is None
    return node.op_type in SCORES and any(_is_product(graph, given) for given in node.input)


def _up(graph: Graph, name: str, wanted: tuple[int, ...]) -> _Way | None:
    """From heads up to the layer that makes them: through a scale, turns, the split and a bias; None for any other way."""
    way, turn = _Way(), (0, 1, 2, 3)
    while (node := graph.maker.get(name)) is not None and _user(graph, name) is not None:
        way.axes[name] = turn[1]
        if node.op_type in ("Mul", "Div"):
            scaled = [given for given in node.input if (value := graph.fixed(given)) is None or value.size > 1]
            if len(scaled) != 1:
                return None
            name = scaled[0]
        elif node.op_type == "Transpose":
            perm = settings_of(node)["perm"]
            turn = tuple(perm[place] for place in turn)
            name = node.input[0]
        elif node.op_type == "Reshape" and turn == wanted:
            way.reshapes.append((node, SPLIT))
            return _layer(graph, node.input[0], way)
        else:
            return None
    return None


def _layer(graph: Graph, name: str, way: _Way) -> _Way | None:
    """The way with the layer that makes this tensor (B, T, H · d), and its bias."""
    node = graph.maker.get(name)
    way.axes[name] = 2
    if node is None or _user(graph, name) is None:
        return None
    bias = [given for given in node.input if graph.weight(given) is not None] if node.op_type == "Add" else []
    if bias:
        name = next(given for given in node.input if given != bias[0])
        node = graph.maker.get(name)
        way.axes[name] = 2
    found = made(graph, node) if node is not None and node.op_type == "MatMul" and _user(graph, name) else None
    if found is None:
        return None
    way.units, way.along = found
    if bias:
        value = graph.weight(bias[0])
        if value is None or value.shape != (way.units,):
            return None
        way.along = [*way.along, (bias[0], 0)]
    return way


def _down(graph: Graph, name: str) -> tuple[Any, _Way]:
    """From mixed heads (B, H, T, d) down to the layer that reads them side by side; no layer for any other way."""
    way, turned = _Way(), False
    while (node := _user(graph, name)) is not None:
        way.axes[name] = 2 if turned else 1
        if node.op_type == "Transpose" and not turned and tuple(settings_of(node)["perm"]) == QUERIES:
            turned = True
        elif node.op_type == "Reshape" and name == node.input[0]:
            way.reshapes.append((node, MERGED if turned else SAME))
            if turned:
                reader, merged = _user(graph, node.output[0]), node.output[0]
                way.axes[merged] = 2
                width = _width(graph, reader) if reader is not None else 0
                return (reader if width and reads(graph, reader, merged, width, convolution=False) else None), way
        else:
            break
        name = node.output[0]
    return None, way


def _width(graph: Graph, reader: Any) -> int:
    """How many numbers a dense layer reads; 0 for what is no such layer."""
    weights: Array | None = graph.weight(reader.input[1]) if reader.op_type in ("MatMul", "Gemm") else None
    if weights is None or weights.ndim != 2:
        return 0
    return weights.shape[1 if settings_of(reader).get("transB", 0) else 0]


def _unasked(graph: Graph, name: str, axis: int) -> bool:
    """Whether nobody asks how many heads a tensor has: its shape is asked only for other axes."""
    for node in graph.users.get(name, []):
        if node.op_type != "Shape":
            continue
        for asking in graph.users.get(node.output[0], []):
            place = graph.fixed(asking.input[1]) if asking.op_type == "Gather" else None
            if place is None or place.size != 1 or int(place.ravel()[0]) in (axis, axis - 4, axis - 3):
                return False
    return True


def _probe(graph: Graph, queries: str, beside: list[str], bundle: Bundle, rows: Rows) -> int:
    """How many heads there are, by two rows; 0 where what meets the scores is not the same for all of them."""
    computed = [name for name in beside if graph.fixed(name) is None]
    found = next(graph.watch([queries, *computed], bundle, rows.take(range(min(2, len(rows))))))
    known = [value for name in beside if (value := graph.fixed(name)) is not None]
    alike = all(value.ndim < 3 or value.shape[-3] == 1 for value in (*found[1:], *known))
    return int(found[0].shape[1]) if alike else 0
