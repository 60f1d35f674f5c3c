"""Which split a row is in: decided by a keyed hash of its group, before anyone looks at labels or models.

>>> assign(["a", "b", "c", "a"], test=0.3, validation=0.3, seed=0)
['validation', 'train', 'train', 'validation']
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence

import numpy as np

SPLITS = ("train", "validation", "test")


def place(key: str, seed: int = 0) -> float:
    """Where a group stands in [0, 1): keyed BLAKE2b of its key, so it depends on nothing but the group and the seed.

    >>> 0 <= place("a") < 1 and place("a") == place("a") != place("a", seed=1)
    True
    """
    digest = hashlib.blake2b(key.encode(), digest_size=8, key=f"lingqu split {seed}".encode()).digest()
    return int.from_bytes(digest) / 2**64


def assign(keys: Sequence[str], *, validation: float, test: float, seed: int = 0) -> list[str]:
    """The split of each row by the key of its group."""
    known: dict[str, str] = {}
    for key in keys:
        if key not in known:
            where = place(key, seed)
            known[key] = "test" if where < test else "validation" if where < test + validation else "train"
    return [known[key] for key in keys]


def assign_by_time(keys: Sequence[Hashable], times: Sequence[float], *, validation: float, test: float) -> list[str]:
    """The latest rows test, those before them validate, the earliest train; groups and equal times stay whole.

    A group stands where its latest row stands, so that nothing in train is later than what it is tested on.

    >>> assign_by_time(["a", "b", "c", "d"], [1, 2, 3, 4], validation=0.25, test=0.25)
    ['train', 'train', 'validation', 'test']
    """
    count = len(keys)
    if not count:
        return []
    _, group = np.unique(np.asarray(keys), return_inverse=True)
    latest = np.full(group.max() + 1, -np.inf)
    np.maximum.at(latest, group, np.asarray(times, np.float64))
    latest = latest[group]
    ordered = np.sort(latest)[::-1]
    # Bounds are times, so equal times cannot be torn apart; at least one row goes to each of the two.
    test_from = ordered[min(max(round(test * count), 1), count) - 1]
    before = ordered[ordered < test_from]
    wanted = min(max(round(validation * count), 1), len(before))
    validation_from = before[wanted - 1] if len(before) else test_from
    late = (latest >= validation_from).astype(np.int64) + (latest >= test_from)
    return [("train", "validation", "test")[place] for place in late.tolist()]
