"""Filling in words: what is hidden, that it is learned, that labels come later, and that a kill changes nothing."""

import signal

import numpy as np
import pytest
import torch
from training_lab import digest, start, train

from lingqu.models.transformer import Transformer
from lingqu.train.pretrain import CHOSEN, UNKNOWN, Masked, corrupt

RUN = {"epochs": 2, "batch_size": 16, "checkpoint_steps": 5, "threads": 1, "method": "pretrain"}
BRIEF = {"least_steps": 0, "pretraining": {"epochs": 3, "learning_rate": 0.005, "patience": 0}}


def test_fifteen_percent_in_three_ways():
    tokens, lengths = torch.full((200, 100), 7), torch.full((200,), 80)
    tokens[:, 80:] = 0
    shown, chosen = corrupt(tokens, lengths, 1000, torch.Generator().manual_seed(0))
    assert not chosen[:, 80:].any()
    assert (shown == tokens)[~chosen].all()
    rate = chosen[:, :80].float().mean().item()
    assert abs(rate - CHOSEN) < 4 * (CHOSEN * (1 - CHOSEN) / 16_000) ** 0.5
    hidden = (shown[chosen] == UNKNOWN).float().mean().item()
    same = (shown[chosen] == 7).float().mean().item()
    assert abs(hidden - 0.8) < 0.035
    assert abs(same - 0.1) < 0.026
    assert shown.min() >= 0
    assert (shown[chosen] > 0).all()


def test_every_text_hides_a_word():
    _, chosen = corrupt(torch.tensor([[5], [6]]), torch.tensor([1, 1]), 10, torch.Generator().manual_seed(1))
    assert chosen.all()


def test_the_loss_is_that_of_the_hidden_words():
    """Against the definition: mean over each text's hidden tokens of -log softmax(E h + c)."""
    torch.manual_seed(0)
    masked = Masked(Transformer(20, 2, width=8, heads=2, layers=1, dropout=0.0)).eval()
    tokens, lengths = torch.randint(2, 20, (3, 9)), torch.tensor([9, 4, 1])
    tokens[1, 4:], tokens[2, 1:] = 0, 0
    with torch.no_grad():
        found = masked(tokens=tokens, lengths=lengths)
        shown, chosen = corrupt(tokens, lengths, 20, torch.Generator().manual_seed(14))
        guesses = torch.log_softmax(masked.network.states(shown, lengths) @ masked.network.embedding.weight.T, -1)
    for row in range(3):
        places = [place for place in range(9) if chosen[row, place]]
        expected = -np.mean([guesses[row, place, tokens[row, place]].item() for place in places])
        assert abs(found[row, 0].item() - expected) < 1e-5
    assert torch.equal(found, masked(tokens=tokens, lengths=lengths).detach())  # judged twice, the same words hidden


@pytest.mark.heavy
def test_masked_words_are_learned_and_the_labels_after_them(tmp_path):
    settings = {**BRIEF, "pretraining": {"epochs": 30, "learning_rate": 0.005, "patience": 0}}
    trained = train("transformer", tmp_path, settings=settings, **{**RUN, "epochs": 8})
    curve = trained.settings["masked_loss"]
    assert len(curve) == 30
    assert curve[-1] < curve[0] / 2
    # Classes differ in which words go together, which is what filling in teaches: one epoch on the labels is enough.
    scratch = train("transformer", tmp_path / "scratch", settings=settings, **{**RUN, "epochs": 8, "method": "scratch"})
    assert trained.history[0]["validation"] < scratch.history[0]["validation"] / 10


@pytest.mark.heavy
def test_kills_in_both_parts_change_nothing(tmp_path):
    """Six batches an epoch: killed twice in pre-training (steps 8 and 15 of 18) and once in fine-tuning (step 10)."""
    options = {**RUN, "settings": BRIEF}
    expected = digest(train("transformer", tmp_path / "whole", **options))
    work, out = tmp_path / "killed", tmp_path / "digest"
    for failpoint in ("train.step@8:kill", "train.after-checkpoint@2:kill", "train.after-checkpoint@2:kill"):
        process = start("transformer", work, out, failpoint=failpoint, **options)
        process.join(120)
        assert process.exitcode == -signal.SIGKILL
    assert (work / "pretraining" / "done").exists()
    assert digest(train("transformer", work, **options)) == expected


def test_other_families_are_trained_as_ever(tmp_path):
    plain = train("mlp", tmp_path / "a", epochs=1, threads=1)
    assert digest(train("mlp", tmp_path / "b", epochs=1, threads=1, method="pretrain")) == digest(plain)
