"""Answers for rows by networks that never saw them: a recipe learned on a part of the rows, or once per left-out fold.

Where rows are few, a handful of validation rows would choose between recipes by luck; every row can be judged instead,
each by a network that was fitted on the other folds (Stone 1974, "Cross-Validatory Choice"). Rows of one group stay in
one fold, as they stay in one split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lingqu.contract import Answer, Rows, Task
from lingqu.data.ragged import Ragged
from lingqu.spec import TrainSettings
from lingqu.store import Store
from lingqu.train.encoded import Encoded
from lingqu.train.options import TrainOptions

if TYPE_CHECKING:
    from lingqu.contract.task import Array

    Arrays = Mapping[str, Array | Ragged]

FOLDS = 5


def answers_by_fold(
    task: Task,
    recipe: str,
    rows: Rows,
    *,
    groups: Sequence[str],
    settings: TrainSettings,
    tell: Callable[[float, str], None],
    **how: Any,
) -> list[Answer]:
    """One answer a row, in the order of `rows`, by this recipe fitted on the folds that the row is not in.

    `how` goes to `learned_answers`.
    """
    answers: dict[int, Answer] = {}
    for number, (kept, stop, out) in enumerate(folds(groups, settings.seed)):
        parts = [rows.take(part.tolist()) for part in (kept, stop, out)]
        told = learned_answers(task, recipe, *parts, settings=settings, part=f"fold{number}", again=True, **how)
        answers |= zip(out.tolist(), told, strict=True)
        tell((number + 1) / FOLDS, f"{recipe}: fold {number + 1} of {FOLDS}")
    return [answers[place] for place in range(len(rows))]


def learned_answers(
    task: Task,
    recipe: str,
    train: Rows,
    stop: Rows,
    asked: Rows,
    *,
    kinds: Mapping[str, str],
    size: str,
    settings: TrainSettings,
    seconds: float,
    store: Store,
    work: Path,
    part: str,
    again: bool = False,
) -> list[Answer]:
    """Answers for the rows `asked` by a network learned from `train` and stopped and calibrated by `stop`.

    With `again` a family that needs no loop learns once more from both, as a run does in the end; `stop` and `asked` must
    then be different rows. `part` names the checkpoints of this fit in the folder `work`; nothing of the network is kept.
    """
    encoded = Encoded.of(task, recipe, train, stop, asked, kinds=kinds, size=size)
    options = TrainOptions(**settings.model_dump(), seconds=seconds)
    work = work / f"{encoded.family.name}-{part}"
    trained = encoded.learned(encoded.family.settings(size), options, store=store, work=work)
    last = None
    if again and encoded.family.fit is not None:
        last = encoded.with_more(train.followed_by(stop)).learned(trained.settings, options, store=store, work=work)
    return encoded.answers(trained, last)


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
