"""Columns of a table as arrays: standardised numbers and category codes.

>>> rows = Rows({"age": [20.0, None, 40.0], "job": ["chef", "nurse", None]})
>>> memory = learn_table(rows, {"kinds": {"age": "number", "job": "category"}})
>>> arrays = encode_table(rows, memory)
>>> arrays["numbers"].tolist(), arrays["codes"].tolist()
([[-1.0], [nan], [1.0]], [[1], [2], [0]])
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from lingqu.contract import Memory, Rows

if TYPE_CHECKING:
    from lingqu.contract.task import Arrays


def learn_table(rows: Rows, settings: dict[str, Any]) -> Memory:
    """Mean and deviation of each number, names of each category: numbers by value, others from the most frequent.

    `kinds` says which column is a number and which a category (others are left out); a category keeps at most `most`
    names, those beyond are unknown. With `ordered` a category whose names are whole numbers (a postcode, a floor) is a
    number as well, so that a name never seen still has its neighbours.
    """
    kinds: dict[str, str] = settings["kinds"]
    most = settings.get("most", 255)
    numbers, categories = [], []
    for name, kind in kinds.items():
        present = [value for value in rows[name] if value is not None]
        if kind == "number":
            numbers.append(_scale(name, present))
        elif kind == "category":
            ranked = sorted(Counter(map(str, present)).items(), key=lambda item: (-item[1], item[0]))
            values = [value for value, _ in ranked[:most]]
            # Trees ask about codes in their order: names that are numbers keep theirs.
            numeric = all(value.isascii() and value.isdigit() for value in values)
            categories.append({"name": name, "values": sorted(values, key=int) if numeric else values})
            if numeric and values and settings.get("ordered"):
                numbers.append(_scale(name, [float(value) for value in present]))
    return {
        "numbers": numbers,
        "categories": categories,
        "cardinalities": [len(category["values"]) + 1 for category in categories],
    }


def _scale(name: str, present: list[Any]) -> dict[str, Any]:
    values = np.array(present or [0.0], np.float64)
    deviation = float(values.std())
    return {"name": name, "mean": float(values.mean()), "std": deviation if deviation > 1e-12 else 1.0}


def encode_table(rows: Rows, memory: Memory) -> Arrays:
    """`numbers` float32 (rows, N), NaN where missing, and `codes` int64 (rows, M), 0 where missing or unknown."""
    numbers = np.full((len(rows), len(memory["numbers"])), np.nan, np.float32)
    for place, number in enumerate(memory["numbers"]):
        values = np.array([_number(value) for value in rows[number["name"]]], np.float64)
        numbers[:, place] = (values - number["mean"]) / number["std"]
    codes = np.zeros((len(rows), len(memory["categories"])), np.int64)
    for place, category in enumerate(memory["categories"]):
        index = {value: code for code, value in enumerate(category["values"], 1)}
        codes[:, place] = [0 if v is None else index.get(str(v), 0) for v in rows[category["name"]]]
    return {"numbers": numbers, "codes": codes}


def _number(value: Any) -> float:
    """The value as a number, NaN where it is missing or a name."""
    try:
        return np.nan if value is None else float(value)
    except ValueError:
        return np.nan
