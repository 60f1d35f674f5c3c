"""Muon: momentum made orthogonal, so that a matrix moves by the same length in every direction it can move.

    M ← μ M + G,   W ← W - rate (decay · W + 0.2 √max(n, m) · NS(G + μ M))

A gradient's few large directions drown the many small ones. NS replaces its singular values by about 1 with five
Newton-Schulz iterations X ← a X + (b A + c A²) X, A = X Xᵀ, which are matrix products only: no decomposition. Filters
count as matrices (outputs, inputs · height · width). Biases, norms, embeddings and the head stay with AdamW, as the
source advises.

Sources: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; the factor 0.2 √max(n, m), which
gives strides as long as AdamW's and so one learning rate for both, is of Liu et al. 2025, arXiv 2502.16982.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lingqu.train.adamw import AdamW

APART = ("head", "embed")
"""Parameters whose name begins so are no matrices of hidden layers, whatever their shape."""


class Muon:
    """The optimiser of some named parameters: Muon for hidden matrices and filters, AdamW for all the others.

    >>> weight = nn.Parameter(torch.zeros(2, 2)); weight.grad = torch.tensor([[9.0, 0.0], [0.0, 0.1]])
    >>> Muon({"weight": weight}, decay=0.0).step(rate=1.0)
    >>> (weight.diagonal() / (-0.2 * 2**0.5)).round().tolist()
    [1.0, 1.0]
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], *, decay: float, momentum: float = 0.9) -> None:
        self.decay, self.momentum = decay, momentum
        self.parameters = dict(parameters)
        self.matrices = {n: p for n, p in parameters.items() if p.ndim > 1 and not n.startswith(APART)}
        self.rest = AdamW({n: p for n, p in parameters.items() if n not in self.matrices}, decay=decay)
        self.speed = {name: torch.zeros_like(held) for name, held in self.matrices.items()}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One stride along the gradients that are there."""
        for name, held in self.matrices.items():
            if held.grad is None:
                continue
            speed = self.speed[name].mul_(self.momentum).add_(held.grad)
            ahead = held.grad.add(speed, alpha=self.momentum).flatten(1)  # (outputs, inputs · height · width)
            length = 0.2 * max(ahead.shape) ** 0.5
            held.mul_(1 - rate * self.decay)
            held.add_(orthogonal(ahead).view(held.shape), alpha=-rate * length)
        self.rest.step(rate)

    def tensors(self) -> dict[str, Tensor]:
        """Copies of all that it remembers, under flat names."""
        speed = {f"speed/{name}": value.clone() for name, value in self.speed.items()}
        return {**speed, **{f"rest/{name}": value for name, value in self.rest.tensors().items()}}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Puts back what `tensors` gave."""
        for name, value in self.speed.items():
            value.copy_(tensors[f"speed/{name}"])
        self.rest.restore({name[5:]: value for name, value in tensors.items() if name.startswith("rest/")})


def orthogonal(matrix: Tensor, steps: int = 5) -> Tensor:
    """The matrix with its singular values brought near 1 (0.7 to 1.2), directions kept; (n, m) in and out.

    >>> near = torch.linalg.svdvals(orthogonal(torch.diag(torch.tensor([5.0, 1.0, 0.2]))))
    >>> bool((near > 0.6).all() and (near < 1.3).all())
    True
    """
    a, b, c = 3.4445, -4.7750, 2.0315  # chosen by Jordan for the steepest rise at 0, not for convergence to exactly 1
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / (x.norm() + 1e-7)  # below 1 in every direction, else the iteration runs away
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x
