"""What number belongs to this row of a table? Prices, demand, durations.

The target is learned standardised. The range around an answer is a split conformal interval (Papadopoulos et al. 2002;
Lei et al. 2018, "Distribution-Free Predictive Inference for Regression"): with q the ceil((n + 1) 0.9)-th smallest
absolute error on n validation rows, [answer − q, answer + q] holds the truth of about nine exchangeable rows in ten (the same rows also stopped the training).

>>> task = TabularRegression()
>>> memory = task.learn(task.toy(20), Front("table", {"kinds": {"rooms": "number", "town": "category"}}))
>>> errors = task.calibrate({"logits": np.zeros((20, 1))}, task.targets(task.toy(20), memory), memory)["error"]
>>> errors > 0
True
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np

from lingqu.contract import Answer, Features, Front, Memory, Number, NumberValue, Rows, Step, Task
from lingqu.data import fronts
from lingqu.errors import DataError, Problem

if TYPE_CHECKING:
    from lingqu.contract.task import Array, Arrays

COVERAGE = 0.9


class TabularRegression(Task):
    """Numbers and categories → Number.

    >>> TabularRegression().decode({"logits": np.array([[1.0]])}, {"mean": 10.0, "std": 2.0, "error": 0.5})
    [NumberValue(value=12.0, low=11.0, high=13.0)]
    """

    name = "tabular-regression"
    about = "One number for one row of a table: prices, demand, durations."
    columns = (Features("features", "Every column that is not the target, each a number or a category."),)
    target = Number("target", "The number to predict.")
    answer = NumberValue
    fronts = ("table",)
    ladder = ("linear", "boosting", "blend", "mlp")
    metrics = ("rmse", "mae", "r2")
    decide_by = "rmse"

    def learn(self, rows: Rows, front: Front) -> Memory:
        values = np.array(rows["target"], np.float64)
        if len(values) == 0 or values.std() < 1e-12:
            raise DataError(
                Problem("a target with at least two values", "one value in every row", "Check data.columns.target.")
            )
        return {"front": fronts.learn(rows, front), "mean": float(values.mean()), "std": float(values.std())}

    def encode(self, rows: Rows, memory: Memory) -> Arrays:
        return fronts.encode(rows, memory["front"])

    def targets(self, rows: Rows, memory: Memory) -> Array:
        return ((np.array(rows["target"], np.float64) - memory["mean"]) / memory["std"]).astype(np.float32)

    def steps(self) -> tuple[Step, ...]:
        return (Step("squared"),)

    def calibrate(self, outputs: Arrays, targets: Array, memory: Memory) -> Memory:
        errors = np.sort(np.abs(outputs["logits"][:, 0].astype(np.float64) - targets))
        rank = int(np.ceil((len(errors) + 1) * COVERAGE))
        # Too few rows to promise the coverage: the largest error is the honest best.
        return {**memory, "error": float(errors[min(rank, len(errors)) - 1])}

    def decode(self, outputs: Arrays, memory: Memory) -> list[Answer]:
        values = outputs["logits"][:, 0].astype(np.float64) * memory["std"] + memory["mean"]
        reach = memory.get("error", 0.0) * memory["std"]
        return [NumberValue(value, value - reach, value + reach) for value in values.tolist()]

    def toy(self, rows: int = 48, seed: int = 0) -> Rows:
        draw = random.Random(seed)
        rooms = [draw.randint(1, 9) for _ in range(rows)]
        towns = [draw.choice(["Guilin", "Xing'an"]) for _ in range(rows)]
        prices = [
            50.0 * count + (120.0 if town == "Guilin" else 0.0) + draw.gauss(0, 2)
            for count, town in zip(rooms, towns, strict=True)
        ]
        return Rows(
            {"rooms": [float(count) for count in rooms], "town": towns, "target": [round(p, 2) for p in prices]}
        )
