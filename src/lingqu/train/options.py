"""What the user may decide about training; None leaves it to the family's size.

>>> options = TrainOptions(epochs=3)
>>> options.over({"epochs": 8, "batch_size": 64})
{'epochs': 3, 'batch_size': 64, 'class_weights': 'none'}
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FEW = 2000
"""Below so many rows one thread does all the work."""

SETTINGS = {
    "epochs": "epochs",
    "batch_size": "batch_size",
    "learning_rate": "learning_rate",
    "weight_decay": "weight_decay",
    "patience": "patience",
    "optimiser": "optimiser",
    "schedule": "schedule",
    "accumulate": "accumulate",
    "label_smoothing": "smoothing",
    "ema": "ema",
}
"""The user's word -> the family's setting that it stands over."""

USUAL: dict[str, Any] = {"optimiser": "adamw", "accumulate": 1, "ema": 0.0, "augment": [], "shift": 2}
"""What the loop does where neither the family nor the user says anything."""


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """How to train. The same number of `threads` gives the same bits on the same machine; None lets the rows decide.

    `seconds` bounds the loop: the number of steps is fitted to it by timing the first ones. `checkpoint_steps` is how
    many steps a kill can cost at most.

    >>> TrainOptions(threads=1).threads_for(rows=60_000), TrainOptions().threads_for(rows=100)
    (1, 1)
    """

    method: str = "auto"
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    patience: int | None = None
    optimiser: str | None = None
    schedule: str | None = None
    accumulate: int | None = None
    label_smoothing: float | None = None
    ema: float | None = None
    augment: str | Sequence[str] = "auto"
    clip: float = 1.0
    class_weights: str = "none"
    precision: str = "auto"
    seed: int = 0
    threads: int | None = None
    seconds: float | None = None
    checkpoint_steps: int = 250

    def threads_for(self, rows: int) -> int:
        """How many threads compute: follows from the rows, never from what happens to be idle.

        Small work on two threads is slower than on one, and on a busy machine twenty times slower: each of thousands of
        tiny operations waits for a thread that is not running.
        """
        return self.threads or (1 if rows < FEW else min(2, os.cpu_count() or 1))

    def over(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The family's settings with what the user decided put over them."""
        said = {setting: getattr(self, word) for word, setting in SETTINGS.items() if getattr(self, word) is not None}
        return {**settings, **said, "class_weights": self.class_weights}
