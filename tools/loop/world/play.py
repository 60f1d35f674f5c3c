"""Let the policies live through one seed of a product's world."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lingqu.monitor.audit import asked as drawn_for_audit
from lingqu.statistics import mcnemar
from tools.loop.world.policies import Informed, Lingqu, Never, PointEstimate, Policy
from tools.loop.world.stream import ANSWERS, AUDIT, SHIFTS, World
from tools.loop.world.unseen import Unseen

STEP, BAD = 100, 0.01
POLICIES: dict[str, type[Policy]] = {
    "lingqu": Unseen,
    "gate": Lingqu,
    "never": Never,
    "point": PointEstimate,
    "informed": Informed,
}


@dataclass(frozen=True, eq=False)
class Life:
    """What became of one policy: its accuracy in the world of each moment, and its promotions."""

    accuracy: NDArray[Any]
    """On the large hidden sample of the world of that moment, every `STEP` answers."""
    promotions: list[tuple[int, float, float]]
    """When, the gain in accuracy on the hidden sample, and the p-value of "it is no worse"."""
    policy: Policy

    @property
    def bad(self) -> int:
        """Promotions of a version that is provably worse than the one before."""
        return sum(p < BAD for _, _, p in self.promotions)

    @property
    def after(self) -> float:
        """The mean accuracy after the first shift."""
        return float(self.accuracy[SHIFTS[0] // STEP :].mean())


def lived(world: World, kind: type[Policy]) -> Life:
    """One policy through one world."""
    policy = kind(world)
    features, secret = world.features(world.stream, world.new), f"{world.seed}".encode()
    truth = world.product.truth
    waiting: list[tuple[float, int, int, int]] = []
    accuracy, sure, of = [], policy.champion.sure(features), policy.champion
    right = _on_hidden(world, policy)
    for first in range(0, ANSWERS, STEP):
        if policy.champion is not of:
            of, sure, right = policy.champion, policy.champion.sure(features), _on_hidden(world, policy)
        accuracy.append(right[world.world(first)].mean())
        given = sure[first : first + STEP]
        policy.answered(first, given)
        for asked, row in enumerate(given, first):
            said = world.says(asked, int(row.argmax()))
            if said is not None:
                heapq.heappush(waiting, (asked + world.delays[asked, 0], asked, 0, said))
            if drawn_for_audit(f"{asked:032x}", AUDIT, secret):
                heapq.heappush(waiting, (asked + world.delays[asked, 1], asked, 1, int(truth[world.stream[asked]])))
        labels, audit = [], []
        while waiting and waiting[0][0] < first + STEP:
            _, asked, judges, said = heapq.heappop(waiting)
            if judges:
                audit.append(asked)
            else:
                labels.append((asked, said))
        policy.hears(first + STEP, labels, audit)
    moves = [(one.at, *gained(world, one.at, one.before, one.head)) for one in policy.promotions]
    return Life(np.array(accuracy), moves, policy)


def _on_hidden(world: World, policy: Policy) -> list[NDArray[Any]]:
    return [policy.champion.guess(features) == truth for features, truth in map(world.of_hidden, range(3))]


def gained(world: World, now: int, before: Any, after: Any) -> tuple[float, float]:
    """The gain of a promotion in the world of its moment, and the exact p-value against "it is no worse"."""
    features, truth = world.of_hidden(world.world(now))
    old, new = (head.guess(features) == truth for head in (before, after))
    return float(new.mean() - old.mean()), mcnemar(new, old).p
