"""How good a network is on validation rows, in one number to make small."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from lingqu.data.labels import fit_temperature
from lingqu.losses import Loss
from lingqu.models.closed_form import log_loss
from lingqu.models.family import Examples
from lingqu.train.batches import in_order, row_lengths

if TYPE_CHECKING:
    from lingqu.contract.task import Array

ROWS, RAGGED_ROWS = 512, 64
"""Rows a forward pass: large enough to be quick, small enough for any memory; fewer where the longest pads the others."""


def outputs_of(network: nn.Module, examples: Examples) -> Array:
    """What the network answers for every row, (rows, K) float32, in the order of the rows."""
    network.eval()
    found: list[Array] = []
    lengths = row_lengths(examples.arrays)
    order = in_order(len(examples), ROWS if lengths is None else RAGGED_ROWS, lengths)
    with torch.no_grad():
        for rows in order:
            arrays = {name: torch.from_numpy(array) for name, array in examples.batch(rows).items()}
            found.append(network(**arrays).float().numpy())
    outputs = np.concatenate(found)
    answers = np.empty_like(outputs)
    answers[np.concatenate(order)] = outputs
    return answers


def validation_loss(network: nn.Module, valid: Examples, loss: Loss) -> float:
    """The loss on validation rows; for labels at its best temperature, which the bundle will have too.

    Log loss punishes a network for being too sure long before it is wrong more often. The temperature is fitted after
    training anyway, so it must not decide which epoch was the best.
    """
    outputs = outputs_of(network, valid)
    if np.issubdtype(valid.targets.dtype, np.integer):
        return log_loss(outputs / fit_temperature(outputs, valid.targets), valid.targets)
    return float(loss(torch.from_numpy(outputs), torch.from_numpy(valid.targets)))
