"""A small residual network built for speed: good pictures in minutes on a processor.

    pixels → standardise → patches whitened (fixed) → GELU → stages → largest of each channel → linear / 9

    stage:  x → conv 3x3 → halve → norm → GELU → y,   y → conv 3x3 → norm → + y → GELU

Why it is quick: the first layer is not learned but computed. Neighbouring pixels are nearly equal, so gradients spend
their first epochs on undoing that; here the principal axes of small training patches, each scaled to variance one and
taken with both signs, do it before the first step. Convolutions begin as the identity (Dirac) where they can, norms
have a shift but no scale, and the answer is scaled down so that training starts from a cautious guess.

Sources: He et al. 2016, arXiv 1512.03385 (residual networks); Jordan 2024, arXiv 2404.00498 (airbench: whitening, Dirac
start, norms without scale); Hendrycks and Gimpel 2016, arXiv 1606.08415 (GELU).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lingqu.models.family import Examples, Facts, Family, Settings

PATCHED = 2000
"""So many training pictures give the patches whose axes are computed."""
AXES = 24
"""At most so many principal axes; the rest of a large patch is noise."""


class Norm(nn.BatchNorm2d):
    """Each channel to mean 0 and variance 1 over the batch, then a learned shift; no scale, the next layer has one.

    >>> Norm(2)(torch.randn(8, 2, 4, 4)).std().round().item()
    1.0
    """

    def __init__(self, channels: int) -> None:
        # Short runs need statistics that follow quickly: a fifth of each batch, where torch takes a tenth.
        super().__init__(channels, momentum=0.2)
        self.weight.requires_grad_(False)


class Stage(nn.Module):
    """Half the size, a new width, and one residual step; (B, I, H, W) to (B, O, H/2, W/2).

    >>> Stage(3, 8)(torch.zeros(2, 3, 6, 6)).shape
    torch.Size([2, 8, 3, 3])
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.wide = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = Norm(outputs)
        self.deep = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.deep_norm = Norm(outputs)
        nn.init.dirac_(self.wide.weight[: min(inputs, outputs)])

    def forward(self, maps: Tensor) -> Tensor:
        # Halved before the norm, so that norm and GELU have a quarter of the work.
        maps = functional.gelu(self.norm(functional.max_pool2d(self.wide(maps), 2)))
        return functional.gelu(maps + self.deep_norm(self.deep(maps)))


class ResNet(nn.Module):
    """Whitened patches, stages of growing width, and a linear layer on the largest answer of each channel.

    >>> network = ResNet((3, 8, 8), [0.5] * 3, [0.25] * 3, outputs=4, widths=(8, 16))
    >>> network.eval()(pixels=torch.zeros(2, 3, 8, 8, dtype=torch.uint8)).shape
    torch.Size([2, 4])
    """

    mean: Tensor
    scale: Tensor
    patches: Tensor

    def __init__(
        self,
        shape: tuple[int, int, int],
        mean: Sequence[float],
        std: Sequence[float],
        outputs: int,
        *,
        widths: Sequence[int],
        both_sides: bool = False,
    ) -> None:
        super().__init__()
        channels, height, wide = shape
        self.both_sides = both_sides
        self.register_buffer("mean", 255 * torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("scale", 1 / (255 * torch.tensor(std).view(1, -1, 1, 1)), persistent=False)
        # Larger pictures are looked at in coarser steps, so that the first and dearest stage never sees many more than 32 x 32.
        self.step = max(1, min(height, wide) // 32)
        # A patch of one channel needs more pixels to say anything.
        self.side = min(height, wide, self.step + (1 if channels > 1 else 2))
        axes = min(AXES, channels * self.side**2)
        # No parameter: whitening is computed by `prepare`, kept with the weights, and never moved by a gradient.
        self.register_buffer("patches", torch.zeros(2 * axes, channels, self.side, self.side))
        self.patch_bias = nn.Parameter(torch.zeros(2 * axes))
        left = (min(height, wide) - self.side) // self.step + 1
        halvings = max(1, min(len(widths), int(math.log2(left))))
        self.stages = nn.Sequential(*(Stage(a, b) for a, b in pairwise([2 * axes, *widths[:halvings]])))
        self.head = nn.Linear(widths[halvings - 1], outputs, bias=False)

    def features(self, pixels: Tensor) -> Tensor:
        """What the head sees: the largest answer of each channel, (B, F)."""
        maps = (pixels.float() - self.mean) * self.scale  # (B, C, H, W)
        if self.training:
            # Channels side by side in memory is what the processor's convolutions want; the exported graph orders its own.
            maps = maps.contiguous(memory_format=torch.channels_last)
        maps = functional.gelu(functional.conv2d(maps, self.patches, self.patch_bias, self.step))
        return self.stages(maps).amax((2, 3))

    def forward(self, pixels: Tensor) -> Tensor:
        """`pixels` uint8 (B, C, H, W); logits (B, K), in use those of both sides where mirror images mean the same."""
        logits = self._answer(pixels)
        if self.both_sides and not self.training:
            logits = (logits + self._answer(pixels.flip(3))) / 2
        return logits

    def _answer(self, pixels: Tensor) -> Tensor:
        return self.head(self.features(pixels)) / 9


def build(facts: Facts, settings: Settings) -> ResNet:
    """The untrained network for these pictures."""
    front = facts.front
    network = ResNet(
        (front["channels"], front["height"], front["width"]),
        front["mean"],
        front["std"],
        facts.outputs,
        widths=settings["widths"],
        both_sides=settings["both_sides"] and "flip" in settings.get("augment", ()),
    )
    return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def prepare(network: nn.Module, train: Examples) -> None:
    """Computes the first layer: the principal axes of training patches, each to variance one, with both signs.

    Patches x have covariance E diag(v) Eᵀ; the filters are the rows of ± diag(v + ε)^-½ Eᵀ of the largest v.
    """
    network = cast("ResNet", network)
    rows = np.linspace(0, len(train) - 1, min(PATCHED, len(train))).astype(int)
    pixels = torch.from_numpy(train.batch(rows)["pixels"])
    maps = (pixels.float() - network.mean) * network.scale
    patches = functional.unfold(maps, network.side, stride=max(1, network.side)).transpose(1, 2)  # (B, L, C · p · p)
    flat = patches.reshape(-1, patches.shape[2]).double()
    values, axes = torch.linalg.eigh(flat.T @ flat / len(flat))
    kept = len(network.patches) // 2
    # Axes that hardly vary (the border of digits) would be blown up to noise.
    scaled = axes.T.flip(0)[:kept] / (values.flip(0)[:kept, None] + 1e-2).sqrt()
    network.patches.copy_(torch.cat([scaled, -scaled]).view_as(network.patches))


_TRAINING = {
    "least_steps": 400,
    "batch_size": 256,
    "optimiser": "muon",
    "learning_rate": 0.01,
    "weight_decay": 0.05,
    "schedule": "one-cycle",
    "smoothing": 0.2,
    "ema": 0.0,
    "patience": 0,
    "bf16": True,
    "augment": ["flip", "shift"],
    "shift": 2,
}

FAMILY = Family(
    name="resnet",
    about="A residual network whose first layer is computed: the most accuracy per second for pictures.",
    fronts={"pixels": {"tiny": {"side": 32}, "small": {"side": 64}, "medium": {"side": 96}, "large": {"side": 128}}},
    sizes={
        "tiny": {"widths": [16, 32, 64], "both_sides": False, "epochs": 4, **_TRAINING, "least_steps": 200},
        "small": {"widths": [32, 64, 128], "both_sides": True, "epochs": 8, **_TRAINING},
        "medium": {"widths": [64, 128, 256], "both_sides": True, "epochs": 12, **_TRAINING},
        "large": {"widths": [64, 256, 256], "both_sides": True, "epochs": 24, **_TRAINING},
    },
    build=build,
    prepare=prepare,
)
