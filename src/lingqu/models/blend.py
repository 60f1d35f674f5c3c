"""A straight line and trees together: the average of what a linear model and a forest say.

    log p(y | x) ∝ w log p_linear(y | x) + (1 - w) log p_forest(y | x),        numbers: w linear(x) + (1 - w) forest(x)

The two err in different places (a line goes on where trees stop, trees bend where a line cannot), so their average is
often better than either. The weight w is the one of lowest loss on validation rows; where those are few it is a half,
since a weight that few rows choose is worse than none (the forecast combination puzzle: Stock and Watson 2004).
Sources: Wolpert 1992, "Stacked Generalization"; Caruana et al. 2004, "Ensemble Selection from Libraries of Models".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lingqu.models import boosting, linear
from lingqu.models.closed_form import log_loss
from lingqu.models.family import Examples, Facts, Family, Fitted, Settings, Tell

if TYPE_CHECKING:
    from lingqu.contract.task import Array

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""What share the line may have."""
FEW = 1000
"""So many validation rows can choose a weight."""


class Blend(nn.Module):
    """The weighted average of a line and a forest.

    >>> line = linear.TableLinear(numbers=1, cardinalities=[], outputs=2, knots=0)
    >>> network = Blend(line, boosting.Forest(outputs=2), classes=True)
    >>> network(numbers=torch.zeros(3, 1), codes=torch.zeros(3, 0, dtype=torch.int64)).shape
    torch.Size([3, 2])
    """

    def __init__(self, line: nn.Module, forest: boosting.Forest, *, classes: bool, weight: float = 0.5) -> None:
        super().__init__()
        self.line, self.forest, self.classes = line, forest, classes
        self.weight = nn.Parameter(torch.tensor([weight]))  # (1,): the share of the line

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """`numbers` float32 (B, N) with NaN where missing, `codes` int64 (B, M); scores (B, K)."""
        parts = [self.line(numbers, codes), self.forest(numbers, codes)]
        if self.classes:
            # Scores of one kind: log-probabilities.
            parts = [functional.log_softmax(part, dim=1) for part in parts]
        return self.weight * parts[0] + (1 - self.weight) * parts[1]  # (B, K)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """As for any network; the forest grows to the nodes that these weights have."""
        own = {name.removeprefix("forest."): value for name, value in state_dict.items() if name.startswith("forest.")}
        self.forest.load_state_dict(own, strict, assign)
        return super().load_state_dict(state_dict, strict, assign)


def build(facts: Facts, settings: Settings) -> Blend:
    """The network with nothing learned yet."""
    parts = linear.build(facts, settings["linear"]), boosting.build(facts, settings["boosting"])
    return Blend(*parts, classes=facts.kind == "classification")


def fit(
    train: Examples, valid: Examples, facts: Facts, settings: Settings, *, seed: int, threads: int, tell: Tell
) -> Fitted:
    """Both parts, and their weight by rows that neither saw."""
    told = {"class_weights": settings.get("class_weights", "none")}
    line = linear.fit(train, valid, facts, {**settings["linear"], **told}, seed=seed, threads=threads, tell=tell)
    forest = boosting.fit(train, valid, facts, {**settings["boosting"], **told}, seed=seed, threads=threads, tell=tell)
    weight = settings.get("weight", 0.5)
    if "weight" not in settings and len(valid) >= FEW:
        weight = _best([_scores(one.network, valid) for one in (line, forest)], valid.targets)
    blend = Blend(line.network, forest.network, classes=facts.kind == "classification", weight=weight)  # type: ignore[arg-type]
    return Fitted(blend, {**settings, "linear": line.settings, "boosting": forest.settings, "weight": weight})


def _scores(network: nn.Module, rows: Examples) -> Array:
    """Scores as they are averaged: log-probabilities of classes, plain numbers otherwise; float64 (rows, K)."""
    batch = rows.batch(np.arange(len(rows)))
    with torch.inference_mode():
        scores = network(**{name: torch.from_numpy(array) for name, array in batch.items()}).double()
    return (functional.log_softmax(scores, dim=1) if rows.targets.dtype.kind == "i" else scores).numpy()


def _best(scores: list[Array], targets: Array) -> float:
    """The share of the first scores at which the loss is lowest."""

    def loss(weight: float) -> float:
        mixed = weight * scores[0] + (1 - weight) * scores[1]
        return log_loss(mixed, targets) if targets.dtype.kind == "i" else float(np.mean((mixed[:, 0] - targets) ** 2))

    return min(WEIGHTS, key=loss)


def _sizes() -> dict[str, dict[str, Any]]:
    return {
        size: {"linear": linear.LINEAR.settings(size), "boosting": boosting.FAMILY.settings(size)}
        for size in ("tiny", "small")
    }


FAMILY = Family(
    name="blend",
    about="The average of a linear model and boosted trees, weighted by validation rows.",
    fronts={"table": {"small": {"ordered": True}}},
    sizes=_sizes(),
    build=build,
    fit=fit,
    kinds=("classification", "regression"),
)
