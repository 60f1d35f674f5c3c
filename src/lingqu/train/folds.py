"""Answers for rows by networks that never saw them: a recipe learned on a part of the rows, or once per left-out fold.

Where rows are few, a handful of validation rows would choose between recipes by luck; every row can be judged instead,
each by a network that was fitted on the other folds (Stone 1974, "Cross-Validatory Choice"). Rows of one group stay in
one fold, as they stay in one split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lingqu.contract import Answer, Memory, Rows, Task
from lingqu.data.ragged import Ragged
from lingqu.models import find_family
from lingqu.models.family import Examples, Facts, Family
from lingqu.spec import TrainSettings
from lingqu.store import Store
from lingqu.train.fit import Trained, fit_rung, rebuild
from lingqu.train.judge import outputs_of
from lingqu.train.options import TrainOptions
from lingqu.train.rung import describe, encode, front

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


@dataclass(frozen=True)
class Encoded:
    """Rows as one family reads them: to learn from, to stop by and to answer."""

    task: Task
    family: Family
    memory: Memory
    facts: Facts
    arrays: tuple[Arrays, Arrays, Arrays]
    targets: tuple[Array, Array]
    asked: int

    @classmethod
    def of(
        cls,
        task: Task,
        recipe: str,
        *parts: Rows,
        kinds: Mapping[str, str],
        size: str,
        over: Mapping[str, Any] | None = None,
    ) -> Encoded:
        """The three parts encoded with what the first of them teaches; `over` are dials that a search has set."""
        train, stop, asked = parts
        family = find_family(recipe)
        memory = task.learn(train, front(task, family, size, kinds, over))
        learning, stopping = encode(task, train, memory), encode(task, stop, memory)
        arrays = (learning, stopping, stopping if asked is stop else encode(task, asked, memory))
        targets = (task.targets(train, memory), task.targets(stop, memory))
        return cls(task, family, memory, describe(task, memory, train), arrays, targets, len(asked))

    @property
    def bytes(self) -> int:
        """How much memory the encoded rows to learn from take."""
        held = self.arrays[0].values()
        return sum(one.values.nbytes + one.offsets.nbytes if isinstance(one, Ragged) else one.nbytes for one in held)

    def with_more(self, rows: Rows) -> Encoded:
        """The same with these rows to learn from; what was remembered and described stays."""
        arrays = (encode(self.task, rows, self.memory), *self.arrays[1:])
        return replace(self, arrays=arrays, targets=(self.task.targets(rows, self.memory), self.targets[1]))

    def learned(self, settings: Mapping[str, Any], options: TrainOptions, *, store: Store, work: Path) -> Trained:
        """A network learned from the first part; `work` holds its checkpoints."""
        return fit_rung(
            self.family,
            settings,
            self.arrays[0],
            self.targets[0],
            self.arrays[1],
            self.targets[1],
            facts=self.facts,
            steps=self.task.steps(),
            options=options,
            work=work,
            rows=store.rows,
        )

    def answers(self, trained: Trained, last: Trained | None = None) -> list[Answer]:
        """What this network answers for the rows that are asked, calibrated by the rows to stop by.

        Where there is a `last` network, learned from more rows, it answers, with the calibration of the first.
        """
        stopping = self._outputs(trained, 1)
        memory = self.task.calibrate({"logits": stopping}, self.targets[1], self.memory)
        if last is None and self.arrays[2] is self.arrays[1]:
            return self.task.decode({"logits": stopping}, memory)
        return self.task.decode({"logits": self._outputs(last or trained, 2)}, memory)

    def _outputs(self, trained: Trained, part: int) -> Array:
        network = rebuild(self.family.name, trained.settings, self.facts, trained.weights)
        targets = self.targets[1] if part == 1 else np.zeros(self.asked)
        return outputs_of(network, Examples(self.arrays[part], targets))


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
