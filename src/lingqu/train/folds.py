"""Answers for rows by networks that never saw them: a recipe learned once per left-out fold.

Where rows are few, a handful of validation rows would choose between recipes by luck; every row can be judged instead,
each by a network that was fitted on the other folds (Stone 1974, "Cross-Validatory Choice"). Rows of one group stay in
one fold, as they stay in one split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from lingqu.contract import Answer, Rows, Task
from lingqu.models import find_family
from lingqu.models.family import Examples
from lingqu.spec import TrainSettings
from lingqu.train.fit import fit_rung, rebuild
from lingqu.train.options import TrainOptions
from lingqu.train.rung import describe, encode, front

if TYPE_CHECKING:
    from torch import nn

    from lingqu.contract.task import Array

FOLDS = 5
BATCH = 256


def answers_by_fold(
    task: Task,
    name: str,
    rows: Rows,
    *,
    groups: Sequence[str],
    kinds: Mapping[str, str],
    size: str,
    settings: TrainSettings,
    seconds: float,
    work: Path,
    tell: Callable[[float, str], None],
) -> list[Answer]:
    """One answer a row, in the order of `rows`, by this family fitted on the folds that the row is not in."""
    family = find_family(name)
    answers: dict[int, Answer] = {}
    for number, (kept, stop, out) in enumerate(folds(groups, settings.seed)):
        parts = [rows.take(part.tolist()) for part in (kept, stop, out)]
        memory = task.learn(parts[0], front(task, family, size, kinds))
        facts = describe(task, memory, parts[0])
        arrays = [encode(task, part, memory) for part in parts]
        trained = fit_rung(
            family,
            family.settings(size),
            arrays[0],
            task.targets(parts[0], memory),
            arrays[1],
            task.targets(parts[1], memory),
            facts=facts,
            steps=task.steps(),
            options=TrainOptions(**settings.model_dump(exclude={"method"}), seconds=seconds),
            work=work / f"{name}-{number}",
        )
        network = rebuild(name, trained.settings, facts, trained.weights)
        targets = task.targets(parts[1], memory)
        memory = task.calibrate({"logits": _scores(network, Examples(arrays[1], targets))}, targets, memory)
        scores = _scores(network, Examples(arrays[2], np.zeros(len(out))))
        answers |= zip(out.tolist(), task.decode({"logits": scores}, memory), strict=True)
        tell((number + 1) / FOLDS, f"{name}: fold {number + 1} of {FOLDS}")
    return [answers[place] for place in range(len(rows))]


def folds(groups: Sequence[str], seed: int) -> Iterator[tuple[Array, Array, Array]]:
    """Per fold the positions to learn from, to stop by and to answer; the rows of a group are never parted.

    >>> parts = list(folds(["a", "a", "b", "c", "d", "e", "f"], seed=0))
    >>> len(parts), sorted(np.concatenate([out for _, _, out in parts]).tolist())
    (5, [0, 1, 2, 3, 4, 5, 6])
    """
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(index.max() + 1) % FOLDS)[index]
    for out in range(FOLDS):
        stop = (out + 1) % FOLDS
        yield np.flatnonzero((fold != out) & (fold != stop)), np.flatnonzero(fold == stop), np.flatnonzero(fold == out)


def _scores(network: nn.Module, part: Examples) -> Array:
    """The network's outputs (rows, K)."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(part), BATCH):
            batch = part.batch(np.arange(start, min(start + BATCH, len(part))))
            found.append(network(**{name: torch.from_numpy(array) for name, array in batch.items()}).numpy())
    return np.concatenate(found)
