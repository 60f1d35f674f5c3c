"""Logistic and linear regression: the model that every other one has to beat, and the easiest to explain.

    scores = x W + Σ_q max(0, x - t_q) V_q + m M + Σ_j C_j[code_j] + b

with x the standardised numbers (0 where missing), t_q some of their quantiles, m their missing marks and C_j a weight per
category. At t_q the line may bend: each column adds a piecewise linear curve, a linear spline, that can be drawn
(`curves` gives its points), and still nothing but a linear model is fitted. For pictures x is every pixel, standardised by its channel. Fitted to the end by scikit-learn
with an L2 penalty. Sources: Cox 1958, "The Regression Analysis of Binary Sequences"; Hoerl and Kennard 1970, "Ridge
Regression"; Hastie and Tibshirani 1986, "Generalized Additive Models" (a curve per column).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from lingqu.models.closed_form import Line, by_folds, fit_logistic, fit_ridge, quiet
from lingqu.models.dials import Between, OneOf
from lingqu.models.family import Examples, Facts, Family, Fitted, Settings, Tell

if TYPE_CHECKING:
    from lingqu.contract.task import Array


FOLDED = (50, 2000)
"""With so many training rows, folds of them choose the strength: validation rows are then too few."""


class TableLinear(nn.Module):
    """One linear layer on numbers, their bends, missing marks and categories.

    >>> network = TableLinear(numbers=2, cardinalities=[3], outputs=2, knots=4)
    >>> network(numbers=torch.tensor([[0.5, float("nan")]]), codes=torch.tensor([[1]])).shape
    torch.Size([1, 2])
    """

    offsets: Tensor

    def __init__(self, numbers: int, cardinalities: list[int], outputs: int, knots: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(numbers, outputs))  # (N, K)
        self.knots = nn.Parameter(torch.zeros(numbers, knots))  # (N, Q): where each column's line may bend
        self.bends = nn.Parameter(torch.zeros(numbers * knots, outputs))  # (N·Q, K)
        self.missing = nn.Parameter(torch.zeros(numbers, outputs))  # (N, K)
        # All categories share one table; the codes of column j start at row offsets[j].
        self.table = nn.Parameter(torch.zeros(sum(cardinalities), outputs))  # (C, K)
        self.bias = nn.Parameter(torch.zeros(outputs))  # (K,)
        starts = np.concatenate([[0], np.cumsum(cardinalities)[:-1]]) if cardinalities else np.zeros(0)
        self.register_buffer("offsets", torch.from_numpy(starts.astype(np.int64)), persistent=False)

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """`numbers` float32 (B, N) with NaN where missing, `codes` int64 (B, M); scores (B, K)."""
        absent = torch.isnan(numbers)  # (B, N)
        filled = torch.where(absent, torch.zeros_like(numbers), numbers)  # (B, N)
        scores = filled @ self.weight + absent.to(filled.dtype) @ self.missing + self.bias  # (B, K)
        if self.knots.numel():
            beyond = (filled.unsqueeze(2) - self.knots).clamp(min=0)  # (B, N, Q): how far past each knot
            scores = scores + beyond.flatten(1) @ self.bends
        if len(self.offsets):
            scores = scores + self.table[codes + self.offsets].sum(1)  # (B, M, K) summed over M
        return scores


class PixelLinear(nn.Module):
    """One linear layer on standardised pixels.

    >>> network = PixelLinear(shape=(1, 2, 2), mean=[0.5], std=[0.25], outputs=3)
    >>> network(pixels=torch.zeros(1, 1, 2, 2, dtype=torch.uint8)).shape
    torch.Size([1, 3])
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, shape: tuple[int, int, int], mean: list[float], std: list[float], outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(int(np.prod(shape)), outputs))  # (C·H·W, K)
        self.bias = nn.Parameter(torch.zeros(outputs))  # (K,)
        self.register_buffer("mean", 255 * torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("scale", 1 / (255 * torch.tensor(std).view(1, -1, 1, 1)), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """`pixels` uint8 (B, C, H, W); scores (B, K)."""
        return ((pixels.float() - self.mean) * self.scale).flatten(1) @ self.weight + self.bias


def build(facts: Facts, settings: Settings) -> TableLinear | PixelLinear:
    """The network for this front, with nothing learned yet."""
    front = facts.front
    if front["name"] == "pixels":
        shape = (front["channels"], front["height"], front["width"])
        return PixelLinear(shape, front["mean"], front["std"], facts.outputs)
    return TableLinear(len(front["numbers"]), front["cardinalities"], facts.outputs, settings["knots"])


def fit(
    train: Examples, valid: Examples, facts: Facts, settings: Settings, *, seed: int, threads: int, tell: Tell
) -> Fitted:
    """Logistic regression for labels, ridge regression for numbers."""
    network = build(facts, settings)
    if isinstance(network, PixelLinear):
        inputs, valid_inputs = _pixel_design(train, facts), _pixel_design(valid, facts)
    else:
        knots = _quantiles(cast("Array", train.arrays["numbers"]), settings["knots"])
        inputs, valid_inputs = _table_design(train, facts, knots), _table_design(valid, facts, knots)
        network.knots.data = torch.from_numpy(knots)
    line = _line(inputs, train.targets, valid_inputs, valid.targets, facts, settings, seed, threads, tell)
    _fill(network, line)
    return Fitted(network, {**settings, "strengths": [line.strength]})


def curves(network: nn.Module, front: Mapping[str, Any], points: int = 25) -> dict[str, tuple[list[Any], Array]]:
    """What each column of a table adds to the scores: its values, and the scores for them (values, K).

    A number's values lie from three deviations below its mean to three above, in the units of the data; a category's
    are its names, None first for missing or unknown. The whole score of a row is the sum over its columns, the weight of
    its missing marks and the bias, so these curves are the model and no approximation of it. `front` is the memory of
    the table front; ValueError for a network that is no TableLinear.

    >>> front = {"name": "table", "numbers": [{"name": "age", "mean": 40.0, "std": 10.0}],
    ...     "categories": [{"name": "job", "values": ["chef"]}], "cardinalities": [2]}
    >>> network = TableLinear(numbers=1, cardinalities=[2], outputs=1, knots=1)
    >>> _ = network.weight.data.fill_(0.5), network.bends.data.fill_(-1.0)  # rises up to the mean, then falls
    >>> found = curves(network, front, points=3)
    >>> found["age"][0], found["age"][1][:, 0].tolist(), found["job"][0]
    ([10.0, 40.0, 70.0], [-1.5, 0.0, -1.5], [None, 'chef'])
    """
    if not isinstance(network, TableLinear):
        raise ValueError(f"a network of one curve a column is a TableLinear, not a {type(network).__name__}")
    found: dict[str, tuple[list[Any], Array]] = {}
    x = torch.linspace(-3, 3, points)  # deviations from the mean
    bends = network.bends.detach().reshape(*network.knots.shape, -1)  # (N, Q, K)
    for place, told in enumerate(front["numbers"]):
        beyond = (x.unsqueeze(1) - network.knots[place].detach()).clamp(min=0)  # (P, Q)
        scores = x.unsqueeze(1) * network.weight[place].detach() + beyond @ bends[place]  # (P, K)
        found[told["name"]] = ((x.double() * told["std"] + told["mean"]).tolist(), scores.numpy())
    for place, told in enumerate(front["categories"]):
        start = int(network.offsets[place])
        table = network.table.detach()[start : start + len(told["values"]) + 1]
        found[told["name"]] = ([None, *told["values"]], table.numpy())
    return found


def _line(  # noqa: PLR0917
    inputs: Any,
    targets: Array,
    valid_inputs: Any,
    valid_targets: Array,
    facts: Facts,
    settings: Settings,
    seed: int,
    threads: int,
    tell: Tell,
) -> Line:
    """The best line along the path of strengths; of few rows, folds of the training rows choose the strength."""

    def fitted(a: Any, b: Array, c: Any, d: Array, strengths: Sequence[float], *, tell: Tell = quiet) -> Line:
        if facts.kind == "regression":
            return fit_ridge(a, b, c, d, strengths=strengths, threads=threads, tell=tell)
        balanced = settings.get("class_weights") == "balanced"
        return fit_logistic(
            a,
            b,
            c,
            d,
            outputs=facts.outputs,
            strengths=strengths,
            balanced=balanced,
            # Thousands of pixels: the last iterations cost much and move little.
            steps=settings["steps"] if facts.front["name"] == "table" else settings["pixel_steps"],
            threads=threads,
            tell=tell,
        )

    strengths = settings["strengths"]
    if len(strengths) > 1 and FOLDED[0] <= len(targets) <= FOLDED[1]:
        best = by_folds(lambda a, b, c, d, s: fitted(a, b, c, d, [s]).loss, inputs, targets, strengths, seed=seed)
        strengths = [best]
    return fitted(inputs, targets, valid_inputs, valid_targets, strengths, tell=tell)


def _quantiles(numbers: Array, knots: int) -> Array:
    """The knots of each column, (N, Q) float32: equal shares of its training rows lie between them."""
    found = np.zeros((numbers.shape[1], knots), np.float32)
    shares = np.arange(1, knots + 1) / (knots + 1)
    for column in range(len(found)):
        present = numbers[:, column][~np.isnan(numbers[:, column])]
        if len(present):
            found[column] = np.quantile(present, shares)
    return found


def _table_design(part: Examples, facts: Facts, knots: Array) -> Any:
    """[numbers, bends, missing marks, one column per category] in the order of the network's parameters."""
    numbers, codes = cast("Array", part.arrays["numbers"]), cast("Array", part.arrays["codes"])
    absent = np.isnan(numbers)
    filled = np.where(absent, 0, numbers)
    beyond = np.maximum(filled[:, :, None] - knots, 0).reshape(len(part), -1)
    blocks = [sparse.csr_array(block) for block in (filled, beyond, absent.astype(np.float32))]
    rows = np.arange(len(part) + 1)
    for column, cardinality in enumerate(facts.front["cardinalities"]):
        one = np.ones(len(part), np.float32)
        blocks.append(sparse.csr_array((one, codes[:, column], rows), shape=(len(part), cardinality)))
    design: Any = sparse.hstack(blocks, format="csr", dtype=np.float64)
    # Small tables are quicker dense, and dense ridge is solved exactly.
    return design.toarray() if design.shape[0] * design.shape[1] < 20_000_000 else design


def _pixel_design(part: Examples, facts: Facts) -> Array:
    """Standardised pixels (rows, C·H·W), float32."""
    pixels = cast("Array", part.arrays["pixels"])
    mean = np.array(facts.front["mean"], np.float32).reshape(1, -1, 1, 1) * 255
    std = np.array(facts.front["std"], np.float32).reshape(1, -1, 1, 1) * 255
    return ((pixels.astype(np.float32) - mean) / std).reshape(len(part), -1)


def _fill(network: TableLinear | PixelLinear, line: Line) -> None:
    """The fitted weights, cut into the network's parameters in the order of the design."""
    weights = torch.from_numpy(line.weights.astype(np.float32))
    with torch.no_grad():
        network.bias.copy_(torch.from_numpy(line.bias.astype(np.float32)))
        if isinstance(network, PixelLinear):
            network.weight.copy_(weights)
            return
        parameters = (network.weight, network.bends, network.missing, network.table)
        for parameter, part in zip(parameters, weights.split([len(p) for p in parameters]), strict=True):
            parameter.copy_(part)


_STRENGTHS = [0.003, 0.03, 0.3, 3.0]
_SIZES = {
    "tiny": {"knots": 0, "strengths": _STRENGTHS, "steps": 200, "pixel_steps": 40},
    "small": {"knots": 3, "strengths": _STRENGTHS, "steps": 200, "pixel_steps": 40},
}

LOGISTIC = Family(
    name="logistic",
    about="Logistic regression: the baseline, and the easiest to explain.",
    fronts={"table": {}, "pixels": {"tiny": {"side": 16}, "small": {"side": 32}}},
    sizes=_SIZES,
    build=build,
    fit=fit,
    kinds=("classification",),
    dials={"knots": Between(0, 8, whole=True), "side": OneOf((16, 24, 32))},
)

LINEAR = Family(
    name="linear",
    about="Linear regression with a ridge penalty: the baseline, and the easiest to explain.",
    fronts={"table": {}},
    sizes=_SIZES,
    build=build,
    fit=fit,
    kinds=("regression",),
    dials={"knots": Between(0, 8, whole=True)},
)
