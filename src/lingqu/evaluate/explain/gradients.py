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
from tokenizers import Tokenizer
from torch import Tensor, nn

from lingqu.bundle.occlusion import CELLS
from lingqu.contract import Answer, LabelSet
from lingqu.errors import BundleError, Problem, RequestError
from lingqu.evaluate.explain.parts import Explanation, Part
from lingqu.evaluate.explain.scores import chosen_label, score

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle
    from lingqu.contract import Memory, Rows

STEPS = 32
OCCLUSION = "Explain it by occlusion, which is the default."
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


def integrated_gradients(
    network: nn.Module, memory: Memory, bundle: Bundle, row: Rows, label: str, *, steps: int = STEPS
) -> Gradients:
    """The weights of one accepted row for a label; BundleError when network and bundle score it differently.

    `memory` is what the network reads its rows with; the bundle's own may have lost words that nothing needs.
    RequestError for a network that reads neither pixels nor embedded tokens.
    """
    arrays = {name: torch.from_numpy(array) for name, array in bundle.task.encode(row, memory).items()}
    asked = _Odds(bundle.memory["labels"].index(label), bundle.memory.get("temperature", 1.0), bundle.task.answer)
    shipped = float(score(bundle, row, label).values[0])
    network.eval()
    own = float(asked(network(**arrays))[0].detach())
    if abs(own - shipped) > AGREE * max(1.0, abs(shipped)):
        found = f"{own:.4g} from the network and {shipped:.4g} from the bundle"
        raise BundleError(Problem("a network that scores as its bundle does", found, OCCLUSION))
    middle = (torch.arange(steps, dtype=torch.float32) + 0.5) / steps
    if "pixels" in arrays:
        weights, baseline = _of_pixels(network, arrays, middle, asked)
    else:
        weights, baseline = _of_tokens(network, arrays, middle, asked)
    return Gradients(weights, own, baseline, shipped)


def explain_by_gradients(
    network: nn.Module, memory: Memory, bundle: Bundle, rows: Rows, *, label: str | None = None
) -> list[Explanation]:
    """Explanations whose weights are integrated gradients: of tokens by their place in the text, of pictures by patch.

    `rows` are accepted rows with one text or one picture; the errors are those of `integrated_gradients`.
    """
    found: list[Explanation] = []
    for i, answer in enumerate(bundle.predict(rows)):
        row, asked = rows.take([i]), chosen_label(bundle, answer, label)
        if asked is None:
            raise RequestError(Problem("a model that answers with labels", "one that answers with a number", OCCLUSION))
        told = integrated_gradients(network, memory, bundle, row, asked)
        parts = sorted(_parts(memory, row, told.weights), key=lambda part: -abs(part.weight))
        found.append(Explanation(answer, asked, told.score, float(1 / (1 + np.exp(-told.score))), tuple(parts)))
    return found


def _parts(memory: Memory, row: Rows, weights: np.ndarray[Any, Any]) -> list[Part]:
    """Weights of pixels summed by patch, those of tokens with the characters that they stand for."""
    column = memory["front"]["column"]
    if weights.ndim == 3:
        edges = [np.round(np.linspace(0, side, CELLS + 1)).astype(int) for side in weights.shape[1:]]
        by_row = np.add.reduceat(weights.sum(axis=0), edges[0][:-1], axis=0)
        cells = np.add.reduceat(by_row, edges[1][:-1], axis=1)
        return [_part(column, "", cells[i, j], (j / CELLS, i / CELLS, (j + 1) / CELLS, (i + 1) / CELLS))
                for i in range(CELLS) for j in range(CELLS)]  # fmt: skip
    text = str(row[column][0])
    spans = Tokenizer.from_str(memory["front"]["tokenizer"]).encode(text).offsets[: len(weights)]
    return [
        _part(column, text[start:end], weight, (start, end))
        for (start, end), weight in zip(spans, weights, strict=False)
    ]


def _part(column: str, what: str, weight: float, place: tuple[float, ...]) -> Part:
    # What is left without a part is no question that a slope answers.
    return Part(column, what, float(weight), float("nan"), place)


@dataclass(frozen=True, slots=True)
class _Odds:
    """The log-odds log p - log(1 - p) of one label in logits (B, K), (B,); of an answer that is a set, its own logit."""

    place: int
    temperature: float
    answer: type[Answer]

    def __call__(self, logits: Tensor) -> Tensor:
        scaled = logits / self.temperature
        if self.answer is LabelSet:
            return scaled[:, self.place]
        others = torch.cat([scaled[:, : self.place], scaled[:, self.place + 1 :]], 1)
        return scaled[:, self.place] - others.logsumexp(1)


def _of_pixels(
    network: nn.Module, arrays: Mapping[str, Tensor], middle: Tensor, asked: _Odds
) -> tuple[np.ndarray[Any, Any], float]:
    pixels = arrays["pixels"].float()  # (1, C, H, W)
    nothing = pixels.mean(dim=(2, 3), keepdim=True).expand_as(pixels)
    path = (nothing + middle[:, None, None, None] * (pixels - nothing)).requires_grad_()  # (S, C, H, W)
    slopes = torch.autograd.grad(asked(network(pixels=path)).sum(), path)[0].mean(0)
    baseline = float(asked(network(pixels=nothing))[0].detach())
    return ((pixels - nothing)[0] * slopes).detach().numpy(), baseline


def _of_tokens(
    network: nn.Module, arrays: Mapping[str, Tensor], middle: Tensor, asked: _Odds
) -> tuple[np.ndarray[Any, Any], float]:
    """Through the first embedding: its output is scaled from nothing to all by a hook, all steps in one batch."""
    embedding = next((part for part in network.modules() if isinstance(part, nn.Embedding)), None)
    if embedding is None or "tokens" not in arrays:
        found = ", ".join(arrays)
        raise RequestError(Problem("a network that reads pixels or embedded tokens", found, OCCLUSION))
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
        scores = asked(network(**many))
    finally:
        hook.remove()
    slopes = torch.autograd.grad(scores[:-1].sum(), held[0])[0][:-1].mean(0)  # (T, D)
    return (held[1][0] * slopes).sum(1).detach().numpy(), float(scores[-1].detach())
