"""AdamW in forty lines: each weight has a stride of its own, and weights that nothing needs shrink.

    m ← β1 m + (1 - β1) g,   v ← β2 v + (1 - β2) g²,   w ← w - rate (decay · w + m̂ / (√v̂ + ε))

with m̂ = m / (1 - β1^t) and v̂ = v / (1 - β2^t). Kingma and Ba 2015, arXiv 1412.6980; Loshchilov and Hutter 2019,
arXiv 1711.05101. It gives what torch.optim.AdamW gives, and is here because that one imports torch's compiler first:
three seconds for nothing in every run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn


class AdamW:
    """The optimiser of some named parameters; matrices decay, biases and norms do not.

    >>> weight = nn.Parameter(torch.ones(1, 1)); weight.grad = torch.ones(1, 1)
    >>> optimiser = AdamW({"weight": weight}, decay=0.0)
    >>> optimiser.step(rate=0.1)
    >>> round(weight.item(), 4)
    0.9
    """

    def __init__(
        self,
        parameters: Mapping[str, nn.Parameter],
        *,
        decay: float,
        betas: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
    ) -> None:
        self.parameters = dict(parameters)
        self.decay, self.betas, self.epsilon = decay, betas, epsilon
        # The share of the rate that each parameter takes: layers that learned elsewhere move less than new ones.
        self.strides: Mapping[str, float] = {}
        self.steps = 0
        self.first = {name: torch.zeros_like(held) for name, held in self.parameters.items()}
        self.second = {name: torch.zeros_like(held) for name, held in self.parameters.items()}

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One stride along the gradients that are there."""
        self.steps += 1
        slow, slower = (1 - beta**self.steps for beta in self.betas)
        for name, held in self.parameters.items():
            if held.grad is None:
                continue
            first, second = self.first[name], self.second[name]
            own = rate * self.strides.get(name, 1.0)
            if held.ndim > 1:
                held.mul_(1 - own * self.decay)
            first.lerp_(held.grad, 1 - self.betas[0])
            second.mul_(self.betas[1]).addcmul_(held.grad, held.grad, value=1 - self.betas[1])
            held.addcdiv_(first, (second / slower).sqrt_().add_(self.epsilon), value=-own / slow)

    def tensors(self) -> dict[str, Tensor]:
        """Copies of all that it remembers, under flat names."""
        moments = {"first": self.first, "second": self.second}
        held = {f"{kind}/{name}": value.clone() for kind, table in moments.items() for name, value in table.items()}
        return {"steps": torch.tensor(self.steps), **held}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Puts back what `tensors` gave."""
        self.steps = int(tensors["steps"])
        for name in self.parameters:
            # Copied into place, so that each keeps its order in memory, and with it the bits of every sum.
            self.first[name].copy_(tensors[f"first/{name}"])
            self.second[name].copy_(tensors[f"second/{name}"])


@torch.no_grad()
def clip(parameters: Iterable[nn.Parameter], most: float) -> float:
    """Shortens the gradients, all together, to at most this length; the length before (Pascanu et al. 2013).

    >>> weight = nn.Parameter(torch.zeros(2)); weight.grad = torch.tensor([3.0, 4.0])
    >>> clip([weight], 1.0), [round(g, 4) for g in weight.grad.tolist()]
    (5.0, [0.6, 0.8])
    """
    gradients = [held.grad for held in parameters if held.grad is not None]
    length = float(torch.stack([gradient.norm() for gradient in gradients]).norm())
    # A length that is not a number compares as false: the caller sees it in the answer.
    if length > most:
        for gradient in gradients:
            gradient.mul_(most / length)
    return length
