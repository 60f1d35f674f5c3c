"""Gradient-boosted trees: the strongest model for most tables, and after training one small network of arrays.

Each tree is fitted to what the trees before it got wrong, and the score is the sum of one leaf per tree:

    f(x) = Σ_m leaf_m(x),      leaf_m fitted to the gradient of the loss at f_{m-1}

Sources: Friedman 2001, "Greedy Function Approximation"; Ke et al. 2017, "LightGBM" (which does the fitting; this is the
one file that imports it). Small data are bagged: several folds, each stopped by the fold it did not see
(Breiman 1996, "Bagging Predictors"), and their trees are averaged in one forest. A category of many names with few rows
each has, beside its code, the mean target of its name, drawn to the mean of all (models/effects.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import lightgbm
import numpy as np
import torch
from torch import Tensor, nn

from lingqu.models.dials import Between
from lingqu.models.effects import Effects
from lingqu.models.family import Examples, Facts, Family, Fitted, Settings, Tell

if TYPE_CHECKING:
    from lingqu.contract.task import Array


MANY_ROWS = 100_000


class Forest(nn.Module):
    """Trees as flat arrays, walked for all rows and trees at once.

    Node n asks whether input feature[n] is at most threshold[n] and goes on to left[n] or right[n]; a missing input
    goes left where missing_left[n] is 1. A leaf points to itself. The inputs are the numbers, then the codes as numbers,
    then the effects of the codes of those columns that have them.

    >>> stump = Trees(); stump.add_leaf(7.0, tree_class=0)
    >>> forest = stump.forest(outputs=1)
    >>> forest(numbers=torch.zeros(2, 1), codes=torch.zeros(2, 0, dtype=torch.int64)).tolist()
    [[7.0], [7.0]]
    """

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    missing_left: Tensor
    value: Tensor
    roots: Tensor
    tree_class: Tensor
    depth: Tensor
    effects: Tensor
    starts: Tensor
    wide: Tensor

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        for name in ("feature", "left", "right"):
            self.register_buffer(name, torch.zeros(1, dtype=torch.int64))  # (nodes,)
        self.register_buffer("threshold", torch.zeros(1))  # (nodes,)
        self.register_buffer("missing_left", torch.zeros(1, dtype=torch.uint8))  # (nodes,)
        self.register_buffer("value", torch.zeros(1))  # (nodes,): 0 inside, the leaf's value at a leaf
        self.register_buffer("roots", torch.zeros(1, dtype=torch.int64))  # (trees,): first node of each tree
        self.register_buffer("tree_class", torch.zeros(1, dtype=torch.int64))  # (trees,): which output it adds to
        self.register_buffer("depth", torch.zeros(1, dtype=torch.int64))  # (1,): most questions asked by a tree
        self.register_buffer(
            "effects", torch.zeros(0, 0)
        )  # (C, E): of every code of the wide columns, one after the other
        self.register_buffer("starts", torch.zeros(0, dtype=torch.int64))  # (W,): where a wide column's effects begin
        self.register_buffer("wide", torch.zeros(0, dtype=torch.int64))  # (W,): which columns of the codes are wide

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """`numbers` float32 (B, N) with NaN where missing, `codes` int64 (B, M); scores (B, K)."""
        inputs = torch.cat([numbers, codes.to(numbers.dtype)], dim=1)  # (B, N + M)
        if self.effects.numel():
            found = self.effects[codes[:, self.wide] + self.starts]  # (B, W, E)
            inputs = torch.cat([inputs, found.flatten(1)], dim=1)  # (B, N + M + W·E)
        node = self.roots.expand(len(inputs), -1)  # (B, trees)
        for _ in range(int(self.depth)):
            asked = inputs.gather(1, self.feature[node])  # (B, trees)
            # NaN <= t is false, so a missing input needs its own word.
            goes_left = (asked <= self.threshold[node]) | (asked.isnan() & self.missing_left[node].bool())
            node = torch.where(goes_left, self.left[node], self.right[node])
        # Hundreds of small numbers are added up: in float64, so that the sum does not depend on their order.
        leaves = self.value[node].double()  # (B, trees)
        scores = leaves.new_zeros(len(inputs), self.outputs)
        return scores.index_add(1, self.tree_class, leaves).float()  # (B, K)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As for any network; there will be as many nodes as these weights have."""
        for name in dict(self.named_buffers()):
            if name in state_dict:
                # PyTorch compares shapes before it copies: make room first.
                setattr(self, name, torch.empty_like(state_dict[name]))
        return super().load_state_dict(state_dict, strict, assign)


@dataclass(slots=True)
class Trees:
    """Collects trees, node by node, and makes a Forest of them.

    >>> trees = Trees(); trees.add_leaf(1.0, tree_class=0); trees.add_leaf(2.0, tree_class=0)
    >>> len(trees.roots)
    2
    """

    nodes: list[tuple[int, float, int, int, int, float]] = field(default_factory=list)
    roots: list[int] = field(default_factory=list)
    classes: list[int] = field(default_factory=list)
    depth: int = 0

    def add_leaf(self, value: float, *, tree_class: int) -> None:
        """A tree that answers the same for every row."""
        self.roots.append(len(self.nodes))
        self.classes.append(tree_class)
        self.nodes.append((0, 0.0, len(self.nodes), len(self.nodes), 0, value))

    def add(self, tree: Mapping[str, Any], *, tree_class: int, scale: float) -> None:
        """A tree as LightGBM's `dump_model` tells it, its leaves times `scale`."""
        self.roots.append(len(self.nodes))
        self.classes.append(tree_class)
        waiting = [(tree, -1, 0, 0)]  # (what LightGBM says, parent's place, 2 = left or 3 = right, depth)
        while waiting:
            told, parent, side, depth = waiting.pop()
            here = len(self.nodes)
            self.depth = max(self.depth, depth)
            if parent >= 0:
                above = list(self.nodes[parent])
                above[side] = here
                self.nodes[parent] = cast("tuple[int, float, int, int, int, float]", tuple(above))
            if "leaf_value" in told:
                self.nodes.append((0, 0.0, here, here, 0, told["leaf_value"] * scale))
                continue
            self.nodes.append((told["split_feature"], _at_most(told["threshold"]), 0, 0, _missing_left(told), 0.0))
            waiting.append((told["right_child"], here, 3, depth + 1))
            waiting.append((told["left_child"], here, 2, depth + 1))

    def forest(self, outputs: int) -> Forest:
        """The network that walks these trees."""
        forest = Forest(outputs)
        feature, threshold, left, right, missing, value = (list(column) for column in zip(*self.nodes, strict=True))
        forest.feature = torch.tensor(feature)
        forest.threshold = torch.tensor(threshold)
        forest.left, forest.right = torch.tensor(left), torch.tensor(right)
        forest.missing_left = torch.tensor(missing, dtype=torch.uint8)
        forest.value = torch.tensor(value)
        forest.roots, forest.tree_class = torch.tensor(self.roots), torch.tensor(self.classes)
        forest.depth = torch.tensor([self.depth])
        return forest


def _at_most(threshold: float) -> float:
    """The largest float32 that is not above the threshold: for a float32 x, x <= it exactly when x <= threshold."""
    with np.errstate(over="ignore"):  # LightGBM parts missing from all else at 1e300, which is infinite here
        rounded = np.float32(threshold)
    # What is within 1e-35 of zero LightGBM takes for zero, so at a threshold of -1e-35 not even -1e-35 goes left.
    if float(rounded) > threshold or -1.1e-35 < threshold < 0:
        rounded = np.nextafter(rounded, np.float32(-np.inf), dtype=np.float32)
    return float(rounded)


def _missing_left(told: Mapping[str, Any]) -> int:
    """Where LightGBM sends NaN: its own way if training had missing values there, otherwise where 0 goes."""
    if told["missing_type"] == "NaN":
        return int(told["default_left"])
    return int(told["threshold"] >= 0)


def build(facts: Facts, settings: Settings) -> Forest:
    """A forest without trees; loading weights gives it as many as they hold."""
    return Forest(facts.outputs)


def fit(
    train: Examples, valid: Examples, facts: Facts, settings: Settings, *, seed: int, threads: int, tell: Tell
) -> Fitted:
    """Boosting with early stopping: on the validation rows, or on left-out folds of the training rows if those are few.

    What that decided is in the settings returned: folds stay folds, and so many trees stay so many.
    """
    chosen = _choices(len(train), settings)
    known = Effects.of(train, facts)
    learned = np.concatenate([table_inputs(train), known.of_other_rows(train, facts, seed)], axis=1), train.targets
    stopped = np.concatenate([table_inputs(valid), known.look_up(valid)], axis=1), valid.targets
    parts = list(_parts(learned, stopped, facts, chosen, seed))
    trees = Trees()
    for number, (inputs, targets, stop_inputs, stop_targets) in enumerate(parts):
        balance = _row_weights(targets, facts, chosen)
        learning = lightgbm.Dataset(inputs, targets, weight=balance, params={"verbose": -1})
        stopping = lightgbm.Dataset(stop_inputs, stop_targets, reference=learning, params={"verbose": -1})
        stop = lightgbm.early_stopping(chosen["patience"], verbose=False, min_delta=1e-4)
        stops = [] if chosen.get("stopped") else [stop]
        booster = lightgbm.train(
            _parameters(facts, chosen, seed + number, threads),
            learning,
            num_boost_round=chosen["trees"],
            valid_sets=[stopping] if stops else [],
            callbacks=stops,
        )
        dump = booster.dump_model(num_iteration=booster.best_iteration or None)
        for place, tree in enumerate(dump["tree_info"]):
            tree_class = 1 if facts.outputs == 2 else place % facts.outputs
            trees.add(tree["tree_structure"], tree_class=tree_class, scale=1 / len(parts))
        tell((number + 1) / len(parts), f"{len(dump['tree_info'])} trees, part {number + 1} of {len(parts)}")
    if not chosen["bagged"]:
        # Stopped once by validation rows, the number of trees is known.
        per_class = 1 if facts.outputs <= 2 else facts.outputs
        chosen = {**chosen, "trees": len(trees.roots) // per_class, "stopped": True}
    forest = trees.forest(facts.outputs)
    forest.effects, forest.starts, forest.wide = map(torch.from_numpy, (known.table, known.starts, known.columns))
    return Fitted(forest, chosen)


def _choices(rows: int, settings: Settings) -> dict[str, Any]:
    """The settings with what the number of rows decides: smaller trees and bags of folds for few; decided once."""
    if "bagged" in settings:
        return dict(settings)
    few = settings["few"] if rows <= settings["bag_below"] else {}
    few = {name: value for name, value in few.items() if name not in settings.get("decided", ())}
    return {**settings, **few, "bagged": settings["bag_above"] <= rows <= settings["bag_below"]}


def table_inputs(part: Examples) -> Array:
    """What the trees ask about: numbers, then codes as numbers; float32 (rows, N + M)."""
    numbers, codes = cast("Array", part.arrays["numbers"]), cast("Array", part.arrays["codes"])
    return np.concatenate([numbers, codes.astype(np.float32)], axis=1)


def _parts(
    train: tuple[Array, Array], valid: tuple[Array, Array], facts: Facts, settings: Settings, seed: int
) -> Iterator[tuple[Array, Array, Array, Array]]:
    """What each booster learns from and what stops it, each inputs and targets."""
    if not settings["bagged"]:
        yield *train, *valid
        return
    inputs, targets = train
    folds = settings["folds"]
    for repeat in range(settings["repeats"]):
        order = np.random.default_rng([seed, repeat]).permutation(len(targets))
        if facts.kind == "classification":
            order = order[np.argsort(targets[order], kind="stable")]  # each fold gets its share of each class
        for fold in range(folds):
            out = np.zeros(len(targets), bool)
            out[order[fold::folds]] = True
            yield inputs[~out], targets[~out], inputs[out], targets[out]


def _row_weights(targets: Array, facts: Facts, settings: Settings) -> Array | None:
    """Rows of rare classes count more, so that all classes count the same; None when nothing was asked."""
    if facts.kind != "classification" or settings.get("class_weights") != "balanced":
        return None
    counts = np.bincount(targets, minlength=facts.outputs)
    return (len(targets) / (facts.outputs * np.maximum(counts, 1)))[targets]


def _parameters(facts: Facts, settings: Settings, seed: int, threads: int) -> dict[str, Any]:
    """What LightGBM is told; deterministic and row-wise, so that the same rows give the same trees."""
    objective: dict[str, Any] = {"objective": "regression"}
    if facts.kind == "classification":
        objective = (
            {"objective": "binary"} if facts.outputs == 2 else {"objective": "multiclass", "num_class": facts.outputs}
        )
    return {
        **objective,
        "learning_rate": settings["learning_rate"],
        "num_leaves": settings["leaves"],
        # The fewer the rows, the fewer must be able to stand alone, or hardly anything could be learned from them.
        "min_data_in_leaf": max(1, min(settings["rows_in_leaf"], facts.rows // 80)),
        "min_data_in_bin": max(1, min(3, facts.rows // 80)),
        "lambda_l2": settings["penalty"],
        "feature_fraction": settings["columns"],
        "bagging_fraction": settings["share"],
        "bagging_freq": 1,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        # Threads that wait for each other spin: on small tables, and on busy machines, two take far longer than one.
        "num_threads": threads if facts.rows > MANY_ROWS else 1,
        "verbose": -1,
    }


_BAGS = {
    "bag_above": 50,
    "bag_below": 5000,
    "folds": 5,
    "repeats": 2,
    # Few rows want small trees with small leaves, each seeing half of the columns.
    "few": {"leaves": 8, "rows_in_leaf": 5, "columns": 0.5},
}

_SMALL = {
    "trees": 2000,
    "learning_rate": 0.05,
    "leaves": 31,
    "rows_in_leaf": 20,
    "penalty": 1.0,
    "columns": 0.7,
    "share": 0.8,
    "patience": 50,
    **_BAGS,
}

FAMILY = Family(
    name="boosting",
    about="Gradient-boosted trees (LightGBM); averaged over folds where rows are few.",
    fronts={"table": {"small": {"ordered": True}}},
    sizes={
        "tiny": {**_SMALL, "trees": 200, "patience": 20, "repeats": 1},
        "small": _SMALL,
    },
    build=build,
    fit=fit,
    kinds=("classification", "regression"),
    dials={
        "learning_rate": Between(0.01, 0.2, log=True),
        "leaves": Between(4, 127, log=True, whole=True),
        "rows_in_leaf": Between(3, 100, log=True, whole=True),
        "penalty": Between(0.01, 30.0, log=True),
        "columns": Between(0.3, 1.0),
        "share": Between(0.5, 1.0),
    },
)
