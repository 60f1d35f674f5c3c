"""What a task promises: its columns, its answer, and the few functions that turn one into the other.

The same `encode` and `decode` run in training, evaluation, batch prediction and serving, so there is no second truth.
A task never imports torch: it names losses, metrics and model families, and the layers above find them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from lingqu.contract.answers import Answer
from lingqu.contract.columns import Column, Features
from lingqu.contract.rows import Rows

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, np.dtype[Any]]
    Arrays = dict[str, Array]

Memory = dict[str, Any]
"""What was learned from training rows (labels, vocabulary, scaling), as plain JSON values."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that training optimises: these parameters under this loss.

    `parameters` is the prefix of parameter names ("" for all); a GAN has two steps, a classifier has one.
    """

    loss: str
    parameters: str = ""


@dataclass(frozen=True, slots=True)
class Front:
    """How rows become arrays for one kind of model: a learned memory in, NumPy arrays out.

    `name` is a key of the closed table in `lingqu.data.fronts`; `settings` go to its `learn`.
    """

    name: str
    settings: Mapping[str, Any]


class Task(ABC):
    """A task, in one file.

    Class attributes say what comes in, what goes out and how it is judged; the methods say how.
    """

    name: ClassVar[str]
    """The Hub's pipeline tag."""
    about: ClassVar[str]
    """One sentence for `lingqu tasks`."""
    columns: ClassVar[tuple[Column, ...]]
    """What a request must hold."""
    target: ClassVar[Column]
    """What training rows hold besides."""
    answer: ClassVar[type[Answer]]
    fronts: ClassVar[tuple[str, ...]]
    """The fronts that can read the columns; a model family names those that can feed it."""
    ladder: ClassVar[tuple[str, ...]]
    """Model families from the cheapest to the dearest; the first is also the linear baseline of the report."""
    metrics: ClassVar[tuple[str, ...]]
    decide_by: ClassVar[str]
    """The metric that chooses between rungs and between champion and challenger."""

    @abstractmethod
    def learn(self, rows: Rows, front: Front) -> Memory:
        """What must be remembered to encode and decode, from training rows only."""

    @abstractmethod
    def encode(self, rows: Rows, memory: Memory) -> Arrays:
        """Request columns as named arrays, one row each along the first axis."""

    @abstractmethod
    def targets(self, rows: Rows, memory: Memory) -> Array:
        """The target column as one array: class indices (int64) or standardised numbers (float32), shape (rows,)."""

    @abstractmethod
    def steps(self) -> tuple[Step, ...]:
        """What the training loop optimises, in order."""

    @abstractmethod
    def decode(self, outputs: Arrays, memory: Memory) -> list[Answer]:
        """Model outputs as answers, one a row."""

    @abstractmethod
    def toy(self, rows: int = 48, seed: int = 0) -> Rows:
        """Tiny learnable rows for tests, documentation and `lingqu new`."""

    def calibrate(self, outputs: Arrays, targets: Array, memory: Memory) -> Memory:
        """The memory with what validation rows teach (temperature, error range); nothing unless a task says so."""
        return memory

    def outputs(self, memory: Memory) -> int:
        """How many numbers the network gives per row."""
        return len(memory["labels"]) if "labels" in memory else 1

    @property
    def takes_features(self) -> bool:
        """Whether the request is a table whose columns the data decides."""
        return any(isinstance(column, Features) for column in self.columns)
