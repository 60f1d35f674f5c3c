"""One small decision tree: a handful of questions, readable as rules, and as such the twin that explains.

A node asks one question of the row, "is number j at most t?" or "is category j one of these?", and sends it left or
right; a leaf answers with the mean of the training rows that ended there. Which question is best is found by trying all
of them: the one that leaves the least impurity on both sides, weighted by rows (n_l and n_r of n):

    gain = I(all) - n_l/n I(left) - n_r/n I(right),
    I = 1 - Σ_k p_k²  (Gini: how often two random rows differ)       for labels
    I = mean (y - ȳ)²                                                for numbers

For a number the rows are sorted once and running sums give every split's impurity in one pass. A category's names are
put in the order of the mean target of their rows, and then split like a number: for two classes and for numbers no
grouping of names is better (Fisher 1958; Breiman et al. 1984, section 4.2). Of more classes the commonest one gives
the order. What is missing is asked as the smallest value of all, so a split can set it apart. A leaf of n rows says
p_k = (n_k + 1) / (n + K), never quite sure.

A tree is grown to its full depth, then cut back to the depth that validation rows like best. Boosting is nearly always
more accurate; this is what one can print and check line by line.

Source: Breiman, Friedman, Olshen and Stone 1984, "Classification and Regression Trees".

>>> draw = np.random.default_rng(0)
>>> income = draw.uniform(10, 90, 300)
>>> front = {"name": "table", "numbers": [{"name": "income", "mean": 50.0, "std": 20.0}], "categories": [],
...     "cardinalities": []}
>>> arrays = {"numbers": ((income[:, None] - 50) / 20).astype(np.float32), "codes": np.zeros((300, 0), np.int64)}
>>> part = Examples(arrays, (income > 40).astype(np.int64))
>>> facts = Facts(2, "classification", front, 300)
>>> fitted = fit(part, part, facts, {**FAMILY.settings("small"), "depth": 2}, seed=0, threads=1, tell=lambda *_: None)
>>> print(rules(fitted.network, front, ["late", "paid"]))
if income <= 40.01: late (0.99 of 93 rows)
otherwise: paid (1.00 of 207 rows)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from lingqu.models.closed_form import log_loss
from lingqu.models.dials import Between
from lingqu.models.family import Examples, Facts, Family, Fitted, Settings, Tell

if TYPE_CHECKING:
    from lingqu.contract.task import Array

MISSING = -1e30
"""Stands for a missing number: below every other, so that a question may tell it from them."""


class SmallTree(nn.Module):
    """The tree as flat arrays: node n sends a row left where input feature[n] is at most threshold[n].

    The inputs are the numbers, then for each category the place of its name in the order that was learned.

    >>> tree = SmallTree(outputs=1, nodes=1, depth=0, cardinalities=[])
    >>> tree(numbers=torch.zeros(2, 1), codes=torch.zeros(2, 0, dtype=torch.int64)).tolist()
    [[0.0], [0.0]]
    """

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    value: Tensor
    rows: Tensor
    places: Tensor
    offsets: Tensor

    def __init__(self, outputs: int, nodes: int, depth: int, cardinalities: Sequence[int]) -> None:
        super().__init__()
        self.depth = depth
        for name in ("feature", "left", "right", "rows"):
            self.register_buffer(name, torch.zeros(nodes, dtype=torch.int64))  # (nodes,); a leaf points to itself
        self.register_buffer("threshold", torch.zeros(nodes))  # (nodes,)
        self.register_buffer("value", torch.zeros(nodes, outputs))  # (nodes, K): what a row that ends here is told
        self.register_buffer("places", torch.zeros(sum(cardinalities)))  # (C,): each name's place in its order
        starts = [sum(cardinalities[:place]) for place in range(len(cardinalities))]
        self.register_buffer("offsets", torch.tensor(starts, dtype=torch.int64), persistent=False)

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """`numbers` float32 (B, N) with NaN where missing, `codes` int64 (B, M); log p (B, K), or numbers (B, 1)."""
        inputs = [torch.where(torch.isnan(numbers), torch.full_like(numbers, MISSING), numbers)]
        if len(self.offsets):
            inputs.append(self.places[codes + self.offsets])  # (B, M)
        row = torch.cat(inputs, dim=1)  # (B, N + M)
        node = torch.zeros_like(row[:, :1], dtype=torch.int64)  # (B, 1): all start at the root
        for _ in range(self.depth):
            asked = row.gather(1, self.feature[node[:, 0]].unsqueeze(1))
            node = torch.where(asked <= self.threshold[node], self.left[node], self.right[node])
        return self.value[node[:, 0]]


# --- growing --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Grown:
    """Nodes in the order they were made; parents before their children."""

    feature: list[int] = field(default_factory=list)
    threshold: list[float] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    depth: list[int] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)
    value: list[Array] = field(default_factory=list)


def _best_split(column: Array, wanted: Array, fewest: int) -> tuple[float, float]:
    """The gain and the threshold of this column's best question; a gain of 0 when there is none.

    `wanted` (rows, K) is one-hot labels, or numbers (rows, 1). Both impurities are mean y² - mean(y)², summed over K:
    for one-hot rows Σ_k p_k - Σ_k p_k² is Gini's.

    >>> _best_split(np.array([1.0, 2.0, 3.0, 4.0]), np.array([[1.0, 0], [1, 0], [0, 1], [0, 1]]), 1)
    (0.5, 2.5)
    """
    order = np.argsort(column, kind="stable")
    ordered, sums = column[order], np.cumsum(wanted[order], axis=0, dtype=np.float64)
    n, total = len(column), sums[-1]
    left = np.arange(fewest, n - fewest + 1)  # how many rows go left
    left = left[ordered[left - 1] < ordered[np.minimum(left, n - 1)]] if len(left) else left
    if not len(left):
        return 0.0, 0.0
    below, above = sums[left - 1], total - sums[left - 1]
    # The mean of y² is the same on both sides together as in all: only the squared means change.
    gains = ((below**2).sum(1) / left + (above**2).sum(1) / (n - left)) / n - ((total / n) ** 2).sum()
    best = int(np.argmax(gains))
    low, high = float(ordered[left[best] - 1]), float(ordered[left[best]])
    # Halfway, in float32 as it will be asked; rounded up to the neighbour it would send that one left too.
    between = float(np.float32(low if low <= MISSING else (low + high) / 2))
    return float(gains[best]), between if low <= between < high else low


def _grow(inputs: Array, wanted: Array, *, depth: int, fewest: int, least_gain: float) -> _Grown:
    """Questions until the depth is reached, rows run out or nothing is gained; every node keeps its mean target."""
    tree = _Grown()
    waiting = [(np.arange(len(inputs)), 0, -1, "")]
    while waiting:
        rows, level, parent, side = waiting.pop(0)
        here = len(tree.feature)
        if parent >= 0:
            getattr(tree, side)[parent] = here
        tree.feature.append(0)
        tree.threshold.append(0.0)
        tree.left.append(here)
        tree.right.append(here)
        tree.depth.append(level)
        tree.rows.append(len(rows))
        tree.value.append(wanted[rows].sum(0))
        if level == depth or len(rows) < 2 * fewest:
            continue
        found = [_best_split(inputs[rows, column], wanted[rows], fewest) for column in range(inputs.shape[1])]
        column = max(range(len(found)), key=lambda place: found[place][0], default=-1)
        if column < 0 or found[column][0] <= least_gain:
            continue
        tree.feature[here], tree.threshold[here] = column, found[column][1]
        goes_left = inputs[rows, column] <= found[column][1]
        waiting += [(rows[goes_left], level + 1, here, "left"), (rows[~goes_left], level + 1, here, "right")]
    return tree


def _network(tree: _Grown, facts: Facts, places: Array, depth: int) -> SmallTree:
    """The tree cut at this depth, as a network."""
    kept = [node for node, level in enumerate(tree.depth) if level <= depth]
    new = {node: place for place, node in enumerate(kept)}
    network = SmallTree(facts.outputs, len(kept), depth, facts.front["cardinalities"])
    inner = [tree.depth[node] < depth for node in kept]
    for name in ("left", "right"):
        ends = [new[getattr(tree, name)[node]] if more else new[node] for node, more in zip(kept, inner, strict=True)]
        getattr(network, name).copy_(torch.tensor(ends))
    rows = np.array([tree.rows[node] for node in kept])
    sums = np.stack([tree.value[node] for node in kept])
    if facts.kind == "classification":
        value = np.log((sums + 1) / (sums.sum(1, keepdims=True) + facts.outputs))
    else:
        value = sums / rows[:, None]
    network.feature.copy_(torch.tensor([tree.feature[node] for node in kept]))
    network.threshold.copy_(torch.tensor([tree.threshold[node] for node in kept]))
    network.rows.copy_(torch.from_numpy(rows))
    network.value.copy_(torch.from_numpy(value.astype(np.float32)))
    network.places.copy_(torch.from_numpy(places))
    return network


def build(facts: Facts, settings: Settings) -> SmallTree:
    """A tree of as many nodes as the fitted one, with nothing learned."""
    return SmallTree(facts.outputs, settings["nodes"], settings["depth"], facts.front["cardinalities"])


def fit(
    train: Examples, valid: Examples, facts: Facts, settings: Settings, *, seed: int, threads: int, tell: Tell
) -> Fitted:
    """Grows the tree and cuts it at the depth with the least loss on validation rows; given `nodes`, at `depth`."""
    wanted = train.targets[:, None].astype(np.float64)
    if facts.kind == "classification":
        wanted = np.eye(facts.outputs)[train.targets]
        if settings.get("class_weights") == "balanced":
            wanted = wanted / np.maximum(wanted.mean(0), 1 / len(wanted))
    places = _places(train, wanted, facts)
    fewest = max(1, min(settings["rows_in_leaf"], len(train) // 20))
    tree = _grow(
        _inputs(train, places, facts), wanted, depth=settings["depth"], fewest=fewest, least_gain=settings["gain"]
    )
    deepest = min(settings["depth"], max(tree.depth))
    depths = [deepest] if "nodes" in settings else range(deepest + 1)
    tried = {}
    for depth in depths:
        network = _network(tree, facts, places, depth)
        tried[depth] = (_loss(network, valid, facts), depth, network)
        tell((depth + 1) / (deepest + 1), f"depth {depth}: validation loss {tried[depth][0]:.4f}")
    _, depth, network = min(tried.values(), key=lambda one: one[:2])
    return Fitted(network, {**settings, "depth": depth, "nodes": len(network.feature)})


def _places(part: Examples, wanted: Array, facts: Facts) -> Array:
    """For each category's names their place, 0, 1, 2 …, in the order of their rows' mean target, (C,) float32."""
    codes = cast("Array", part.arrays["codes"])
    target = wanted[:, int(np.argmax(wanted.sum(0)))] / wanted.sum(1) if wanted.shape[1] > 1 else wanted[:, 0]
    found = []
    for column, size in enumerate(facts.front["cardinalities"]):
        rows = np.bincount(codes[:, column], minlength=size)
        sums = np.bincount(codes[:, column], target, minlength=size)
        # A name that no row has stands where the average row stands.
        means = np.where(rows > 0, sums / np.maximum(rows, 1), target.mean())
        place = np.empty(size, np.float32)
        place[np.argsort(means, kind="stable")] = np.arange(size)
        found.append(place)
    return np.concatenate(found) if found else np.zeros(0, np.float32)


def _inputs(part: Examples, places: Array, facts: Facts) -> Array:
    """What the tree may ask about, as the network sees it, (rows, N + M) float32."""
    numbers, codes = cast("Array", part.arrays["numbers"]), cast("Array", part.arrays["codes"])
    starts = np.concatenate([[0], np.cumsum(facts.front["cardinalities"])[:-1]]).astype(np.int64)
    names = places[codes + starts] if codes.shape[1] else np.zeros(codes.shape, np.float32)
    return np.concatenate([np.where(np.isnan(numbers), np.float32(MISSING), numbers), names], axis=1)


def _loss(network: SmallTree, part: Examples, facts: Facts) -> float:
    arrays: dict[str, Any] = {name: torch.from_numpy(np.asarray(array)) for name, array in part.arrays.items()}
    with torch.no_grad():
        answers = network(**arrays).numpy()
    if facts.kind == "classification":
        return log_loss(answers, part.targets)
    return float(np.mean((answers[:, 0] - part.targets) ** 2))


# --- reading --------------------------------------------------------------------------------------------------------


def rules(
    network: nn.Module,
    front: Mapping[str, Any],
    labels: Sequence[str] = (),
    *,
    mean: float = 0.0,
    std: float = 1.0,
) -> str:
    """The tree as text, one line a question or an answer, deeper ones indented, numbers in the units of the data.

    `front` is the memory of the table front; `labels` name the classes. For numbers `mean` and `std` undo the
    standardising of the target. A missing number counts as the smallest: it is sent where "at most" is sent.
    """
    tree = cast(SmallTree, network)
    lines: list[str] = []

    def tell(node: int, depth: int, say: str) -> None:
        indent = "    " * depth
        if int(tree.left[node]) == node:
            lines.append(f"{indent}{say}: {_answer(tree, node, labels, mean, std)}")
            return
        if say:
            lines.append(f"{indent}{say}:")
        inside = depth + bool(say)
        tell(int(tree.left[node]), inside, f"if {_question(tree, node, front)}")
        tell(int(tree.right[node]), inside, "otherwise")

    tell(0, 0, "always" if int(tree.left[0]) == 0 else "")
    return "\n".join(lines)


def _question(tree: SmallTree, node: int, front: Mapping[str, Any]) -> str:
    """What sends a row left, in the words of the data."""
    column, threshold = int(tree.feature[node]), float(tree.threshold[node])
    numbers = front["numbers"]
    if column < len(numbers):
        told = numbers[column]
        if threshold <= MISSING:
            return f"{told['name']} is missing"
        return f"{told['name']} <= {threshold * told['std'] + told['mean']:.4g}"
    category = front["categories"][column - len(numbers)]
    start = int(tree.offsets[column - len(numbers)])
    places = tree.places[start : start + len(category["values"]) + 1].tolist()
    names = ["(unknown)", *category["values"]]
    return f"{category['name']} is {' or '.join(n for n, p in zip(names, places, strict=True) if p <= threshold)}"


def _answer(tree: SmallTree, node: int, labels: Sequence[str], mean: float, std: float) -> str:
    rows, value = int(tree.rows[node]), tree.value[node]
    if len(value) == 1:
        return f"{float(value[0]) * std + mean:.4g} ({rows} rows)"
    best = int(value.argmax())
    name = labels[best] if labels else f"class {best}"
    return f"{name} ({float(value[best].exp()):.2f} of {rows} rows)"


_SMALL = {"depth": 4, "rows_in_leaf": 20, "gain": 1e-4}

FAMILY = Family(
    name="tree",
    about="One small decision tree, readable as rules.",
    fronts={"table": {}},
    sizes={
        "tiny": {**_SMALL, "depth": 3},
        "small": _SMALL,
        "medium": {**_SMALL, "depth": 5},
        "large": {**_SMALL, "depth": 6},
    },
    build=build,
    fit=fit,
    kinds=("classification", "regression"),
    dials={
        "depth": Between(2, 8, whole=True),
        "rows_in_leaf": Between(2, 200, log=True, whole=True),
        "gain": Between(1e-6, 1e-2, log=True),
    },
)
