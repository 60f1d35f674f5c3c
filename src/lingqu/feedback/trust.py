"""How far a principal's labels agree with those of trusted labellers.

Beta posterior of the agreement, from a uniform prior: mean (agreed + 1) / (seen + 2). It starts at one half, so that a
stranger is neither believed nor disbelieved, and it is the lower bound that a rule may lean on (Gelman et al., Bayesian
Data Analysis, section 2.4).

>>> Trust(agreed=9, seen=10).mean
0.8333333333333334
>>> round(Trust(agreed=9, seen=10).low, 2), round(Trust(0, 0).low, 2)
(0.64, 0.05)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from lingqu.statistics.beta import incomplete_beta

_HALVINGS = 40


@dataclass(frozen=True, slots=True)
class Trust:
    """How often a principal agreed with a trusted label, of how many that both gave."""

    agreed: int = 0
    seen: int = 0

    @property
    def mean(self) -> float:
        """The expected agreement."""
        return (self.agreed + 1) / (self.seen + 2)

    @property
    def low(self) -> float:
        """The agreement that is exceeded with probability 0.95."""
        return _low(self.agreed, self.seen)


@lru_cache(maxsize=4096)
def _low(agreed: int, seen: int) -> float:
    """Kept, for most principals share few counts and every label of theirs asks."""
    below, above = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (below + above) / 2
        if incomplete_beta(agreed + 1, seen - agreed + 1, middle) < 0.05:
            below = middle
        else:
            above = middle
    return below


def trust_of(given: Iterable[tuple[str, str, str]], trusted: Mapping[str, str]) -> dict[str, Trust]:
    """The trust in each principal, from (principal, prediction, label) and the trusted label of some predictions.

    >>> trust_of([("anna", "p1", "spam"), ("anna", "p2", "ham"), ("ben", "p9", "ham")], {"p1": "spam", "p2": "spam"})
    {'anna': Trust(agreed=1, seen=2), 'ben': Trust(agreed=0, seen=0)}
    """
    counts: dict[str, list[int]] = {}
    for principal, prediction, label in given:
        told = counts.setdefault(principal, [0, 0])
        if prediction in trusted:
            told[0] += trusted[prediction] == label
            told[1] += 1
    return {principal: Trust(*told) for principal, told in counts.items()}
