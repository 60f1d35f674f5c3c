"""What the user may decide about training; None leaves it to the family's size.

>>> options = TrainOptions(epochs=3)
>>> options.over({"epochs": 8, "batch_size": 64})
{'epochs': 3, 'batch_size': 64, 'class_weights': 'none'}
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SETTINGS = ("epochs", "batch_size", "learning_rate", "weight_decay", "patience")


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """How to train. `threads` None means at most two, and the same number gives the same bits on the same machine.

    `seconds` bounds the loop: the number of steps is fitted to it by timing the first ones. `checkpoint_steps` is how
    many steps a kill can cost at most.

    >>> TrainOptions(threads=1).thread_count
    1
    """

    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    weight_decay: float | None = None
    patience: int | None = None
    clip: float = 1.0
    class_weights: str = "none"
    precision: str = "auto"
    seed: int = 0
    threads: int | None = None
    seconds: float | None = None
    checkpoint_steps: int = 200

    @property
    def thread_count(self) -> int:
        """How many threads compute: a fixed number, never what happens to be idle."""
        return self.threads or min(2, os.cpu_count() or 1)

    def over(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The family's settings with what the user decided put over them."""
        said = {name: getattr(self, name) for name in SETTINGS if getattr(self, name) is not None}
        return {**settings, **said, "class_weights": self.class_weights}
