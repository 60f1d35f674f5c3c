"""A small convolutional network: blocks of convolution, normalisation and ReLU, halving the picture between them.

    pixels → standardise → [conv 3x3 → halve → norm → ReLU → conv 3x3 → norm → ReLU] … → mean and max over what is left → dropout → linear

Sources: LeCun et al. 1998, "Gradient-based learning applied to document recognition"; Simonyan and Zisserman 2015,
arXiv 1409.1556 (stacks of 3x3); Ioffe and Szegedy 2015, arXiv 1502.03167 (normalisation by batch, which in use is a
fixed scale and shift, so that a picture's answer never depends on its neighbours).
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from lingqu.models.family import Facts, Family, Settings


class Block(nn.Sequential):
    """Two 3x3 convolutions with half the size between them, each normalised and cut at zero.

    (B, I, H, W) to (B, O, H/2, W/2).

    >>> Block(3, 8)(torch.zeros(2, 3, 6, 6)).shape
    torch.Size([2, 8, 3, 3])
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.MaxPool2d(2),  # before the norm, so that norm and ReLU have a quarter of the work
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        )


class CNN(nn.Module):
    """Blocks of growing width, pooled by mean and maximum, and a linear layer.

    >>> network = CNN((1, 8, 8), [0.5], [0.25], outputs=3, width=8)
    >>> network.eval()(pixels=torch.zeros(2, 1, 8, 8, dtype=torch.uint8)).shape
    torch.Size([2, 3])
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        shape: tuple[int, int, int],
        mean: list[float],
        std: list[float],
        outputs: int,
        *,
        width: int = 32,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        channels, height, wide = shape
        self.register_buffer("mean", 255 * torch.tensor(mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("scale", 1 / (255 * torch.tensor(std).view(1, -1, 1, 1)), persistent=False)
        # Halve until a few pixels are left: 8 → 2, 28 → 7, 64 → 4; width doubles as the picture halves.
        side = min(height, wide)
        halvings = max(1, min(5, int(math.log2(side)), max(2, round(math.log2(side / 5)))))
        widths = [channels, *(width * 2 ** min(i, 3) for i in range(halvings))]
        self.blocks = nn.Sequential(*(Block(a, b) for a, b in pairwise(widths)))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * widths[-1], outputs)

    def features(self, pixels: Tensor) -> Tensor:
        """What the head sees: mean and maximum of each channel, (B, 2 F)."""
        maps = self.blocks((pixels.float() - self.mean) * self.scale)  # (B, F, H', W')
        return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], dim=1)

    def forward(self, pixels: Tensor) -> Tensor:
        """`pixels` uint8 (B, C, H, W); logits (B, K)."""
        return self.head(self.dropout(self.features(pixels)))


def build(facts: Facts, settings: Settings) -> CNN:
    """The untrained network for these pictures."""
    front = facts.front
    return CNN(
        (front["channels"], front["height"], front["width"]),
        front["mean"],
        front["std"],
        facts.outputs,
        width=settings["width"],
        dropout=settings["dropout"],
    )


_TRAINING = {
    "least_steps": 400,
    "batch_size": 256,
    "learning_rate": 0.01,
    "weight_decay": 0.05,
    "schedule": "one-cycle",
    "smoothing": 0.05,
    "patience": 0,
    "bf16": True,
    "augment": ["flip", "shift"],
}

FAMILY = Family(
    name="cnn",
    about="A small convolutional network, trained from nothing.",
    fronts={"pixels": {"tiny": {"side": 32}, "small": {"side": 64}, "medium": {"side": 96}, "large": {"side": 128}}},
    sizes={
        "tiny": {"width": 8, "shift": 2, "dropout": 0.0, "epochs": 4, **_TRAINING, "least_steps": 200},
        "small": {"width": 16, "shift": 2, "dropout": 0.1, "epochs": 6, **_TRAINING},
        "medium": {"width": 32, "shift": 2, "dropout": 0.1, "epochs": 12, **_TRAINING},
        "large": {"width": 64, "shift": 3, "dropout": 0.2, "epochs": 20, **_TRAINING},
    },
    build=build,
)
