"""Rows as one family reads them: which front feeds it, what is remembered, arrays to learn from, to stop by, to answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lingqu.contract import Answer, Front, Memory, Rows, Task
from lingqu.data.fronts import RAGGED
from lingqu.data.ragged import Ragged, pack
from lingqu.errors import Problem, SpecError
from lingqu.models import Facts, Family, find_family
from lingqu.models.family import Examples
from lingqu.store import Store
from lingqu.train.fit import Trained, fit_rung, rebuild
from lingqu.train.judge import outputs_of
from lingqu.train.options import TrainOptions

if TYPE_CHECKING:
    from lingqu.contract.task import Array

    Arrays = Mapping[str, Array | Ragged]

ENCODE_ROWS = 512


def _quiet(_done: float, _sentence: str) -> None:
    """Tells nobody."""


@dataclass(frozen=True)
class Encoded:
    """Rows as one family reads them: to learn from, to stop by and to answer; `fed` are the settings of its front."""

    task: Task
    family: Family
    fed: Mapping[str, Any]
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
        fed = front(task, family, size, kinds, over)
        memory = task.learn(train, fed)
        learning, stopping = encode(task, train, memory), encode(task, stop, memory)
        arrays = (learning, stopping, stopping if asked is stop else encode(task, asked, memory))
        targets = (task.targets(train, memory), task.targets(stop, memory))
        return cls(task, family, fed.settings, memory, describe(task, memory, train), arrays, targets, len(asked))

    @property
    def bytes(self) -> int:
        """How much memory the encoded rows to learn from take."""
        held = self.arrays[0].values()
        return sum(one.values.nbytes + one.offsets.nbytes if isinstance(one, Ragged) else one.nbytes for one in held)

    @property
    def room(self) -> float:
        """How many times larger a network of this front may get with more rows; 1000 where nothing bounds it.

        A vocabulary that the rows filled is as large as it will ever be.
        """
        most, now = self.fed.get("vocabulary"), self.memory["front"].get("vocabulary")
        return max(1.0, most / now) if isinstance(most, int) and isinstance(now, int) else 1000.0

    def with_more(self, rows: Rows) -> Encoded:
        """The same with these rows to learn from; what was remembered and described stays."""
        arrays = (encode(self.task, rows, self.memory), *self.arrays[1:])
        return replace(self, arrays=arrays, targets=(self.task.targets(rows, self.memory), self.targets[1]))

    def dialled(self, size: str, over: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The family's settings at this size, with those dials of `over` that are not the front's: these are `decided`."""
        own = {name: value for name, value in (over or {}).items() if name not in self.fed}
        return {**self.family.settings(size), **own, **({"decided": sorted(own)} if own else {})}

    def learned(
        self,
        settings: Mapping[str, Any],
        options: TrainOptions,
        *,
        store: Store,
        work: Path,
        tell: Callable[[float, str], None] = _quiet,
    ) -> Trained:
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
            progress=tell,
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


def front(
    task: Task, family: Family, size: str, kinds: Mapping[str, str], over: Mapping[str, Any] | None = None
) -> Front:
    """The front that feeds this family on this task, with those dials of `over` that are its own.

    SpecError when family and task do not fit.
    """
    chosen = family.front_for(task.fronts)
    if chosen is None:
        raise SpecError(
            Problem(
                f"a model family that reads {' or '.join(task.fronts)}, as {task.name} needs",
                f"'{family.name}', which reads {' or '.join(family.fronts)}",
                f"Try model: {task.ladder[0]}.",
            )
        )
    settings = family.front_settings(size, chosen)
    settings |= {name: value for name, value in (over or {}).items() if name in settings}
    if task.takes_features:
        settings["kinds"] = {name: kind for name, kind in kinds.items() if name != task.target.name}
    return Front(chosen, settings)


def describe(task: Task, memory: Memory, rows: Rows) -> Facts:
    """What a network must know of its data before it is built."""
    targets = task.targets(rows, memory)
    outputs = task.outputs(memory)
    if targets.ndim == 2:
        return Facts(outputs, "multilabel", memory["front"], len(rows))
    if targets.dtype.kind != "i":
        return Facts(outputs, "regression", memory["front"], len(rows))
    counts = tuple(np.bincount(targets, minlength=outputs).tolist())
    return Facts(outputs, "classification", memory["front"], len(rows), counts)


def encode(task: Task, rows: Rows, memory: Memory) -> dict[str, Array | Ragged]:
    """All rows as training arrays, those of different length end to end."""
    ragged = RAGGED.get(memory["front"]["name"], ())
    return pack((task.encode(batch, memory) for batch in rows.batches(ENCODE_ROWS)), ragged)
