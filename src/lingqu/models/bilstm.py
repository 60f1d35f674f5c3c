"""A bidirectional LSTM: one reads the text forwards, one backwards, and a linear layer decides.

    h→_t = LSTM→(E[x_t], h→_{t-1}),   h←_t = LSTM←(E[x_t], h←_{t+1}),   logits = W [mean_t h_t ; max_t h_t] + b

Sources: Hochreiter and Schmidhuber 1997, "Long Short-Term Memory"; Graves and Schmidhuber 2005 (both directions);
Collobert et al. 2011, "Natural Language Processing (Almost) from Scratch" (maximum over time).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lingqu.models.family import Facts, Family, Settings

LOW = -1e4
"""Below every hidden value (they lie within ±1), so that padding never is the maximum."""


class BiLSTM(nn.Module):
    """Embedding, two LSTMs, mean and maximum over the real tokens, linear.

    The backward LSTM reads each row reversed within its own length, so it meets the text before the padding, and a
    row's answer is the same whatever stands beside it; no packed sequences, which ONNX does not know.

    >>> network = BiLSTM(vocabulary=10, outputs=2, width=4, hidden=3, dropout=0.0).eval()
    >>> short = network(tokens=torch.tensor([[5, 6]]), lengths=torch.tensor([2]))
    >>> padded = network(tokens=torch.tensor([[5, 6, 0, 0]]), lengths=torch.tensor([2]))
    >>> torch.allclose(short, padded, atol=1e-6)
    True
    """

    def __init__(self, vocabulary: int, outputs: int, width: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=0)  # (V, D)
        self.forwards = nn.LSTM(width, hidden, batch_first=True)
        self.backwards = nn.LSTM(width, hidden, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(4 * hidden, outputs)
        # PyTorch starts embeddings at deviation 1, far above what an LSTM's gates like.
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            self.embedding.weight[0] = 0
            for reader in (self.forwards, self.backwards):
                # A forget gate that starts open remembers from the first step (Jozefowicz et al. 2015).
                nn.init.ones_(reader.get_parameter("bias_ih_l0")[hidden : 2 * hidden])

    def features(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """What the head sees: mean and maximum over time of both directions, (B, 4 H)."""
        embedded = self.dropout(self.embedding(tokens))  # (B, T, D)
        place = torch.arange(tokens.shape[1], device=tokens.device).unsqueeze(0)  # (1, T)
        real = place < lengths.unsqueeze(1)  # (B, T)
        # Position t of the reversed row is length - 1 - t; padding stays where it is.
        mirror = torch.where(real, lengths.unsqueeze(1) - 1 - place, place)  # (B, T)
        reverse = mirror.unsqueeze(2)
        seen, _ = self.forwards(embedded)  # (B, T, H)
        ahead, _ = self.backwards(embedded.gather(1, reverse.expand_as(embedded)))  # (B, T, H)
        # Back in reading order only to stand beside `seen`; mean and maximum would not mind.
        both = torch.cat([seen, ahead.gather(1, reverse.expand_as(ahead))], dim=2)  # (B, T, 2 H)
        mask = real.unsqueeze(2).to(both.dtype)  # (B, T, 1)
        mean = (both * mask).sum(1) / lengths.clamp(min=1).unsqueeze(1).to(both.dtype)  # (B, 2 H)
        top = (both + (1 - mask) * LOW).amax(1)  # (B, 2 H)
        return torch.cat([mean, top], dim=1)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """`tokens` int64 (B, T) with 0 for padding, `lengths` int64 (B,); logits (B, K)."""
        return self.head(self.dropout(self.features(tokens, lengths)))


def build(facts: Facts, settings: Settings) -> BiLSTM:
    """The untrained network for this vocabulary."""
    return BiLSTM(
        facts.front["vocabulary"],
        facts.outputs,
        width=settings["width"],
        hidden=settings["hidden"],
        dropout=settings["dropout"],
    )


_TRAINING = {
    "least_steps": 200,
    "batch_size": 64,
    "learning_rate": 0.003,
    "weight_decay": 0.01,
    "schedule": "one-cycle",
    "smoothing": 0.0,
    "patience": 2,
    "bf16": False,
}

FAMILY = Family(
    name="bilstm",
    about="A bidirectional LSTM over byte-pair tokens, trained from nothing.",
    fronts={
        "tokens": {
            "tiny": {"vocabulary": 4000, "max_tokens": 128},
            "small": {"vocabulary": 8000, "max_tokens": 256},
            "medium": {"vocabulary": 16000, "max_tokens": 400},
        }
    },
    sizes={
        "tiny": {"width": 48, "hidden": 32, "dropout": 0.2, "epochs": 4, **_TRAINING},
        "small": {"width": 96, "hidden": 64, "dropout": 0.3, "epochs": 6, **_TRAINING},
        "medium": {"width": 128, "hidden": 128, "dropout": 0.4, "epochs": 8, **_TRAINING},
        "large": {"width": 256, "hidden": 256, "dropout": 0.5, "epochs": 10, **_TRAINING},
    },
    build=build,
)
