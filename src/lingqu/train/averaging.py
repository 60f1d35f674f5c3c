"""A running mean of the weights: the path swings around the valley, its mean lies nearer the floor.

    a ← a + (1 - d) (w - a),   d = min(decay, (1 + t) / (10 + t))

Polyak and Juditsky 1992; Izmailov et al. 2018, arXiv 1803.05407. The early means forget fast, for the first weights are
not worth remembering. Running statistics of norms are averaged with the weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """The running mean of a network's state; with a decay of 0 there is none, and the network speaks for itself.

    >>> network = nn.Linear(1, 1, bias=False); _ = nn.init.zeros_(network.weight)
    >>> mean = Average(network, decay=0.5)
    >>> _ = nn.init.ones_(network.weight); mean.update(0)
    >>> with mean.worn(): network.weight.item()
    0.8999999761581421
    >>> network.weight.item()
    1.0
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network, self.decay = network, decay
        held = network.state_dict() if decay else {}
        self.values = {name: value.clone() for name, value in held.items() if value.is_floating_point()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Moves the mean towards the network as it is after this step."""
        if not self.values:
            return
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        now = self.network.state_dict()
        for name, value in self.values.items():
            value.lerp_(now[name], share)

    @contextmanager
    def worn(self) -> Iterator[None]:
        """The network with its mean weights, for as long as the block lasts."""
        if not self.values:
            yield
            return
        own = {name: value.clone() for name, value in self.network.state_dict().items()}
        self.network.load_state_dict({**own, **self.values})
        try:
            yield
        finally:
            self.network.load_state_dict(own)

    def tensors(self) -> dict[str, Tensor]:
        """A copy of the mean."""
        return {name: value.clone() for name, value in self.values.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Puts back what `tensors` gave."""
        for name, value in self.values.items():
            value.copy_(tensors[name])
