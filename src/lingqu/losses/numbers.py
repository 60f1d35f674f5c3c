"""Losses for numbers; targets are standardised, so that 1 is one standard deviation.

>>> import torch
>>> float(squared(torch.tensor([[3.0]]), torch.tensor([1.0])))
4.0
>>> float(huber(torch.tensor([[3.0]]), torch.tensor([1.0])))
1.5
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def squared(outputs: Tensor, targets: Tensor, *, weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Mean of (prediction - target)²; predictions (B, 1), targets (B,). Finds the mean; prefer `huber` with outliers.

    >>> import torch
    >>> float(squared(torch.tensor([[1.0], [2.0]]), torch.tensor([1.0, 4.0])))
    2.0
    """
    return functional.mse_loss(outputs.float().squeeze(1), targets)


def huber(outputs: Tensor, targets: Tensor, *, weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Mean of d²/2 where |d| <= 1, else |d| - 1/2 (Huber 1964): one wild row pulls with a bounded force.

    >>> import torch
    >>> float(huber(torch.tensor([[0.5]]), torch.tensor([0.0])))
    0.125
    """
    return functional.huber_loss(outputs.float().squeeze(1), targets)
