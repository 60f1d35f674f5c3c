"""Losses for labels.

>>> import torch
>>> round(float(cross_entropy(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))), 4)
0.6931
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def cross_entropy(outputs: Tensor, targets: Tensor, *, weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Mean of -log p(right label); logits (B, K), class indices (B,).

    With `smoothing` s the wanted distribution is (1 - s) on the right label and s / K on all (Szegedy et al. 2016,
    arXiv 1512.00567): use it where labels are now and then wrong. With `weights`, each row counts as its class says,
    and the mean is over the weights. For rare classes prefer weights to resampling.

    >>> import torch
    >>> sure = torch.tensor([[9.0, 0.0]])
    >>> bool(cross_entropy(sure, torch.tensor([0]), smoothing=0.1) > cross_entropy(sure, torch.tensor([0])))
    True
    """
    # float32 even under autocast: log-sum-exp in bfloat16 loses three digits.
    return functional.cross_entropy(outputs.float(), targets, weight=weights, label_smoothing=smoothing)
