"""What a frozen network says of each row, computed once and kept by content; and the closed-form head upon it.

A row that was seen before, in this run or another, under this encoder and these layers is read, not computed: retraining
with 1,000 new rows computes 1,000. Sources: Kornblith et al. 2019, arXiv 1805.08974 (logistic regression on frozen
features as the measure of an encoder); Conneau and Kiela 2018, arXiv 1803.05449 (the same for sentences).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from lingqu.data.ragged import Ragged
from lingqu.models.closed_form import Line, fit_logistic, fit_ridge
from lingqu.models.family import Examples, Facts, Fitted, Settings, Tell
from lingqu.store.rows import RowCache, row_key

if TYPE_CHECKING:
    from lingqu.contract.task import Array

    Arrays = Mapping[str, Array | Ragged]

CHUNK = 256
"""Rows that are computed between two writes: so many a kill can cost."""
BATCH_PIECES = 8192
"""Entries of a batch at most, padding counted."""

OpenRows = Callable[[Mapping[str, Any]], RowCache]
"""Gives the kept rows of one computation, which the mapping names."""


def computed(
    run: Callable[[dict[str, Tensor]], tuple[Tensor, Array]],
    examples: Examples,
    held: RowCache,
    *,
    half: bool,
    tell: Tell,
) -> Ragged:
    """What `run` says of every row, float16, each different row computed once and only if `held` has it not yet.

    `run` takes a batch of arrays and gives values (B, T, …) and how many of the T belong to each row (B,).
    """
    keys = [row_key(row) for row in _contents(examples.arrays)]
    missing = np.array(held.missing(keys), np.int64)
    lengths = _lengths(examples.arrays, len(keys))
    # Rows of one length share a batch, so next to nothing is padded; and what a kill leaves undone is the shorter part.
    order = missing[np.argsort(-lengths[missing], kind="stable")]
    chunks = [order[start : start + CHUNK] for start in range(0, len(order), CHUNK)]
    for number, chunk in enumerate(chunks):
        tell(number / len(chunks), f"encoding {len(missing):,} of {len(keys):,} rows, the others are kept")
        values, counts = _run(run, examples, chunk, lengths, half)
        held.add([keys[row] for row in chunk], counts, values)
    values, counts = held.read(keys)
    return Ragged(values, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))


def _run(
    run: Callable[[dict[str, Tensor]], tuple[Tensor, Array]],
    examples: Examples,
    chunk: Array,
    lengths: Array,
    half: bool,
) -> tuple[Array, Array]:
    """The values of these rows end to end, float16, and how many belong to each."""
    size = max(1, min(len(chunk), BATCH_PIECES // max(1, int(lengths[chunk].max()))))
    values: list[Array] = []
    counts: list[Array] = []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        for start in range(0, len(chunk), size):
            batch = examples.batch(chunk[start : start + size])
            found, count = run({name: torch.from_numpy(array) for name, array in batch.items()})
            array = found.float().numpy().astype(np.float16)
            values.append(array[np.arange(array.shape[1]) < count[:, None]])
            counts.append(count)
    return np.concatenate(values), np.concatenate(counts)


def _contents(arrays: Arrays) -> Sequence[Array]:
    """What each row holds, without padding."""
    (held,) = arrays.values()
    if not isinstance(held, Ragged):
        return list(held)
    return [held.values[start:stop] for start, stop in zip(held.offsets[:-1], held.offsets[1:], strict=True)]


def _lengths(arrays: Arrays, rows: int) -> Array:
    (held,) = arrays.values()
    # A picture weighs what a text of 128 pieces does: batches of 64.
    return held.lengths if isinstance(held, Ragged) else np.full(rows, 128, np.int64)


def fit_head(
    network: Callable[[Facts, Settings], nn.Module],
    train: Examples,
    valid: Examples,
    facts: Facts,
    settings: Settings,
    *,
    seed: int,
    threads: int,
    tell: Tell,
) -> Fitted:
    """The linear layer on frozen features, fitted to the end; validation rows choose its penalty and its layers.

    `features` of train and valid are (rows, offered, H). `network` makes the loaded network for the settings.
    """
    choices = settings["choices"]
    best: tuple[Line, list[int]] | None = None
    for number, taps in enumerate(choices):
        line = _line(train, valid, facts, settings, taps=taps, threads=threads)
        tell((number + 1) / len(choices), f"layers {taps}: validation loss {line.loss:.4f}")
        if best is None or line.loss < best[0].loss:
            best = line, taps
    if best is None:
        raise ValueError("at least one choice of layers is needed")
    line, taps = best
    decided = {**settings, "taps": taps, "choices": [taps], "strengths": [line.strength]}
    made = network(facts, decided)
    head = cast(nn.Linear, made.head)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(line.weights.T.astype(np.float32)))
        head.bias.copy_(torch.from_numpy(line.bias.astype(np.float32)))
    return Fitted(made, decided)


def _line(train: Examples, valid: Examples, facts: Facts, settings: Settings, *, taps: list[int], threads: int) -> Line:
    """One fit on these layers; features are standardised for it, which its weights then take back."""
    inputs, valid_inputs = (_chosen(part, settings["offered"], taps) for part in (train, valid))
    mean, scale = inputs.mean(0), inputs.std(0) + 1e-6
    inputs, valid_inputs = (inputs - mean) / scale, (valid_inputs - mean) / scale
    if facts.kind == "classification":
        found = fit_logistic(
            inputs,
            train.targets,
            valid_inputs,
            valid.targets,
            outputs=facts.outputs,
            strengths=settings["strengths"],
            balanced=settings.get("class_weights") == "balanced",
            threads=threads,
        )
    else:
        found = fit_ridge(
            inputs, train.targets, valid_inputs, valid.targets, strengths=settings["strengths"], threads=threads
        )
    weights = found.weights / scale[:, None]
    return Line(weights, found.bias - mean @ weights, found.strength, found.loss)


def _chosen(part: Examples, offered: list[int], taps: list[int]) -> Array:
    """The features of these layers side by side, float32 (rows, len(taps) H)."""
    features = cast("Array", part.arrays["features"])[:, [offered.index(tap) for tap in taps]]
    return features.reshape(len(features), -1).astype(np.float32)
