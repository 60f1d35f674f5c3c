"""The last dense layer fitted again on the features of the eight-bit body: what rounding spoiled, mended in closed form.

With F the features of the int8 network on training rows and L the logits of the float32 one, the layer W, b becomes
W + D, b + c with

    D, c = argmin |F D + 1 c - (L - F W - 1 b)|² + s n |D|²  =  (F₀ᵀF₀ + s n I)⁻¹ F₀ᵀ R₀

where F₀ and R₀ are F and what is left to explain, each without its mean. The strength s is chosen on training rows that
this fit has not seen. Source: Hoerl and Kennard 1970 (ridge regression); Ba and Caruana 2014, "Do Deep Nets Really Need
to be Deep?" (logits of a better network as targets).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lingqu.bundle.read import Bundle
from lingqu.compress.comparison import SEEN, Comparison, compare
from lingqu.compress.graph import Graph, Head, find_head
from lingqu.compress.quantise import rewritten
from lingqu.contract import LabelScores, LabelSet, Rows

if TYPE_CHECKING:
    from lingqu.contract.task import Array

METHOD = "head refit"
NO_HEAD = "no dense layer of the model's own gives its logits"
ROWS = 2000
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def refit_head(bundle: Bundle, folder: Path, *, teacher: Bundle, train: Rows, valid: Rows) -> Comparison:
    """Write the bundle with its head fitted again to `folder`; kept only when validation rows are predicted better.

    `teacher` is the bundle before it was quantised.
    """
    graph = Graph.of(bundle)
    if not mend_head(graph, teacher, train.take(range(0, len(train), max(1, -(-len(train) // ROWS))))):
        return Comparison(METHOD, False, NO_HEAD)
    after = rewritten(bundle, folder, graph.bytes(), valid=valid)
    found = compare(bundle, after, valid, METHOD)
    first, second = found.score_before, found.score_after
    measure = "log loss" if bundle.task.answer in (LabelScores, LabelSet) else "mean error"
    told = f"{measure} on validation rows {first:.4f} before, {second:.4f} after"
    if found.p is not None and found.p < SEEN:
        return found
    kept = second < first and found.loss_after <= found.loss_before
    return replace(found, kept=kept, why=told)


def has_head(bundle: Bundle) -> bool:
    """Whether a dense layer of the model's own gives its logits."""
    head = find_head(Graph.of(bundle))
    return head is not None and head.bias_name is not None


def mend_head(graph: Graph, teacher: Bundle, rows: Rows) -> bool:
    """Fit the last dense layer of the graph to the teacher's logits on these rows; False when it has none."""
    head = find_head(graph)
    if head is None or head.bias_name is None:
        return False
    # Both encode alike: a graph that is compressed reads what its teacher reads.
    features = np.concatenate([found for (found,) in graph.watch([head.features], teacher, rows)])
    if features.ndim != 2:
        return False
    wanted = teacher.outputs(rows)["logits"]
    head.put(graph, *_fitted(features.astype(np.float64), wanted.astype(np.float64), head))
    return True


def _fitted(features: Array, wanted: Array, head: Head) -> tuple[Array, Array]:
    """Weights (D, K) and bias (K,) at the strength that is best on every fifth row, fitted on all rows."""
    left = wanted - features @ head.weights - head.bias
    out = np.arange(len(features)) % 5 == 4

    def missed(strength: float) -> float:
        weights, bias = _ridge(features[~out], left[~out], strength)
        return float(np.square(features[out] @ weights + bias - left[out]).mean())

    weights, bias = _ridge(features, left, min(STRENGTHS, key=missed))
    return head.weights + weights, head.bias + bias


def _ridge(features: Array, targets: Array, strength: float) -> tuple[Array, Array]:
    """The ridge solution; the strength counts in units of the features' mean variance."""
    middle, mean = features.mean(axis=0), targets.mean(axis=0)
    centred = features - middle
    gram = centred.T @ centred / len(features)
    # All features the same (a dead layer) leaves nothing to invert.
    unit = max(float(np.trace(gram)) / len(gram), 1e-12)
    weights = np.linalg.solve(gram + strength * unit * np.eye(len(gram)), centred.T @ (targets - mean) / len(features))
    return weights, mean - middle @ weights
