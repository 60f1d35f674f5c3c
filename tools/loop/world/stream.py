"""One seed of a product's world: who asks what and when, what the world is by then, and what its users would say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.loop.world.products import Product

Array = NDArray[Any]
ANSWERS, SHIFTS, A_DAY = 13_000, (3000, 8000), 500
USERS, NOISY, HOSTILE = 400, 0.10, 0.05
COMPLAINS, CONFIRMS, NOISE = 0.5, 0.1, 0.3
"""How often an honest user says the right label after a wrong answer and after a right one; how often a noisy one speaks."""
DELAY, AUDIT_DELAY = 300.0, 100.0
"""After how many answers, in the mean, a user's label and an audit label come."""
AUDIT = 0.10
ACTIVE = 4.0
"""How many times as much as others a hostile user sends: they came for it."""
BASE, VALIDATION, GATE, HIDDEN = 2000, 300, 1500, 2000
HONEST, IS_NOISY, IS_HOSTILE = 0, 1, 2


@dataclass(frozen=True, eq=False)
class World:
    """One product with one seed; rows are places in the product's arrays, and no row is in two of these."""

    product: Product
    seed: int
    base: Array
    validation: Array
    gate: Array
    hidden: tuple[Array, Array, Array]
    """A large sample of each of the three worlds that only the report sees; the last two are the same rows."""
    stream: Array
    new: Array
    """Whether each answer's input is of the new kind."""
    user: Array
    role: Array
    lie: int
    """The label that the hostile users say of every answer they get."""
    draws: Array
    """Uniform draws for each answer: whether its user speaks, what a noisy one says, and whether the audit asks."""
    delays: Array
    """After how many answers the user's and the audit's label come, (answers, 2)."""

    @classmethod
    def drawn(cls, product: Product, seed: int, active: float = ACTIVE) -> World:
        """The world of this seed, where a hostile user sends `active` times as much as others."""
        rng = np.random.default_rng([seed, 77])
        waiting = [
            rng.permutation(np.flatnonzero(product.truth == label)).tolist() for label in range(len(product.labels))
        ]

        def take(count: int, mix: Array) -> Array:
            taken = []
            for label in rng.choice(len(mix), count, p=mix):
                if not waiting[label]:
                    held = np.array([len(rows) > 0 for rows in waiting]) * mix
                    label = rng.choice(len(mix), p=held / held.sum())
                taken.append(waiting[label].pop())
            return np.array(taken)

        before, after = product.mixes
        base, validation, gate = take(BASE, before), take(VALIDATION, before), take(GATE, before)
        first, later = take(HIDDEN, before), take(HIDDEN, after)
        stream = np.concatenate([take(SHIFTS[0], before), take(ANSWERS - SHIFTS[0], after)])
        role = np.zeros(USERS, dtype=int)
        role[: int(USERS * NOISY)] = IS_NOISY
        role[int(USERS * NOISY) : int(USERS * (NOISY + HOSTILE))] = IS_HOSTILE
        common = np.argsort(-after)[:4]
        lie = int((rng.choice(common, 2, replace=False) if len(common) > 1 else common)[-1])
        sends = np.where(role == IS_HOSTILE, active, 1.0)
        delays = np.stack([rng.exponential(mean, ANSWERS) for mean in (DELAY, AUDIT_DELAY)], axis=1)
        return cls(
            product,
            seed,
            base,
            validation,
            gate,
            (first, later, later),
            stream,
            np.arange(ANSWERS) >= SHIFTS[1],
            rng.choice(USERS, ANSWERS, p=sends / sends.sum()),
            role,
            lie,
            rng.random((ANSWERS, 3)),
            delays,
        )

    def world(self, now: int) -> int:
        """Which of the three worlds it is after so many answers."""
        return sum(now >= shift for shift in SHIFTS)

    def features(self, rows: Array, new: Array | bool = False) -> Array:
        """The features of rows, of the new kind where `new`."""
        if isinstance(new, bool):
            return (self.product.new if new else self.product.usual)[rows]
        return np.where(new[:, None], self.product.new[rows], self.product.usual[rows])

    def of_hidden(self, number: int) -> tuple[Array, Array]:
        """Features and truth of the large sample of a world."""
        rows = self.hidden[number]
        return self.features(rows, number == 2), self.product.truth[rows]

    def says(self, asked: int, answered: int) -> int | None:
        """What the user of this answer says is right, by the place of the label; None who says nothing."""
        truth, role = int(self.product.truth[self.stream[asked]]), self.role[self.user[asked]]
        speaks, what = self.draws[asked, :2]
        if role == IS_HOSTILE:
            return self.lie
        if role == IS_NOISY:
            if speaks >= NOISE:
                return None
            return truth if what < 0.5 else int((what - 0.5) * 2 * len(self.product.labels))
        return truth if speaks < (CONFIRMS if answered == truth else COMPLAINS) else None
