"""What a learning curve says in words: did training learn too little, too much, or enough?

The history has one entry an epoch, with the mean training loss and the loss on validation rows. The weights that ship are
those of the epoch whose validation loss was lowest.

>>> losses = [(0.9, 0.8), (0.6, 0.6), (0.4, 0.5), (0.2, 0.55), (0.1, 0.7)]
>>> diagnose([{"epoch": i, "loss": a, "validation": b} for i, (a, b) in enumerate(losses, 1)])["verdict"]
'overfits'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

LEAST_EPOCHS = 3
ROSE = 0.03
"""Validation loss this much above its lowest point, relatively, has risen."""
LEARNED = 0.02
"""And so is it only by more than this share of all that it had fallen by: near zero every wobble is a large ratio."""
FELL = 0.02
"""A last third of training that still takes off this much, relatively, has not levelled off."""


def diagnose(history: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The verdict, the epoch that was kept, and the numbers that it rests on; None where nothing was learned in epochs.

    `verdict` is overfits (validation rose from its lowest point while training went on falling), still-learning (it
    fell to the end), levelled-off, or too-short to tell.
    """
    known = [one for one in history if one.get("validation") is not None and one.get("loss") is not None]
    if not known:
        return None
    train = np.array([one["loss"] for one in known], float)
    valid = np.array([one["validation"] for one in known], float)
    best = int(valid.argmin())
    told = {
        "epochs": len(known),
        "best_epoch": int(known[best].get("epoch", best + 1)),
        "best": float(valid[best]),
        "last": float(valid[-1]),
        "train_at_best": float(train[best]),
        "train_last": float(train[-1]),
    }
    return {"verdict": _verdict(train, valid, best), **told}


def _verdict(train: np.ndarray[Any, Any], valid: np.ndarray[Any, Any], best: int) -> str:
    if len(valid) < LEAST_EPOCHS:
        return "too-short"
    rise = valid[-1] - valid[best]
    if rise > max(ROSE * valid[best], LEARNED * (valid[0] - valid[best])) and train[-1] < train[best]:
        return "overfits"
    start = min(len(valid) - 2, int(len(valid) * 2 / 3))
    still = valid[start] - valid[start:].min() > FELL * abs(valid[start])
    if best >= len(valid) - 2 and still:
        return "still-learning"
    return "levelled-off"
