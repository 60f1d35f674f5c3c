"""A convolutional network for text: filters that look for phrases, wherever they stand.

A filter w of width k slides over the embedded words; its strongest match says whether its phrase occurs:

    c_t = relu(w · [E[x_t] ; … ; E[x_{t+k-1}]] + b),      feature = max_t c_t,      logits = W features + b

Nothing is carried from word to word, so all windows are computed at once: it trains faster than a recurrent network and
knows nothing of order beyond k words, which topics and much of sentiment do not need.

Sources: Kim 2014, arXiv 1408.5882; Kalchbrenner et al. 2014, arXiv 1404.2188 (windows that reach over both ends);
Zhang and Wallace 2015, arXiv 1510.03820 (which dials matter).

A filter that waits for the pair (5, 6) finds it at either end of a text and not in (6, 5):

>>> network = TextCNN(vocabulary=9, outputs=2, width=2, filters=1, widths=[2], dropout=0.0).eval()
>>> with torch.no_grad():
...     _ = network.embedding.weight[5].copy_(torch.tensor([1.0, 0.0]))
...     _ = network.embedding.weight[6].copy_(torch.tensor([0.0, 1.0]))
...     _ = network.convolutions[0].weight.copy_(torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]))  # 1 filter, 2 dims, 2 words
...     _ = network.convolutions[0].bias.fill_(-1.5)
...     [round(network.features(torch.tensor([pair]), torch.tensor([2])).item(), 3) for pair in ([5, 6], [6, 5])]
[0.5, 0.0]
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from lingqu.models.family import Facts, Family, Settings


class TextCNN(nn.Module):
    """Embedding, filters of several widths, the maximum of each over the text, linear.

    Padding is embedded as zeros and stands on both sides of every text, so that a text shorter than a filter has
    windows too; windows that hold nothing but padding do not count, whatever else is in the batch.

    >>> network = TextCNN(vocabulary=10, outputs=3, width=4, filters=5, widths=[3, 4], dropout=0.0).eval()
    >>> short = network(tokens=torch.tensor([[5]]), lengths=torch.tensor([1]))
    >>> padded = network(tokens=torch.tensor([[5, 0, 0, 0, 0, 0, 0]]), lengths=torch.tensor([1]))
    >>> short.shape, torch.allclose(short, padded, atol=1e-6)
    (torch.Size([1, 3]), True)
    """

    def __init__(
        self, vocabulary: int, outputs: int, *, width: int, filters: int, widths: Sequence[int], dropout: float
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=0)  # (V, D)
        self.convolutions = nn.ModuleList(nn.Conv1d(width, filters, k, padding=k - 1) for k in widths)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(filters * len(widths), outputs)
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            self.embedding.weight[0] = 0

    def features(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """What the head sees: how well each filter's phrase was found, (B, filters · number of widths)."""
        embedded = self.dropout(self.embedding(tokens)).transpose(1, 2)  # (B, D, T)
        found = []
        for convolution in self.convolutions:
            maps = functional.relu(convolution(embedded))  # (B, F, T + k - 1)
            # A row of length n has n + k - 1 windows; behind them lies the padding of the batch.
            windows = lengths + maps.shape[2] - tokens.shape[1]  # (B,)
            real = torch.arange(maps.shape[2], device=tokens.device).unsqueeze(0) < windows.unsqueeze(1)
            # After relu nothing is below 0, so a window that is set to 0 never is a maximum that counts.
            found.append((maps * real.unsqueeze(1).to(maps.dtype)).amax(2))  # (B, F)
        return torch.cat(found, dim=1)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """`tokens` int64 (B, T) with 0 for padding, `lengths` int64 (B,); logits (B, K)."""
        return self.head(self.dropout(self.features(tokens, lengths)))


ARGUMENTS = ("width", "filters", "widths", "dropout")
"""The settings that `TextCNN` takes."""


def build(facts: Facts, settings: Settings) -> TextCNN:
    """The untrained network for this vocabulary."""
    return TextCNN(facts.front["vocabulary"], facts.outputs, **{name: settings[name] for name in ARGUMENTS})


_TRAINING = {
    "least_steps": 200,
    "batch_size": 64,
    "weight_decay": 0.01,
    "schedule": "one-cycle",
    "smoothing": 0.0,
    "patience": 2,
    "bf16": False,
}

FAMILY = Family(
    name="textcnn",
    about="A convolutional network over byte-pair tokens: filters that look for phrases.",
    fronts={
        "tokens": {
            "tiny": {"vocabulary": 4000, "max_tokens": 128},
            "small": {"vocabulary": 8000, "max_tokens": 256},
            "medium": {"vocabulary": 16000, "max_tokens": 400},
        }
    },
    # Wider networks want shorter strides; tiny and small were measured on 2,000 to 2,500 rows of AG News and SST-2.
    sizes={
        "tiny": {
            "width": 48,
            "filters": 32,
            "widths": [2, 3, 4],
            "dropout": 0.3,
            "epochs": 4,
            "learning_rate": 0.01,
            **_TRAINING,
        },
        "small": {
            "width": 96,
            "filters": 100,
            "widths": [3, 4, 5],
            "dropout": 0.5,
            "epochs": 6,
            "learning_rate": 0.006,
            **_TRAINING,
        },
        "medium": {
            "width": 128,
            "filters": 200,
            "widths": [2, 3, 4, 5],
            "dropout": 0.5,
            "epochs": 8,
            "learning_rate": 0.004,
            **_TRAINING,
        },
        "large": {
            "width": 300,
            "filters": 400,
            "widths": [2, 3, 4, 5],
            "dropout": 0.5,
            "epochs": 10,
            "learning_rate": 0.003,
            **_TRAINING,
        },
    },
    build=build,
)
