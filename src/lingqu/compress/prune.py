"""Fewer hidden units, channels and heads of attention: the least needed go, and the next layer is mended in closed form.

A layer reads units X as X W. When unit q is left out, the other rows of W can take over what they share with it. With
H = XᵀX over training rows, the least that the layer's answer must change by, and the mended weights, are

    cost(q) = |W_q|² / [H⁻¹]_qq,        W ← W - H⁻¹_{·q} W_q / [H⁻¹]_qq

(for a channel of a convolution, q is the block of its k × k rows, for a head that of the numbers it gives). The cheapest unit goes, H⁻¹ is updated, and so on. At last the
layer that gives the logits is fitted again. No training is needed: whole units are gone, so that the graph is smaller and quicker on any machine.
Source: Hassibi and Stork 1993, "Second Order Derivatives for Network Pruning: Optimal Brain Surgeon"; Kurtic et al. 2023,
"ZipLM: Inference-Aware Structured Pruning of Language Models"; He et al. 2017, arXiv 1707.06168 (channels, least squares).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lingqu.bundle.read import Bundle
from lingqu.compress.attention import find_heads
from lingqu.compress.comparison import Comparison, compare
from lingqu.compress.graph import Graph
from lingqu.compress.head import mend_head
from lingqu.compress.layers import Pair, find_pairs, settings_of
from lingqu.compress.quantise import rewritten
from lingqu.contract import Rows

if TYPE_CHECKING:
    from lingqu.contract.task import Array

METHOD, HEADS = "prune", "prune heads"
ROWS = 512
POSITIONS = 20_000
"""Words or places in a picture that speak for a layer: a multiple of the largest layers' width."""
EVEN_UNITS, EVEN_CHANNELS = 8, 16
"""Widths are multiples of these: ONNX Runtime computes other numbers of channels more slowly than the whole layer."""
DAMPED = 1e-4


def prune(bundle: Bundle, folder: Path, *, share: float, train: Rows, valid: Rows) -> Comparison:
    """Write the bundle without this share of its hidden units to `folder`; kept when it is smaller and a test sees no cost."""
    return _prune(bundle, folder, METHOD, "hidden units", share=share, train=train, valid=valid)


def prune_heads(bundle: Bundle, folder: Path, *, share: float, train: Rows, valid: Rows) -> Comparison:
    """Write the bundle without this share of its heads of attention to `folder`; kept as `prune` is."""
    return _prune(bundle, folder, HEADS, "heads of attention", share=share, train=train, valid=valid)


def has_heads(bundle: Bundle) -> bool:
    """Whether anything in the model pays attention, so that there may be heads."""
    return any(node.op_type == "Softmax" for node in Graph.of(bundle).nodes)


def _prune(
    bundle: Bundle, folder: Path, method: str, what: str, *, share: float, train: Rows, valid: Rows
) -> Comparison:
    graph = Graph.of(bundle)
    sample = train.take(range(0, len(train), max(1, -(-len(train) // ROWS))))
    layers = dropped = units = 0
    for pair in find_pairs(graph) if method == METHOD else find_heads(graph, bundle, sample):
        even = EVEN_CHANNELS if pair.is_convolution else EVEN_UNITS if pair.block == 1 else 1
        kept = max(1, min(pair.units, -(-round(pair.units * (1 - share)) // even) * even))
        if kept < pair.units:
            _prune_pair(graph, pair, kept, bundle, sample)
            layers, dropped, units = layers + 1, dropped + pair.units - kept, units + pair.units
    if not layers:
        return Comparison(method, False, f"no layer of this model has {what} to spare")
    mend_head(graph, bundle, sample)
    after = rewritten(bundle, folder, graph.bytes(), valid=valid)
    found = compare(bundle, after, valid, method)
    return replace(found, why=f"{found.why}; {dropped} of {units} {what} in {layers} layers left out")


def _prune_pair(graph: Graph, pair: Pair, kept: int, bundle: Bundle, rows: Rows) -> None:
    """Leave units of one pair out, and mend the layer that reads them."""
    reader, settings = pair.reader, settings_of(pair.reader)
    stored = graph.weight(reader.input[1])
    assert stored is not None
    gram = _gram(graph, pair, stored.shape[2:], bundle, rows)
    bias_name = _bias(graph, reader)
    block = stored[0, 0].size if pair.is_convolution else pair.block
    # Units first, then the numbers they are multiplied by: (units · block, outputs), and the bias as the row of a unit
    # that is always 1.
    turned = pair.is_convolution or bool(settings.get("transB", 0))
    weights = np.moveaxis(stored, 0, -1).reshape(pair.units * block, -1) if turned else stored
    bias = graph.weight(bias_name) if bias_name else None
    if bias is None:
        gram = gram[:-1, :-1]
    mended = np.vstack([weights, *([] if bias is None else [bias[None]])]).astype(np.float64)
    chosen = surgeon(gram, mended, block, pair.units, kept)
    places = (chosen[:, None] * block + np.arange(block)).ravel()
    new = mended[places].reshape(-1, *np.moveaxis(stored, 0, -1).shape[1:]) if turned else mended[places]
    graph.put(reader.input[1], (np.moveaxis(new, -1, 0) if turned else new).astype(np.float32))
    if bias is not None and bias_name:
        graph.put(bias_name, mended[-1].astype(np.float32))
    pair.keep(graph, chosen)


def surgeon(gram: Array, weights: Array, block: int, units: int, kept: int) -> Array:
    """The units to keep, in order, int64 (kept,); `weights` (units · block [+ 1], outputs) are mended in place.

    `gram` is XᵀX over rows, (units · block [+ 1])²; a last row beyond the units is the bias, which is never left out.

    >>> inputs = np.array([[1.0, 1.0, 0.0], [2.0, 2.0, 1.0], [0.5, 0.5, 3.0]])  # the second unit repeats the first
    >>> weights = np.array([[1.0], [3.0], [1.0]])
    >>> surgeon(inputs.T @ inputs, weights, 1, 3, 2).tolist(), weights.round(1).tolist()
    ([1, 2], [[0.0], [4.0], [1.0]])
    """
    unit = float(np.trace(gram)) / len(gram)
    inverse = np.linalg.inv(gram + DAMPED * max(unit, 1e-12) * np.eye(len(gram)))
    alive = np.ones(units, bool)
    places = np.arange(units * block).reshape(units, block)
    for _ in range(units - kept):
        left = places[alive]  # (U, b)
        own = np.linalg.inv(inverse[left[:, :, None], left[:, None, :]])  # (U, b, b)
        rows = weights[left]  # (U, b, O)
        costs = np.einsum("ubo,ubc,uco->u", rows, own, rows, optimize=True)
        least = int(np.argmin(costs))
        out = left[least]
        shared = inverse[:, out] @ own[least]  # (N, b)
        weights -= shared @ weights[out]
        inverse -= shared @ inverse[out]
        weights[out] = 0.0
        alive[np.flatnonzero(alive)[least]] = False
    return np.flatnonzero(alive)


def _gram(graph: Graph, pair: Pair, kernel: tuple[int, ...], bundle: Bundle, rows: Rows) -> Array:
    """XᵀX of what the reader reads, with a last column of ones, by the number of rows; float64."""
    total, count = None, 0
    for (values,) in graph.watch([pair.between], bundle, rows):
        if pair.is_convolution:
            inputs = _patches(values, settings_of(pair.reader), kernel, len(rows))
        else:
            inputs = values.reshape(-1, pair.units * pair.block)
            inputs = inputs[:: max(1, len(inputs) * len(rows) // (len(values) * POSITIONS))]
        inputs = np.hstack([inputs, np.ones((len(inputs), 1), np.float32)])
        product = (inputs.T @ inputs).astype(np.float64)
        total, count = product if total is None else total + product, count + len(inputs)
    assert total is not None
    return total / count


def _patches(values: Array, settings: dict[str, Any], kernel: tuple[int, ...], rows: int) -> Array:
    """What each output of a convolution sees, (places, channels · k · k); not every place, for neighbours say the same."""
    top, left, bottom, right = settings.get("pads", [0, 0, 0, 0])
    padded = np.pad(values, ((0, 0), (0, 0), (top, bottom), (left, right)))
    down, across = settings.get("strides", [1, 1])
    seen = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=(2, 3))[:, :, ::down, ::across]
    each = int(np.ceil(np.sqrt(max(1.0, seen.shape[2] * seen.shape[3] * rows / POSITIONS))))
    # (B, C, H, W, k, k) to (B · H · W, C · k · k)
    seen = seen[:, :, each // 2 :: each, each // 2 :: each].transpose(0, 2, 3, 1, 4, 5)
    return seen.reshape(-1, values.shape[1] * int(np.prod(kernel)))


def _bias(graph: Graph, reader: Any) -> str | None:
    """The name of the reader's bias: its own, or that of the sum that alone follows it."""
    if len(reader.input) > 2:
        return reader.input[2]
    users = graph.users.get(reader.output[0], [])
    if reader.op_type != "MatMul" or len(users) != 1 or users[0].op_type != "Add":
        return None
    outputs = graph.weight(reader.input[1])
    for name in users[0].input:
        value = graph.weight(name)
        if value is not None and outputs is not None and value.shape == outputs.shape[1:]:
            return name if len(graph.users[name]) == 1 else None
    return None
