"""Readers of text: packed or not, one answer; backwards is torch's own bidirectional network."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lingqu.bundle.export import to_onnx
from lingqu.models.recurrent import CELLS, Recurrent

LENGTHS = torch.tensor([3, 7, 1, 5])
TOKENS = torch.randint(2, 20, (4, 9), generator=torch.Generator().manual_seed(0)) * (
    torch.arange(9) < LENGTHS.unsqueeze(1)
)


def _network(cell, directions, *, packed=False):
    torch.manual_seed(0)
    sizes = {"width": 6, "hidden": 5, "dropout": 0.0, "packed": packed}
    return Recurrent(20, 3, cell=cell, directions=directions, **sizes).eval()


@pytest.mark.parametrize("cell", CELLS)
def test_two_directions_are_those_of_torch(cell):
    ours = _network(cell, 2)
    theirs = CELLS[cell](6, 5, batch_first=True, bidirectional=True)
    with torch.no_grad():
        for name, value in ours.readers[0].named_parameters():
            theirs.get_parameter(name).copy_(value)
            theirs.get_parameter(f"{name}_reverse").copy_(ours.readers[1].get_parameter(name))
        embedded = ours.embedding(TOKENS)
        packed = pack_padded_sequence(embedded, LENGTHS, batch_first=True, enforce_sorted=False)
        expected, _ = pad_packed_sequence(theirs(packed)[0], batch_first=True)
        found = ours.states(embedded, LENGTHS)
    for row, length in enumerate(LENGTHS):
        assert torch.allclose(found[row, :length], expected[row, :length], atol=1e-6)


@pytest.mark.heavy
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_packed_or_not_and_outside_torch(cell, directions):
    plain, packed = _network(cell, directions), _network(cell, directions, packed=True)
    with torch.no_grad():
        expected = plain(TOKENS, LENGTHS)
        assert torch.allclose(packed(TOKENS, LENGTHS), expected, atol=1e-6)
    example = {"tokens": TOKENS[:2, :7].numpy(), "lengths": LENGTHS[:2].numpy()}
    for network in (plain, packed):
        session = onnxruntime.InferenceSession(to_onnx(network, example, "tokens"), providers=["CPUExecutionProvider"])
        (answers,) = session.run(["logits"], {"tokens": TOKENS.numpy(), "lengths": LENGTHS.numpy()})
        assert np.abs(np.asarray(answers) - expected.numpy()).max() < 1e-5


def test_a_packed_network_learns_the_same(tmp_path):
    """Packed and unpacked: the same gradients, so the same stride."""
    found = []
    for packed in (False, True):
        network = _network("gru", 2, packed=packed).train()
        loss = nn.functional.cross_entropy(network(TOKENS, LENGTHS), torch.tensor([0, 1, 2, 0]))
        loss.backward()
        found.append(torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None]))
    assert torch.allclose(*found, atol=1e-6)
