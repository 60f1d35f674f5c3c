"""A dear model teaches a cheap one, on rows that nobody had to label.

The teacher answers rows without labels, and the student learns its answers as if they were the truth. It learns the whole
distribution p of the teacher, at the temperature that validation rows gave it,

    loss = - Σ_k p_k log q_k(student),        p = ½ truth + ½ teacher on rows with labels

for how likely the wrong labels are is what a label does not tell. The margins of n-grams count each row p_k times as of
class k and 1 - p_k times as of another. A forest, which is fitted to classes, takes the most likely label, the limit of
temperature 0; of sets of labels each label is learned so by itself, and numbers are learned as they are.
Source: Hinton, Vinyals and Dean 2015, "Distilling the Knowledge in a Neural Network".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lingqu.bundle.read import Bundle
from lingqu.bundle.write import write_candidate
from lingqu.compress.comparison import Comparison, compare, losses
from lingqu.contract import LabelSet, Rows
from lingqu.data.accept import accept
from lingqu.data.forgotten import Rules
from lingqu.data.label_sets import sigmoid
from lingqu.data.labels import softmax
from lingqu.data.readers import stream
from lingqu.models import find_family
from lingqu.spec import TrainSettings
from lingqu.train.encoded import describe, encode, front
from lingqu.train.fit import fit_rung, rebuild
from lingqu.train.options import TrainOptions

if TYPE_CHECKING:
    from lingqu.contract.task import Array

METHOD = "distil"
OWN = 0.5
"""How much a label counts beside what the teacher says of its row."""


@dataclass(frozen=True, slots=True)
class Student:
    """Who is taught: a family at a size, on columns of these kinds, trained with these settings for so many seconds.

    `labels_only` is the same family learned from the labels alone, where there is one to compare with.
    """

    family: str
    size: str
    kinds: Mapping[str, str]
    settings: TrainSettings
    seconds: float
    labels_only: Bundle | None = None


def distil(
    teacher: Bundle, folder: Path, student: Student, *, unlabelled: Rows, train: Rows, valid: Rows, work: Path
) -> Comparison:
    """Write the student's bundle to `folder`; kept when it is smaller than the teacher's and a test sees no cost.

    `unlabelled` rows have the columns of the teacher's contract; `work` holds checkpoints.
    """
    task = teacher.task
    names = [column["name"] for column in teacher.manifest["columns"]]
    rows = train.select(names).followed_by(unlabelled.select(names))
    family = find_family(student.family)
    memory = task.learn(train, front(task, family, student.size, student.kinds))
    facts = describe(task, memory, train)
    taught = _taught(teacher, rows, task.targets(train, memory))
    if family.fit is not None and not family.soft and taught.ndim == 2:
        taught = taught.round() if task.answer is LabelSet else taught.argmax(axis=1)
    # The classes' weights would count labels, and a distribution is none.
    settings = student.settings.model_copy(update={"class_weights": "none"})
    trained = fit_rung(
        family,
        family.settings(student.size),
        encode(task, rows, memory),
        taught,
        encode(task, valid, memory),
        task.targets(valid, memory),
        facts=facts,
        steps=task.steps(),
        options=TrainOptions(**settings.model_dump(), seconds=student.seconds),
        work=work,
    )
    network = rebuild(student.family, trained.settings, facts, trained.weights)
    columns = teacher.manifest["columns"]
    after = write_candidate(
        folder, task=task, family=student.family, network=network, memory=memory, columns=columns, rows=valid
    )
    return _told(compare(teacher, after, valid, METHOD), student, len(unlabelled), valid)


def _taught(teacher: Bundle, rows: Rows, targets: Array) -> Array:
    """What the student should say: probabilities (rows, classes) or standardised numbers (rows,), float32."""
    said = teacher.outputs(rows)["logits"]
    given = len(targets)
    temperature = teacher.memory.get("temperature", 1.0)
    if teacher.task.answer is LabelSet:
        said, truth = sigmoid(said, temperature), targets
    elif targets.dtype.kind == "i":
        said, truth = softmax(said, temperature), np.eye(said.shape[1])[targets]
    else:
        said, truth = said[:, 0], targets
    mixed = said.astype(np.float32)
    mixed[:given] = OWN * truth + (1 - OWN) * mixed[:given]
    return mixed


def _told(found: Comparison, student: Student, unlabelled: int, valid: Rows) -> Comparison:
    """The row with who learned from how many rows, and what the labels alone would have taught."""
    why = f"{found.why}; {student.family} learned from {unlabelled:,} rows without labels"
    alone = student.labels_only
    if alone is not None:
        mean = float(losses(alone.predict(valid), valid[alone.task.target.name]).mean())
        why += f" (loss {found.loss_after:.4g}, from the labels alone {mean:.4g})"
    return replace(found, why=why)


def read_unlabelled(source: str, teacher: Bundle, *, root: Path | None = None, forgotten: Rules | None = None) -> Rows:
    """The rows of a file that the teacher's contract accepts, and that nobody asked to forget; others teach nothing."""
    names = [column["name"] for column in teacher.manifest["columns"]]
    found = Rows({name: [] for name in names})
    for batch in stream(source):
        accepted, errors = accept(batch.rows, teacher.manifest["columns"], root=root)
        left = {*batch.faults, *(forgotten.places(batch.rows) if forgotten else ())}
        good = [place for place, error in enumerate(errors) if error is None and place not in left]
        found = found.followed_by(accepted.take(good).select(names))
    return found
