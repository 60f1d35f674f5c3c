"""The deletion test: is an explanation faithful to the model?

The parts are taken away one after the other, the weightiest first, and the mean score on the way down is compared with
that of random orders. A faithful explanation brings the score down faster; `gain` is by how much, in log-odds or in the
number's own unit, and random orders against each other would give zero.
Source: Petsiuk et al. 2018, "RISE: Randomized Input Sampling for Explanation of Black-box Models" (deletion metric).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lingqu.bundle.occlusion import Apart, take_apart
from lingqu.contract import Refusal, Rows
from lingqu.evaluate.explain import weigh
from lingqu.evaluate.explain.scores import chosen_label, score
from lingqu.statistics import percentile

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle

STEPS = 8
ORDERS = 4


def deletion(bundle: Bundle, rows: Rows, *, background: Rows | None = None, seed: int = 0) -> dict[str, Any]:
    """The mean score on the way down in the explained and in random orders, and the gain with its 95 % interval over rows.

    `rows` are accepted rows. Rows that were refused, or that have fewer than two parts, are left out.
    """
    draw, pairs = np.random.default_rng(seed), []
    for i, answer in enumerate(bundle.predict(rows)):
        if isinstance(answer, Refusal):
            continue
        label = chosen_label(bundle, answer, None)
        for apart in take_apart(bundle, rows.row(i), background):
            if len(apart.shown) > 1:
                pairs.append(_falls(bundle, apart, label, draw))
    if not pairs:
        return {"rows": 0, "gain": {"value": None, "low": None, "high": None, "why": "no rows"}}
    explained, randomly = np.array(pairs).T
    gains = randomly - explained
    drawn = gains[draw.integers(0, len(gains), (2000, len(gains)))].mean(axis=1)
    low, high = percentile(drawn)
    gain = {"value": float(gains.mean()), "low": low, "high": high}
    return {"rows": len(pairs), "explained": float(explained.mean()), "random": float(randomly.mean()), "gain": gain}


def _falls(bundle: Bundle, apart: Apart, label: str | None, draw: np.random.Generator) -> tuple[float, float]:
    """The mean score while parts go, by weight and at random; for a number how far it is from where it was, turned round."""
    weights = np.array([part.weight for part in weigh(bundle, apart, label)])
    by_weight = np.argsort(-(weights if label is not None else np.abs(weights)), kind="stable")
    orders = [by_weight, *(draw.permutation(len(weights)) for _ in range(ORDERS))]
    cuts = np.unique(np.linspace(1, len(weights), min(STEPS, len(weights)) + 1).astype(int))[:-1]
    gone = [apart.remove([int(i) for i in order[:cut]]) for order in orders for cut in cuts]
    found = score(bundle, Rows.from_dicts([apart.row, *gone]), label).values
    rest = found[1:] if label is not None else -np.abs(found[1:] - found[0])
    means = rest.reshape(len(orders), -1).mean(axis=1)
    return float(means[0]), float(means[1:].mean())
