"""Each loss is the formula in its docstring."""

import numpy as np
import pytest
import torch

from lingqu.errors import UnknownNameError
from lingqu.losses import LOSSES, find_loss

LOGITS = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 3.0]])
LABELS = torch.tensor([0, 1])


def _log_probabilities():
    logits = LOGITS.numpy().astype(np.float64)
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def test_cross_entropy():
    chosen = _log_probabilities()[[0, 1], [0, 1]]
    assert float(find_loss("cross_entropy")(LOGITS, LABELS)) == pytest.approx(-chosen.mean(), rel=1e-6)


def test_cross_entropy_with_weights_is_a_weighted_mean():
    chosen = _log_probabilities()[[0, 1], [0, 1]]
    found = find_loss("cross_entropy")(LOGITS, LABELS, weights=torch.tensor([1.0, 3.0, 1.0]))
    assert float(found) == pytest.approx(-(chosen[0] + 3 * chosen[1]) / 4, rel=1e-6)


def test_smoothing_spreads_a_share_over_all_labels():
    logs = _log_probabilities()
    wanted = np.full((2, 3), 0.3 / 3) + 0.7 * np.eye(3)[[0, 1]]
    found = find_loss("cross_entropy")(LOGITS, LABELS, smoothing=0.3)
    assert float(found) == pytest.approx(-(wanted * logs).sum(1).mean(), rel=1e-6)


def test_numbers():
    outputs, targets = torch.tensor([[1.0], [5.0]]), torch.tensor([1.5, 2.0])
    assert float(find_loss("squared")(outputs, targets)) == pytest.approx((0.25 + 9) / 2)
    assert float(find_loss("huber")(outputs, targets)) == pytest.approx((0.125 + 2.5) / 2)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_bfloat16_outputs_are_summed_in_float32(name):
    outputs = torch.ones(4, 3 if name == "cross_entropy" else 1, dtype=torch.bfloat16)
    shape = (4, 1) if name == "binary_cross_entropy" else (4,)
    targets = torch.zeros(shape, dtype=torch.int64 if name == "cross_entropy" else torch.float32)
    assert find_loss(name)(outputs, targets).dtype == torch.float32


def test_unknown_loss():
    with pytest.raises(UnknownNameError) as caught:
        find_loss("square")
    assert str(caught.value) == "Expected a loss that lingqu knows, found 'square'. Did you mean 'squared'?"


def test_binary_cross_entropy():
    targets = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    chance = 1 / (1 + np.exp(-LOGITS.numpy().astype(np.float64)))
    cost = -np.where(targets.numpy() > 0, np.log(chance), np.log(1 - chance))
    loss = find_loss("binary_cross_entropy")
    assert float(loss(LOGITS, targets)) == pytest.approx(cost.mean(), rel=1e-6)
    weights = torch.tensor([[1.0, 2.0, 0.0], [3.0, 0.5, 1.0]])
    each = np.where(targets.numpy() > 0, weights[1].numpy(), weights[0].numpy())
    assert float(loss(LOGITS, targets, weights=weights)) == pytest.approx((cost * each).mean(), rel=1e-6)
    wanted = np.where(targets.numpy() > 0, 0.9, 0.1)
    smoothed = -(wanted * np.log(chance) + (1 - wanted) * np.log(1 - chance)).mean()
    assert float(loss(LOGITS, targets, smoothing=0.2)) == pytest.approx(smoothed, rel=1e-6)
