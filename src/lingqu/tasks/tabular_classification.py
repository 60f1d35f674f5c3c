"""Which class does this row of a table belong to? Credit scoring, fraud, churn.

>>> from lingqu.contract import Front
>>> task = TabularClassification()
>>> rows = task.toy(6)
>>> memory = task.learn(rows, Front("table", {"kinds": {"income": "number", "job": "category"}}))
>>> task.encode(rows, memory)["codes"].shape
(6, 1)
"""

from __future__ import annotations

import random

from lingqu.contract import Features, Rows
from lingqu.data.labels import LabelTask


class TabularClassification(LabelTask):
    """Numbers and categories → Label.

    >>> TabularClassification().takes_features
    True
    """

    name = "tabular-classification"
    about = "One label for one row of a table: credit scoring, fraud, churn."
    columns = (Features("features", "Every column that is not the label, each a number or a category."),)
    fronts = ("table",)
    ladder = ("logistic", "boosting", "blend", "mlp")
    decide_by = "roc_auc"

    def toy(self, rows: int = 48, seed: int = 0) -> Rows:
        draw = random.Random(seed)
        good = [number % 2 == 0 for number in range(rows)]
        return Rows(
            {
                "income": [round(draw.gauss(52 if paid else 30, 3), 2) for paid in good],
                "job": [draw.choice(["nurse", "chef"] if paid else ["pilot", "chef"]) for paid in good],
                "label": ["paid" if paid else "late" for paid in good],
            }
        )
