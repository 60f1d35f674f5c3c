"""The loss of a network that knows itself what it should have said, as one that fills in words it was not shown."""

from __future__ import annotations

from torch import Tensor


def own(outputs: Tensor, targets: Tensor, *, weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """The mean of what the network answers, (B, 1): each row's own loss. Targets are not looked at.

    >>> import torch
    >>> float(own(torch.tensor([[1.0], [3.0]]), torch.zeros(2)))
    2.0
    """
    return outputs.float().mean()
