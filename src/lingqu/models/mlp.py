"""A multi-layer perceptron for tables: embedded categories beside the numbers, then residual layers.

    x = [numbers ; missing marks ; E_1[code_1] ; … ; E_M[code_M]],   h_0 = A x,   h_{i+1} = h_i + V_i gelu(U_i norm(h_i))

Sources: Guo and Berkhahn 2016, arXiv 1604.06737 (embedded categories); Gorishniy et al. 2021, arXiv 2106.11959
(residual networks hold their own on tables); Hendrycks and Gimpel 2016, arXiv 1606.08415 (GELU).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lingqu.models.family import Facts, Family, Settings

FAR = 8.0
"""Numbers are cut at this many deviations: one wild cell must not throw the whole row off."""


class Layer(nn.Module):
    """h + V gelu(U norm(h)); (B, D) in and out.

    >>> Layer(4, 8, 0.0)(torch.zeros(2, 4)).shape
    torch.Size([2, 4])
    """

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, hidden)
        self.down = nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor) -> Tensor:
        return h + self.dropout(self.down(functional.gelu(self.up(self.norm(h)))))


class MLP(nn.Module):
    """Residual layers over numbers, missing marks and embedded categories.

    >>> network = MLP(numbers=2, cardinalities=[3], outputs=2, width=8, layers=1, dropout=0.0)
    >>> network(numbers=torch.tensor([[0.5, float("nan")]]), codes=torch.tensor([[1]])).shape
    torch.Size([1, 2])
    """

    offsets: Tensor

    def __init__(
        self, numbers: int, cardinalities: list[int], outputs: int, *, width: int, layers: int, dropout: float
    ) -> None:
        super().__init__()
        # One table for all categories, all embedded alike; the codes of column j start at row offsets[j].
        each = 8 if cardinalities else 0
        starts = [sum(cardinalities[:place]) for place in range(len(cardinalities))]
        self.register_buffer("offsets", torch.tensor(starts, dtype=torch.int64), persistent=False)
        self.embedding = nn.Embedding(max(1, sum(cardinalities)), max(1, each))  # (C, 8)
        self.entry = nn.Linear(2 * numbers + each * len(cardinalities), width)
        self.layers = nn.Sequential(*(Layer(width, 2 * width, dropout) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, outputs)

    def features(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """What the head sees, (B, D)."""
        absent = torch.isnan(numbers)  # (B, N)
        filled = torch.where(absent, torch.zeros_like(numbers), numbers).clamp(-FAR, FAR)  # (B, N)
        inputs = [filled, absent.to(filled.dtype)]
        if len(self.offsets):
            inputs.append(self.embedding(codes + self.offsets).flatten(1))  # (B, M, 8) to (B, 8 M)
        return self.norm(self.layers(self.entry(torch.cat(inputs, dim=1))))

    def forward(self, numbers: Tensor, codes: Tensor) -> Tensor:
        """`numbers` float32 (B, N) with NaN where missing, `codes` int64 (B, M); scores (B, K)."""
        return self.head(self.features(numbers, codes))


def build(facts: Facts, settings: Settings) -> MLP:
    """The untrained network for these columns."""
    return MLP(
        len(facts.front["numbers"]),
        facts.front["cardinalities"],
        facts.outputs,
        width=settings["width"],
        layers=settings["layers"],
        dropout=settings["dropout"],
    )


_TRAINING = {
    "least_steps": 200,
    "batch_size": 256,
    "learning_rate": 0.002,
    "weight_decay": 0.02,
    "schedule": "one-cycle",
    "smoothing": 0.0,
    "patience": 5,
    "bf16": False,
}

FAMILY = Family(
    name="mlp",
    about="A residual multi-layer perceptron with embedded categories.",
    fronts={"table": {}},
    sizes={
        "tiny": {"width": 32, "layers": 1, "dropout": 0.1, "epochs": 15, **_TRAINING},
        "small": {"width": 64, "layers": 2, "dropout": 0.2, "epochs": 20, **_TRAINING},
        "medium": {"width": 128, "layers": 3, "dropout": 0.3, "epochs": 30, **_TRAINING},
        "large": {"width": 256, "layers": 4, "dropout": 0.3, "epochs": 40, **_TRAINING},
    },
    build=build,
)
