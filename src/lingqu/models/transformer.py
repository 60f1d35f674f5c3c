"""A Transformer encoder, written out: every word looks at every other word and decides which of them matter to it.

A word's state is turned into a query, a key and a value. Its query is compared with all keys, the comparisons become
weights that sum to one, and the weighted values are what it learned from the others (d is the width of a head):

    Attention(Q, K, V) = softmax(Q Kᵀ / √d + mask) V,          mask = 0 for words, -10⁴ for padding
    MultiHead(X) = [head_1 ; … ; head_H] W_o,                  head_i = Attention(X Q_i, X K_i, X V_i)

Divided by √d the comparisons keep a deviation near 1 whatever the width, so that softmax does not start out sure of
itself. Attention itself cannot see order; so each position adds a pattern of waves of its own:

    p[t, 2j] = sin(t / 10000^{2j/D}),    p[t, 2j+1] = cos(t / 10000^{2j/D}),      x_t = √D E[word_t] + p_t

One block (norm first, so that gradients pass straight along the sum):  x ← x + MultiHead(norm x),  x ← x + FFN(norm x)
with FFN(x) = V gelu(U x). Of the last states the mean and the maximum over words go to a linear layer.

Sources: Vaswani et al. 2017, arXiv 1706.03762; Xiong et al. 2020, arXiv 2002.04745 (norm first); Devlin et al. 2019,
arXiv 1810.04805 (an encoder pre-trained by filling in masked words: see `lingqu.train.pretrain`).

Padding gets no attention, and the weights of the real words sum to one:

>>> attention = Attention(width=8, heads=2, dropout=0.0)
>>> real = torch.tensor([[True, True, False]])
>>> weights = attention.weights(torch.randn(1, 3, 8), real)  # (B, H, T, T): who looks at whom
>>> weights.shape, weights[0, 0, 0, 2].item(), torch.allclose(weights.sum(-1), torch.ones(1, 2, 3))
(torch.Size([1, 2, 3, 3]), 0.0, True)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from lingqu.models.family import Facts, Family, Settings

LOW = -1e4
"""e^-10000 is 0 in every precision, and no number overflows on the way."""


class Attention(nn.Module):
    """Multi-head self-attention, (B, T, D) in and out.

    >>> Attention(width=8, heads=4, dropout=0.0)(torch.zeros(2, 5, 8), torch.ones(2, 5, dtype=torch.bool)).shape
    torch.Size([2, 5, 8])
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.each = heads, width // heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)

    def _split(self, states: Tensor) -> Tensor:
        """(B, T, D) to (B, H, T, D / H): each head has a part of the width for itself."""
        return states.reshape(states.shape[0], states.shape[1], self.heads, self.each).transpose(1, 2)

    def weights(self, states: Tensor, real: Tensor) -> Tensor:
        """How much each word looks at each other one, (B, H, T, T); rows sum to 1. `real` bool (B, T) is False for padding."""
        query, key = self._split(self.query(states)), self._split(self.key(states))  # (B, H, T, d)
        scores = query @ key.transpose(2, 3) / math.sqrt(self.each)  # (B, H, T, T)
        mask = (~real).to(scores.dtype)[:, None, None, :] * LOW  # (B, 1, 1, T)
        return torch.softmax(scores + mask, dim=-1)

    def forward(self, states: Tensor, real: Tensor) -> Tensor:
        """What each word learned from the others, (B, T, D)."""
        seen = self.dropout(self.weights(states, real)) @ self._split(self.value(states))  # (B, H, T, d)
        return self.out(seen.transpose(1, 2).reshape(states.shape))  # heads side by side again


class Block(nn.Module):
    """x + attention(norm x), then x + V gelu(U norm x); (B, T, D) in and out.

    >>> Block(width=8, heads=2, hidden=16, dropout=0.0)(torch.zeros(1, 3, 8), torch.ones(1, 3, dtype=torch.bool)).shape
    torch.Size([1, 3, 8])
    """

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.before_attention, self.before_feed = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout)
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, real: Tensor) -> Tensor:
        states = states + self.dropout(self.attention(self.before_attention(states), real))
        fed = self.down(functional.gelu(self.up(self.before_feed(states))))
        return states + self.dropout(fed)


class Transformer(nn.Module):
    """Embedding and positions, blocks, mean and maximum over the real words, linear.

    >>> network = Transformer(vocabulary=10, outputs=2, width=8, heads=2, layers=1, dropout=0.0).eval()
    >>> short = network(tokens=torch.tensor([[5, 6]]), lengths=torch.tensor([2]))
    >>> padded = network(tokens=torch.tensor([[5, 6, 0, 0]]), lengths=torch.tensor([2]))
    >>> torch.allclose(short, padded, atol=1e-5)
    True
    """

    def __init__(self, vocabulary: int, outputs: int, *, width: int, heads: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=0)  # (V, D)
        self.blocks = nn.ModuleList(Block(width, heads, 4 * width, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * width, outputs)
        # With this deviation √D E[word] starts at 1, as large as the waves; and the same table can score words.
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        with torch.no_grad():
            self.embedding.weight[0] = 0

    def positions(self, length: int) -> Tensor:
        """The waves of positions 0 to length - 1, (T, D): computed, not stored, so a text may have any length."""
        pair = torch.arange(0, self.width, 2, device=self.embedding.weight.device)  # (D/2,)
        slow = torch.exp(pair * (-math.log(10_000.0) / self.width))
        angle = torch.arange(length, device=pair.device).unsqueeze(1) * slow  # (T, D/2)
        return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)

    def states(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """The state of every word after all blocks, (B, T, D); those at padding mean nothing."""
        real = torch.arange(tokens.shape[1], device=tokens.device).unsqueeze(0) < lengths.unsqueeze(1)  # (B, T)
        states = self.dropout(math.sqrt(self.width) * self.embedding(tokens) + self.positions(tokens.shape[1]))
        for block in self.blocks:
            states = block(states, real)
        return self.norm(states)

    def features(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """What the head sees: mean and maximum over the real words, (B, 2 D)."""
        states = self.states(tokens, lengths)  # (B, T, D)
        place = torch.arange(tokens.shape[1], device=tokens.device).unsqueeze(0)  # (1, T)
        mask = (place < lengths.unsqueeze(1)).unsqueeze(2).to(states.dtype)  # (B, T, 1)
        mean = (states * mask).sum(1) / lengths.clamp(min=1).unsqueeze(1).to(states.dtype)
        return torch.cat([mean, (states + (1 - mask) * LOW).amax(1)], dim=1)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """`tokens` int64 (B, T) with 0 for padding, `lengths` int64 (B,); logits (B, K)."""
        return self.head(self.dropout(self.features(tokens, lengths)))


ARGUMENTS = ("width", "heads", "layers", "dropout")
"""The settings that `Transformer` takes."""


def build(facts: Facts, settings: Settings) -> Transformer:
    """The untrained network for this vocabulary."""
    return Transformer(facts.front["vocabulary"], facts.outputs, **{name: settings[name] for name in ARGUMENTS})


_TRAINING = {
    "least_steps": 200,
    "batch_size": 64,
    "weight_decay": 0.05,
    "schedule": "one-cycle",
    "smoothing": 0.0,
    "patience": 2,
    "bf16": False,
    "pretraining": {"epochs": 10, "learning_rate": 0.002, "patience": 0},
}


def _size(**chosen: float) -> Settings:
    return {**chosen, **_TRAINING}


FAMILY = Family(
    name="transformer",
    about="A small Transformer encoder over byte-pair tokens, written out; can be pre-trained on the training texts.",
    fronts={
        "tokens": {
            "tiny": {"vocabulary": 4000, "max_tokens": 64},
            "small": {"vocabulary": 8000, "max_tokens": 128},
            "medium": {"vocabulary": 16000, "max_tokens": 256},
        }
    },
    # Wider networks want shorter strides; tiny and small were measured on 2,000 to 2,500 rows of AG News and SST-2.
    sizes={
        "tiny": _size(width=48, heads=2, layers=1, dropout=0.1, epochs=5, learning_rate=0.003),
        "small": _size(width=96, heads=4, layers=2, dropout=0.2, epochs=6, learning_rate=0.002),
        "medium": _size(width=192, heads=6, layers=4, dropout=0.2, epochs=8, learning_rate=0.001),
        "large": _size(width=384, heads=6, layers=6, dropout=0.2, epochs=10, learning_rate=0.0005),
    },
    build=build,
)
