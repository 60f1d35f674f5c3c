"""Makes loans.csv: 400 invented loans of invented people, by a rule with chance in it.

Run it to make them anew: python make.py
"""

from __future__ import annotations

import csv
import math
import random
from pathlib import Path
from typing import Any

JOBS = {"nurse": 0.5, "teacher": 0.6, "driver": 0.0, "cook": -0.2, "student": -0.8, "": -0.3}


def loan(chance: random.Random) -> dict[str, Any]:
    """One loan: paid with probability 1 / (1 + exp(-s)), where s grows with income and age and falls with debt."""
    age = chance.randint(19, 70)
    income = round(chance.lognormvariate(3.5, 0.4), 1)
    amount = round(income * chance.uniform(0.1, 1.5), 1)
    months = chance.choice([6, 12, 24, 36, 48])
    late = min(chance.choice([0, 0, 0, 0, 1, 1, 2, 3]), 3)
    job = chance.choice(list(JOBS))
    purpose = chance.choice(["car", "home", "study", "travel"])
    score = 1.8 + JOBS[job] + (age - 40) / 30 - 2.2 * amount / income - 1.3 * late + 0.3 * (purpose == "home")
    paid = chance.random() < 1 / (1 + math.exp(-2 * score))
    told = {"age": age, "income": income, "amount": amount, "months": months, "late_payments": late}
    return {**told, "job": job, "purpose": purpose, "outcome": "paid" if paid else "default"}


def make(rows: int = 400, seed: int = 0) -> list[dict[str, Any]]:
    """All loans, the same ones for the same seed."""
    chance = random.Random(seed)
    return [loan(chance) for _ in range(rows)]


if __name__ == "__main__":
    loans = make()
    with Path(__file__).with_name("loans.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(loans[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(loans)
