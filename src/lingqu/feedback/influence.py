"""How much of a round's training feedback may be whose: nobody's voice decides what a model becomes.

Of the rows that are new in this round, the newest are taken first as long as all of these hold: together they stay at or
below a fifth of the training rows; one principal gives at most a hundredth of them or 20 rows, whichever is more; rows
that are nearly the same give at most a twentieth; and no label's share of the training rows moves by more than five
points. Rows that a reviewer has decided on are the owner's own and count only towards the first and the last. Settled
rows, which the champion has learned from or trusted people were asked to label, are no news: they count as training rows. So
a world that moves is followed a step a round, and each step has a gate behind it.

>>> given = [Offer(f"{n}", "mallory", group=n, label="spam", reviewed=False) for n in range(100)]
>>> taken, left = within_caps(given, {"spam": 500, "ham": 500})
>>> len(taken), left["79"]
(20, 'cap: 20 rows of one principal in a round')
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor

SHARE_OF_ALL = 0.20
SHARE_OF_PRINCIPAL, LEAST_OF_PRINCIPAL = 0.01, 20
SHARE_OF_CLUSTER, LEAST_OF_CLUSTER = 0.05, 5
SHIFT_OF_LABEL = 0.05


@dataclass(frozen=True, slots=True)
class Offer:
    """A row that would train: whose it is, which rows are nearly the same (`group`), its label, whether a person who may
    decide has looked at it, and whether it is `settled`: no news to the champion.
    """

    id: str
    principal: str
    group: int
    label: str
    reviewed: bool
    settled: bool = False


def within_caps(offers: Sequence[Offer], base: Mapping[str, int]) -> tuple[list[Offer], dict[str, str]]:
    """The offers that may train this round, and for each other one why not; `offers` are given from the oldest on.

    `base` counts the training rows of each label; for numbers it is one entry, and no share can move.
    """
    settled = [offer for offer in offers if offer.settled]
    base = Counter(base) + Counter(offer.label for offer in settled)
    offers = [offer for offer in reversed(offers) if not offer.settled]
    rows = sum(base.values())
    most = floor(rows * SHARE_OF_ALL / (1 - SHARE_OF_ALL))
    per_principal = max(LEAST_OF_PRINCIPAL, floor(SHARE_OF_PRINCIPAL * rows))
    per_cluster = max(LEAST_OF_CLUSTER, floor(SHARE_OF_CLUSTER * min(most, len(offers))))
    whose: Counter[str] = Counter()
    clusters: Counter[int] = Counter()
    taken: list[Offer] = []
    left: dict[str, str] = {}
    for offer in offers:
        capped = not offer.reviewed
        if len(taken) >= most:
            left[offer.id] = f"cap: {most:,} rows of feedback beside {rows:,} training rows"
        elif capped and whose[offer.principal] >= per_principal:
            left[offer.id] = f"cap: {per_principal:,} rows of one principal in a round"
        elif capped and clusters[offer.group] >= per_cluster:
            left[offer.id] = f"cap: {per_cluster:,} rows that are nearly the same"
        else:
            taken.append(offer)
            whose[offer.principal] += capped
            clusters[offer.group] += capped
    return [*settled, *_level(taken, base, left)], left


def _level(taken: list[Offer], base: Mapping[str, int], left: dict[str, str]) -> list[Offer]:
    """The oldest new rows of a label go, one by one, until its share has moved by no more than it may; `left` hears which.

    Each step takes a row of the label that has grown most, so that it ends: with no feedback no share has moved.
    """
    rows = sum(base.values())
    if len(base) < 2 or not rows:
        return taken
    counts = Counter(base) + Counter(offer.label for offer in taken)
    total = rows + len(taken)
    waiting = {label: [offer for offer in taken if offer.label == label] for label in counts}
    gone: set[str] = set()
    while True:
        moved = {label: counts[label] / total - base.get(label, 0) / rows for label in counts if waiting[label]}
        grown = max(moved, key=lambda label: moved[label], default=None)
        shrunk = min((counts[label] / total - base.get(label, 0) / rows for label in counts), default=0.0)
        if grown is None or (moved[grown] <= SHIFT_OF_LABEL and shrunk >= -SHIFT_OF_LABEL):
            break
        offer = waiting[grown].pop()
        gone.add(offer.id)
        left[offer.id] = f"cap: the share of '{grown}' would move by more than {100 * SHIFT_OF_LABEL:.0f} points"
        counts[grown] -= 1
        total -= 1
    return [offer for offer in taken if offer.id not in gone]
