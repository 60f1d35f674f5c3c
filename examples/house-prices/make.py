"""Makes houses.csv: 300 invented houses in invented streets, priced by a rule with chance in it.

Run it to make them anew: python make.py
"""

from __future__ import annotations

import csv
import random
from pathlib import Path
from typing import Any

QUARTERS = {"harbour": 1.35, "old town": 1.2, "hill": 1.0, "station": 0.85}


def house(chance: random.Random) -> dict[str, Any]:
    """One house: so much a square metre in its quarter, less for age, more for a garden, and what the day brings."""
    area = round(chance.uniform(45, 220))
    rooms = max(1, round(area / 28 + chance.gauss(0, 0.7)))
    built = chance.randint(1900, 2020)
    quarter = chance.choice(list(QUARTERS))
    garden = chance.choice(["yes", "no"])
    price = area * 3.1 * QUARTERS[quarter] * (1 - (2020 - built) / 400) + 12 * rooms + 40 * (garden == "yes")
    # One owner in ten does not know when the house was built.
    told = {"area": area, "rooms": rooms, "built": built if chance.random() > 0.1 else ""}
    return {**told, "quarter": quarter, "garden": garden, "price": round(price * chance.lognormvariate(0, 0.06), 1)}


def make(rows: int = 300, seed: int = 0) -> list[dict[str, Any]]:
    """All houses, the same ones for the same seed."""
    chance = random.Random(seed)
    return [house(chance) for _ in range(rows)]


if __name__ == "__main__":
    houses = make()
    with Path(__file__).with_name("houses.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(houses[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(houses)
