"""Losses, found by name: what a training step makes small.

>>> sorted(LOSSES)
['binary_cross_entropy', 'cross_entropy', 'huber', 'own', 'squared']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from lingqu.errors import Problem, UnknownNameError, near

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["LOSSES", "Loss", "find_loss"]


class Loss(Protocol):
    """The mean loss of a batch, a scalar; `weights` are per class, `smoothing` is for labels."""

    def __call__(
        self, outputs: Tensor, targets: Tensor, *, weights: Tensor | None = None, smoothing: float = 0.0
    ) -> Tensor: ...


LOSSES: dict[str, str] = {
    "cross_entropy": "lingqu.losses.labels:cross_entropy",
    "binary_cross_entropy": "lingqu.losses.labels:binary_cross_entropy",
    "squared": "lingqu.losses.numbers:squared",
    "huber": "lingqu.losses.numbers:huber",
    "own": "lingqu.losses.own:own",
}


def find_loss(name: str) -> Loss:
    """The loss of this name; UnknownNameError with the nearest right name.

    >>> find_loss("crossentropy")
    Traceback (most recent call last):
        ...
    lingqu.errors.UnknownNameError: Expected a loss that lingqu knows, found 'crossentropy'. Did you mean 'cross_entropy'?
    """
    if name not in LOSSES:
        raise UnknownNameError(Problem("a loss that lingqu knows", repr(name), near(name, LOSSES)))
    module, _, attribute = LOSSES[name].partition(":")
    return getattr(import_module(module), attribute)
