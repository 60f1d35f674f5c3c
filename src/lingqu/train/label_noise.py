"""Training rows whose label is probably wrong: confident learning on answers of the cheapest rung to rows it never saw.

The rows are put into folds by their groups, the cheapest family of the task learns from all folds but one and answers
that one, and `lingqu.statistics.confident` compares the answers with the labels. What is told is a list to look at, not
a verdict: a hard row looks like a wrong one to a simple model.

>>> from lingqu.tasks import find_task
>>> task = find_task("text-classification")
>>> rows = task.toy(120)
>>> wrong = rows.with_columns({"label": [rows["label"][1], *rows["label"][1:]]})
>>> [one["label"] for one in label_noise(task, wrong, {"text": "text", "label": "label"}, [])["rows"]]
['sport']
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lingqu.contract import Rows, Task
from lingqu.data.labels import fit_temperature, softmax
from lingqu.data.overview import SHOWN_ROWS, as_finding, shown_row
from lingqu.data.ragged import Ragged
from lingqu.data.split import place
from lingqu.models import Examples, find_family
from lingqu.models.family import Tell
from lingqu.statistics import confident
from lingqu.train.encoded import describe, encode, front
from lingqu.train.judge import outputs_of
from lingqu.train.options import TrainOptions

if TYPE_CHECKING:
    from lingqu.contract.task import Array

FOLDS = 4
TOLD = 0.005
"""From this estimated share of wrong labels on it is a warning; below it a note."""
MOST_ROWS = 50_000
LEAST_ROWS = 100


def _quiet(_done: float, _sentence: str) -> None:
    """Tells nobody."""


def label_noise(
    task: Task,
    rows: Rows,
    kinds: Mapping[str, str],
    keys: Sequence[str],
    *,
    size: str = "tiny",
    tell: Callable[[float, str], None] = _quiet,
) -> dict[str, Any]:
    """The finding of probably wrong labels, with `share` (the estimated share of them) and the rows to look at.

    `keys` are the keys of the rows' groups, which stay in one fold; without any, each row is its own group. Nothing is
    found among fewer than 100 rows, nor by a task whose cheapest family has no closed form. Of more than 50,000 rows the
    first ones are looked at.
    """
    family = find_family(task.ladder[0])
    rows = rows.take(range(min(len(rows), MOST_ROWS)))
    if len(rows) < LEAST_ROWS or family.fit is None:
        return {}
    memory = task.learn(rows, front(task, family, size, kinds))
    targets = task.targets(rows, memory)
    if targets.ndim != 1 or targets.dtype.kind != "i":
        return {}
    tell(0.1, f"encoding {len(rows):,} rows")
    examples = Examples(encode(task, rows, memory), targets)
    fold = np.array([int(place(key) * FOLDS) for key in (list(keys)[: len(rows)] or map(str, range(len(rows))))])
    logits = np.zeros((len(rows), task.outputs(memory)), np.float32)
    settings: Mapping[str, Any] = {**family.settings(size), "class_weights": "none"}
    facts = describe(task, memory, rows)
    threads = TrainOptions().threads_for(len(rows))
    for number in range(FOLDS):
        held, others = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        if not len(held) or len(set(targets[others].tolist())) < 2:
            continue
        tell(0.2 + 0.8 * number / FOLDS, f"asking about part {number + 1} of {FOLDS}")
        # A tenth of what is learned from chooses the penalty once; the rows that are asked about have no say in it.
        chooses = others[::10]
        fitted = family.fit(
            _part(examples, others), _part(examples, chooses), facts, settings, seed=0, threads=threads, tell=_still
        )
        settings = fitted.settings
        asked = _part(examples, held)
        logits[held] = outputs_of(fitted.network, asked)
    return _told(rows, targets, logits, memory["labels"], task.target.name)


_still: Tell = _quiet


def _part(examples: Examples, rows: Array) -> Examples:
    arrays = {
        name: held.rows(rows) if isinstance(held, Ragged) else held[rows] for name, held in examples.arrays.items()
    }
    return Examples(arrays, examples.targets[rows])


def _told(rows: Rows, targets: Array, logits: Array, labels: Sequence[str], target: str) -> dict[str, Any]:
    found = confident(targets, softmax(logits, fit_temperature(logits, targets)))
    if not len(found.rows):
        return {}
    shown = [
        shown_row(rows, int(row), probably=labels[suggested])
        for row, suggested in zip(found.rows[:SHOWN_ROWS].tolist(), found.suggested[:SHOWN_ROWS].tolist(), strict=True)
    ]
    message = (
        f"About {found.share:.1%} of the labels look wrong ({len(found.rows):,} of {len(rows):,} rows): a model that did "
        "not see them is surer of another label. Look at these rows first."
    )
    level = "warning" if found.share >= TOLD and len(found.rows) >= 3 else "note"
    return as_finding(level, "label-noise", message, target, shown) | {"share": found.share}
