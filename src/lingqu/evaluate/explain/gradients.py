"""Integrated gradients: the score's slope along the way from nothing to the input, on the network that was trained.

    weight_i = (x_i - b_i) · mean over a in (0, 1) of ∂score(b + a (x - b)) / ∂x_i

so that the weights sum to score(x) - score(b). For pictures x are pixels and b their blurred or mean picture, for tokens x
are their embeddings and b is zero. The network is the one in the store; it counts as the bundle's only where their scores agree.
Source: Sundararajan et al. 2017, "Axiomatic Attribution for Deep Networks", arXiv 1703.01365.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from lingqu.errors import BundleError, Problem, RequestError
from lingqu.evaluate.explain.scores import odds

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle
    from lingqu.contract import Rows

STEPS = 32
AGREE = 0.05
"""So far the scores of network and bundle may lie apart, relatively or in log-odds, for one to explain the other."""


@dataclass(frozen=True, slots=True, eq=False)
class Gradients:
    """The weights of one row: of pixels (C, H, W), or of tokens (T,); their sum should be `score - baseline`.

    >>> Gradients(np.array([1.0, 2.0]), 3.5, 0.5, 3.5).gap
    0.0
    """

    weights: np.ndarray[Any, Any]
    score: float
    baseline: float
    bundle_score: float

    @property
    def gap(self) -> float:
        """By how much the weights miss their sum: the error of so many steps."""
        return float(abs(self.weights.sum() - (self.score - self.baseline)))


def integrated_gradients(network: nn.Module, bundle: Bundle, row: Rows, label: str, *, steps: int = STEPS) -> Gradients:
    """The weights of one accepted row for a label; BundleError when network and bundle score it differently.

    RequestError for a network that reads neither pixels nor embedded tokens.
    """
    arrays = {name: torch.from_numpy(array) for name, array in bundle.task.encode(row, bundle.memory).items()}
    place, temperature = bundle.memory["labels"].index(label), bundle.memory.get("temperature", 1.0)
    shipped = float(odds(bundle.outputs(row)["logits"], place, temperature)[0])
    network.eval()
    own = float(_odds(network(**arrays), place, temperature)[0].detach())
    if abs(own - shipped) > AGREE * max(1.0, abs(shipped)):
        found = f"{own:.4g} from the network and {shipped:.4g} from the bundle"
        raise BundleError(
            Problem("a network that scores as its bundle does", found, "Explain the bundle by occlusion.")
        )
    middle = (torch.arange(steps, dtype=torch.float32) + 0.5) / steps
    if "pixels" in arrays:
        weights, baseline = _of_pixels(network, arrays, middle, place, temperature)
    else:
        weights, baseline = _of_tokens(network, arrays, middle, place, temperature)
    return Gradients(weights, own, baseline, shipped)


def _odds(logits: Tensor, place: int, temperature: float) -> Tensor:
    """The log-odds log p - log(1 - p), (B,)."""
    scaled = logits / temperature
    others = torch.cat([scaled[:, :place], scaled[:, place + 1 :]], 1)
    return scaled[:, place] - others.logsumexp(1)


def _of_pixels(
    network: nn.Module, arrays: Mapping[str, Tensor], middle: Tensor, place: int, temperature: float
) -> tuple[np.ndarray[Any, Any], float]:
    pixels = arrays["pixels"].float()  # (1, C, H, W)
    nothing = pixels.mean(dim=(2, 3), keepdim=True).expand_as(pixels)
    path = (nothing + middle[:, None, None, None] * (pixels - nothing)).requires_grad_()  # (S, C, H, W)
    slopes = torch.autograd.grad(_odds(network(pixels=path), place, temperature).sum(), path)[0].mean(0)
    baseline = float(_odds(network(pixels=nothing), place, temperature)[0].detach())
    return ((pixels - nothing)[0] * slopes).detach().numpy(), baseline


def _of_tokens(
    network: nn.Module, arrays: Mapping[str, Tensor], middle: Tensor, place: int, temperature: float
) -> tuple[np.ndarray[Any, Any], float]:
    """Through the first embedding: its output is scaled from nothing to all by a hook, all steps in one batch."""
    embedding = next((part for part in network.modules() if isinstance(part, nn.Embedding)), None)
    if embedding is None or "tokens" not in arrays:
        found = ", ".join(arrays)
        raise RequestError(Problem("a network that reads pixels or embedded tokens", found, "Explain it by occlusion."))
    share, held = torch.cat([middle, torch.zeros(1)]), []

    def scale(_module: nn.Module, _given: Any, out: Tensor) -> Tensor:
        if held or out.shape[0] != len(share):
            return out
        held.append((out * share[:, None, None]).detach().requires_grad_())  # (S + 1, T, D)
        held.append(out.detach())
        return held[0]

    many = {name: array.expand(len(share), *array.shape[1:]) for name, array in arrays.items()}
    hook = embedding.register_forward_hook(scale)
    try:
        scores = _odds(network(**many), place, temperature)
    finally:
        hook.remove()
    slopes = torch.autograd.grad(scores[:-1].sum(), held[0])[0][:-1].mean(0)  # (T, D)
    return (held[1][0] * slopes).sum(1).detach().numpy(), float(scores[-1].detach())
