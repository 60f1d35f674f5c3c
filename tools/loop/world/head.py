"""The model of the world's products: one linear layer on frozen features, fitted in closed form in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lingqu.contract import LabelScores
from lingqu.data.labels import fit_temperature, softmax

Array = NDArray[Any]
STRENGTHS = (0.3, 3.0, 30.0)
"""Penalties to try, per thousand rows; validation rows choose."""


@dataclass(frozen=True, eq=False)
class Head:
    """probabilities = softmax((features · weights + bias) / temperature)."""

    weights: Array
    bias: Array
    temperature: float

    @classmethod
    def fitted(cls, features: Array, truth: Array, stop: tuple[Array, Array], labels: int) -> Head:
        """Ridge regression onto the labels; its penalty and its temperature by the rows `stop`."""
        middle, spread = features.mean(0), features.std(0) + 1e-6
        inputs = (features - middle) / spread
        targets = np.eye(labels, dtype=np.float32)[truth]
        base = targets.mean(0)
        gram, cross = inputs.T @ inputs, inputs.T @ (targets - base)
        checked, best = (stop[0] - middle) / spread, (np.inf, np.empty(0), np.empty(0), 1.0)
        for strength in STRENGTHS:
            ridge = np.eye(len(gram), dtype=gram.dtype) * strength * len(inputs) / 100
            weights = np.linalg.solve(gram + ridge, cross)
            logits = checked @ weights + base
            temperature = fit_temperature(logits, stop[1])
            loss = -float(np.log(softmax(logits, temperature)[np.arange(len(stop[1])), stop[1]] + 1e-12).mean())
            if loss < best[0]:
                best = (loss, weights, base - (middle / spread) @ weights, temperature)
        return cls((best[1] / spread[:, None]).astype(np.float32), best[2].astype(np.float32), best[3])

    def sure(self, features: Array) -> Array:
        """The probability of each label, (rows, labels)."""
        return softmax(features @ self.weights + self.bias, self.temperature)

    def guess(self, features: Array) -> Array:
        """The likeliest label's place, (rows,)."""
        return (features @ self.weights + self.bias).argmax(1)


def answers(probabilities: Array, labels: tuple[str, ...]) -> list[LabelScores]:
    """Rows of probabilities as answers."""
    return [LabelScores.of(dict(zip(labels, row, strict=True))) for row in probabilities.tolist()]
