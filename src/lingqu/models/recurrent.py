"""Recurrent networks: read a text word by word and carry a state along; one or two readers, three kinds of state.

Every cell takes the word x_t (its embedding) and the state h_{t-1}, and gives the state h_t (∘ is entry by entry):

    RNN    h_t = tanh(W x_t + U h_{t-1} + b)
    GRU    r = σ(W_r x_t + U_r h_{t-1} + b_r)                 reset: how much of the past the new word may look at
           z = σ(W_z x_t + U_z h_{t-1} + b_z)                 update: how much of the past is kept
           n = tanh(W_n x_t + r ∘ (U_n h_{t-1} + c_n) + b_n),  h_t = (1 - z) ∘ n + z ∘ h_{t-1}
    LSTM   i, f, o = σ(W_* x_t + U_* h_{t-1} + b_*)           input, forget and output gate
           c_t = f ∘ c_{t-1} + i ∘ tanh(W_c x_t + U_c h_{t-1} + b_c),   h_t = o ∘ tanh(c_t)

Back through time the RNN's gradient is multiplied by U and tanh' ≤ 1 at every word and fades; the LSTM's cell c is
changed by adding, so with f near 1 it passes on what happened a hundred words ago. The GRU does so with two gates.

A one-way reader knows at word t only what came before. A second one reads the text from its end ("bilstm"), and both
states stand side by side. Of all words' states the mean and the maximum go to one linear layer:

    logits = W [mean_t h_t ; max_t h_t] + b

Sources: Elman 1990, "Finding Structure in Time"; Hochreiter and Schmidhuber 1997, "Long Short-Term Memory"; Cho et al.
2014, arXiv 1406.1078 (GRU); Graves and Schmidhuber 2005 (both directions); Collobert et al. 2011, "Natural Language
Processing (Almost) from Scratch" (maximum over time).

The first step of an RNN by hand, from h_0 = 0:

>>> network = Recurrent(vocabulary=9, outputs=2, cell="rnn", directions=1, width=4, hidden=3, dropout=0.0).eval()
>>> reader, word = network.readers[0], network.embedding.weight[5]
>>> by_hand = torch.tanh(reader.weight_ih_l0 @ word + reader.bias_ih_l0 + reader.bias_hh_l0)
>>> features = network.features(torch.tensor([[5]]), torch.tensor([1]))  # of one word mean and maximum are its state
>>> torch.allclose(features, torch.cat([by_hand, by_hand]).unsqueeze(0), atol=1e-6)
True
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lingqu.models.family import Build, Facts, Family, Settings

LOW = -1e4
"""Below every hidden value (they lie within ±1), so that padding never is the maximum."""

CELLS: dict[str, type[nn.RNN] | type[nn.GRU] | type[nn.LSTM]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class Recurrent(nn.Module):
    """Embedding, one or two readers, mean and maximum over the real tokens, linear.

    The second reader gets each row reversed within its own length, so it too meets the text before the padding, and a
    row's answer is the same whatever stands beside it. States at padding are never looked at; with `packed` they are
    not even computed. Both ways give the same answers. On a processor the packed one takes two to five times longer,
    as it goes word by word through ever smaller batches, and batches of rows of one length have little padding anyway.

    >>> network = Recurrent(vocabulary=10, outputs=2, cell="gru", directions=2, width=4, hidden=3, dropout=0.0).eval()
    >>> short = network(tokens=torch.tensor([[5, 6]]), lengths=torch.tensor([2]))
    >>> padded = network(tokens=torch.tensor([[5, 6, 0, 0]]), lengths=torch.tensor([2]))
    >>> torch.allclose(short, padded, atol=1e-6)
    True
    """

    def __init__(
        self,
        vocabulary: int,
        outputs: int,
        *,
        cell: str,
        directions: int,
        width: int,
        hidden: int,
        dropout: float,
        packed: bool = False,
    ) -> None:
        super().__init__()
        self.packed = packed
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=0)  # (V, D)
        self.readers = nn.ModuleList(CELLS[cell](width, hidden, batch_first=True) for _ in range(directions))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * directions * hidden, outputs)
        # PyTorch starts embeddings at deviation 1, far above what gates like.
        nn.init.normal_(self.embedding.weight, std=0.1)
        with torch.no_grad():
            self.embedding.weight[0] = 0
            for reader in self.readers if cell == "lstm" else ():
                # A forget gate that starts open remembers from the first step (Jozefowicz et al. 2015).
                nn.init.ones_(reader.get_parameter("bias_ih_l0")[hidden : 2 * hidden])

    def states(self, embedded: Tensor, lengths: Tensor) -> Tensor:
        """Embedded tokens (B, T, D) to the states of all readers side by side, (B, T', H · directions).

        T' is T, or with `packed` the length of the longest row.
        """
        place = torch.arange(embedded.shape[1], device=embedded.device).unsqueeze(0)  # (1, T)
        # Position t of the reversed row is length - 1 - t; padding stays where it is.
        mirror = torch.where(place < lengths.unsqueeze(1), lengths.unsqueeze(1) - 1 - place, place)  # (B, T)
        found = []
        for number, reader in enumerate(self.readers):
            given = embedded if number == 0 else _along(embedded, mirror)
            states = self._read(reader, given, lengths)  # (B, T', H)
            # Back in reading order only to stand beside the first reader's; mean and maximum would not mind.
            found.append(states if number == 0 else _along(states, mirror[:, : states.shape[1]]))
        return torch.cat(found, dim=2)

    def _read(self, reader: Any, embedded: Tensor, lengths: Tensor) -> Tensor:
        """The states of one reader; what it meets after the end of a row does not reach the row's own states."""
        if not self.packed:
            return reader(embedded)[0]
        real = pack_padded_sequence(embedded, lengths.clamp(min=1), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(reader(real)[0], batch_first=True)[0]

    def features(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """What the head sees: mean and maximum over time of all readers, (B, 2 H · directions)."""
        states = self.states(self.dropout(self.embedding(tokens)), lengths)  # (B, T', S)
        place = torch.arange(states.shape[1], device=tokens.device).unsqueeze(0)  # (1, T')
        mask = (place < lengths.unsqueeze(1)).unsqueeze(2).to(states.dtype)  # (B, T', 1)
        mean = (states * mask).sum(1) / lengths.clamp(min=1).unsqueeze(1).to(states.dtype)  # (B, S)
        top = (states + (1 - mask) * LOW).amax(1)  # (B, S)
        return torch.cat([mean, top], dim=1)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """`tokens` int64 (B, T) with 0 for padding, `lengths` int64 (B,); logits (B, K)."""
        return self.head(self.dropout(self.features(tokens, lengths)))


def _along(states: Tensor, order: Tensor) -> Tensor:
    """Each row's states (B, T, S) in the order (B, T) that is given for it."""
    return states.gather(1, order.unsqueeze(2).expand_as(states))


def builder(cell: str, directions: int) -> Build:
    """What builds the untrained network of this cell and so many directions."""

    def build(facts: Facts, settings: Settings) -> Recurrent:
        """The untrained network for this vocabulary."""
        return Recurrent(
            facts.front["vocabulary"],
            facts.outputs,
            cell=cell,
            directions=directions,
            width=settings["width"],
            hidden=settings["hidden"],
            dropout=settings["dropout"],
            packed=settings["packed"],
        )

    return build


_TRAINING = {
    "least_steps": 200,
    "batch_size": 64,
    "learning_rate": 0.003,
    "weight_decay": 0.01,
    "schedule": "one-cycle",
    "smoothing": 0.0,
    "patience": 2,
    "bf16": False,
    "packed": False,
}

_FRONT = {
    "tokens": {
        "tiny": {"vocabulary": 4000, "max_tokens": 128},
        "small": {"vocabulary": 8000, "max_tokens": 256},
        "medium": {"vocabulary": 16000, "max_tokens": 400},
    }
}

_SIZES = {
    "tiny": {"width": 48, "hidden": 32, "dropout": 0.2, "epochs": 4, **_TRAINING},
    "small": {"width": 96, "hidden": 64, "dropout": 0.3, "epochs": 6, **_TRAINING},
    "medium": {"width": 128, "hidden": 128, "dropout": 0.4, "epochs": 8, **_TRAINING},
    "large": {"width": 256, "hidden": 256, "dropout": 0.5, "epochs": 10, **_TRAINING},
}


def _family(name: str, about: str, cell: str, directions: int) -> Family:
    return Family(name=name, about=about, fronts=_FRONT, sizes=_SIZES, build=builder(cell, directions))


RNN = _family("rnn", "A plain recurrent network over byte-pair tokens: the simplest reader.", "rnn", 1)
GRU = _family("gru", "A gated recurrent network (GRU) over byte-pair tokens.", "gru", 1)
LSTM = _family("lstm", "A long short-term memory (LSTM) over byte-pair tokens.", "lstm", 1)
BILSTM = _family("bilstm", "A bidirectional LSTM over byte-pair tokens, trained from nothing.", "lstm", 2)
