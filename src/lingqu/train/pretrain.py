"""Masked-language pre-training: before it is told any label, an encoder learns to fill in words of the training texts.

Of every text 15 % of the tokens are chosen, one at least. What is shown in their place is

    80 %  [UNK], "some word that you cannot see"      10 %  another token, drawn at random      10 %  the token itself

and the encoder guesses the chosen ones from all the others. The last two keep it from trusting what it is shown. Its
guess is a comparison of the state h_t with every row of the table E that also embeds the words (tied weights):

    p(x_t | shown) = softmax(E h_t + c),      loss of a text = mean over its chosen t of -log p(x_t)

Afterwards the encoder keeps what it learned and E, the guesser is thrown away, and fine-tuning on the labels goes on
from there (`train: {method: pretrain}`).

What it brings: with only the training texts to read, nothing, and it can do harm. Held-out accuracy from scratch and
after 10 to 20 epochs of filling in words: SST-2, 4,000 sentences, small: 0.733 and 0.734; SST-2, 2,500 sentences, tiny:
0.733 and 0.678; AG News, 2,000 texts, tiny: 0.801 and 0.799; at three to six times the seconds (1,500 rows judge, so
differences below 0.03 are chance). BERT was given 3.3 billion words for this. It is here to be read and tried, and never
chosen by itself: take a pretrained encoder where the texts are few.

Sources: Devlin et al. 2019, arXiv 1810.04805 (masking, the three ways of showing); Press and Wolf 2017,
arXiv 1608.05859 (tied weights); Taylor 1953, "Cloze Procedure".

>>> from lingqu.models.transformer import Transformer
>>> network = Transformer(vocabulary=20, outputs=2, width=8, heads=2, layers=1, dropout=0.0)
>>> tokens, lengths = torch.tensor([[5, 6, 7, 8], [9, 10, 0, 0]]), torch.tensor([4, 2])
>>> Masked(network)(tokens=tokens, lengths=lengths).shape  # one loss a text
torch.Size([2, 1])
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lingqu.contract import Step
from lingqu.models.family import Examples, Facts, Settings, Tell
from lingqu.train.checkpoint import Checkpoint, Checkpoints, network_tensors, restore_network
from lingqu.train.loop import Loop
from lingqu.train.options import TrainOptions
from lingqu.train.stopping import held_back

UNKNOWN = 1
"""The token [UNK] of the front."""
CHOSEN, HIDDEN, REPLACED = 0.15, 0.8, 0.1
SHARE = 0.5
"""Of the seconds that training may take, pre-training takes so much at most."""


class Encoder(Protocol):
    """What can be pre-trained: a table of words, and a state for every word."""

    embedding: nn.Embedding

    def states(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """(B, T) to (B, T, D), D being the width of the table."""
        ...


def corrupt(tokens: Tensor, lengths: Tensor, vocabulary: int, draw: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """What is shown, int64 (B, T), and which tokens are to be guessed, bool (B, T), at least one of every text.

    >>> tokens, lengths = torch.full((1, 9000), 7), torch.tensor([9000])
    >>> shown, chosen = corrupt(tokens, lengths, 50, torch.Generator().manual_seed(0))
    >>> bool((shown == tokens)[~chosen].all()), round(chosen.float().mean().item(), 2)
    (True, 0.15)
    >>> round((shown[chosen] == UNKNOWN).float().mean().item(), 1)
    0.8
    """
    real = torch.arange(tokens.shape[1]).unsqueeze(0) < lengths.unsqueeze(1)  # (B, T)
    chance = torch.rand(tokens.shape, generator=draw).masked_fill(~real, 2.0)
    # The token with the smallest chance is always chosen, or a short text would teach nothing.
    chosen = (chance < CHOSEN) | (chance == chance.min(dim=1, keepdim=True).values) & real
    way = torch.rand(tokens.shape, generator=draw)
    others = torch.randint(UNKNOWN + 1, max(vocabulary, UNKNOWN + 2), tokens.shape, generator=draw)
    shown = torch.where(way < HIDDEN, UNKNOWN, torch.where(way < HIDDEN + REPLACED, others, tokens))
    return torch.where(chosen, shown, tokens), chosen


class Masked(nn.Module):
    """An encoder with a guesser on top; its answer is each text's own loss.

    In training it draws anew at every step, from torch's generator, which the loop sets by the step; when judged it
    hides the same tokens every time.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.bias = nn.Parameter(torch.zeros(cast(Encoder, network).embedding.num_embeddings))  # c, (V,)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """`tokens` int64 (B, T), `lengths` int64 (B,); mean -log p of each text's hidden tokens, (B, 1)."""
        encoder = cast(Encoder, self.network)
        draw = None if self.training else torch.Generator().manual_seed(int(lengths.sum()))
        shown, chosen = corrupt(tokens, lengths, len(self.bias), draw)
        states = encoder.states(shown, lengths)[chosen]  # (M, D): only what is guessed is compared with the table
        scores = states @ encoder.embedding.weight.t() + self.bias  # (M, V)
        losses = functional.cross_entropy(scores.float(), tokens[chosen], reduction="none")  # (M,)
        each = chosen.sum(1)  # (B,)
        row = torch.repeat_interleave(torch.arange(len(tokens)), each)
        return (losses.new_zeros(len(tokens)).index_add(0, row, losses) / each).unsqueeze(1)


def pretrain(
    network: nn.Module,
    train: Examples,
    valid: Examples,
    facts: Facts,
    settings: Settings,
    *,
    options: TrainOptions,
    work: Path,
    tell: Tell,
) -> dict[str, Any]:
    """Teaches `network` in place to fill in words; returns how the masked loss on validation texts fell, by epochs.

    The same loop, checkpoints and promises as for any training: `work` is a folder of its own. Done once, it is not
    done again when the run is killed later.
    """
    kept = Checkpoints(work / "done")
    found, _ = kept.newest()
    if found is None:
        masked = Masked(network)
        unlabelled = [Examples(part.arrays, np.zeros(len(part), np.float32)) for part in (train, valid)]
        loop = Loop(
            masked,
            (Step("own"),),
            train=unlabelled[0],
            valid=unlabelled[1],
            facts=replace(facts, outputs=1, kind="regression"),
            settings={**settings, **settings["pretraining"], "class_weights": "none", "augment": []},
            options=replace(options, seconds=None if options.seconds is None else SHARE * options.seconds),
            checkpoints=Checkpoints(work / "going"),
            tell=lambda done, sentence: tell(SHARE * done, f"filling in words, {sentence}"),
        )
        with held_back() as asked_to_stop:
            done = loop.run(asked_to_stop)
        curve = [round(epoch["validation"], 6) for epoch in done.history]
        found = Checkpoint(done.step, network_tensors(network, "network"), {"curve": curve, "seconds": done.seconds})
        kept.save(found)
    restore_network(network, found.tensors, "network")
    return found.state
