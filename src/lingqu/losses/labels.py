"""Losses for labels.

>>> import torch
>>> round(float(cross_entropy(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))), 4)
0.6931
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

HALF = 0.5


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


def binary_cross_entropy(
    outputs: Tensor, targets: Tensor, *, weights: Tensor | None = None, smoothing: float = 0.0
) -> Tensor:
    """Mean of -log p(right decision) over rows and labels, each label yes or no; logits (B, K), targets 0 or 1 (B, K).

    With `smoothing` s a yes is worth 1 - s/2 and a no s/2. With `weights` (2, K) the no and the yes of each label count as
    they say.

    >>> import torch
    >>> round(float(binary_cross_entropy(torch.zeros(1, 3), torch.tensor([[1.0, 0.0, 1.0]]))), 4)
    0.6931
    """
    wanted = targets.float() * (1 - smoothing) + smoothing / 2
    each = None if weights is None else torch.where(targets > HALF, weights[1], weights[0])
    return functional.binary_cross_entropy_with_logits(outputs.float(), wanted, weight=each)
