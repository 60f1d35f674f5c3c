"""What is wrong with a spec, told before any work: its names, its paths, its data."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from lingqu.contract import LabelScores, LabelSet, NumberValue, Task
from lingqu.data import augment
from lingqu.data.look import problems_beside, task_named
from lingqu.data.roles import roles_of
from lingqu.errors import MissingPackageError, Problem, RequestError, SpecError, missing_package
from lingqu.metrics import METRICS
from lingqu.models import IN_SHORT, family_names, find_family
from lingqu.spec import Spec, load_spec
from lingqu.tasks import find_task, task_names
from lingqu.train import ladder

_KINDS: dict[type, str] = {LabelScores: "classification", LabelSet: "multilabel", NumberValue: "regression"}


def check(spec: str | Path | Mapping[str, Any] | Spec) -> Spec:
    """The spec with all its names known and its paths there; SpecError with every problem of spec and data."""
    names = task_names()
    asked = task_named(spec, names)
    # Only the task that is asked for is imported; the others are names.
    task = find_task(asked) if asked in names else None
    roles = {name: roles_of(task) if task and name == asked else "" for name in names}
    try:
        checked = load_spec(spec, tasks=roles, metrics=METRICS, models=family_names())
    except SpecError as error:
        # Whoever mends the spec should hear at once what its data will say.
        beside = problems_beside(spec, task) if task and isinstance(spec, str | Path) else []
        known = {(one.expected, one.found) for one in error.problems}
        raise SpecError(*error.problems, *(one for one in beside if (one.expected, one.found) not in known)) from None
    if task and (problems := _misfits(checked, task)):
        raise SpecError(*problems)
    if checked.compress.cascade and task is not None and task.answer not in (LabelScores, LabelSet):
        found = f"{task.name}, whose answers are as sure for every row"
        raise SpecError(Problem("compress.cascade for a task that answers with labels", found, "Leave it out."))
    if checked.tune.trials and find_spec("optuna") is None:
        raise missing_package("optuna", "tune", "searching over dials (tune.trials)")
    if task and (checked.train.method == "pretrain" or not isinstance(checked.train.augment, str)):
        _check_families(checked, task)
    return checked


def _misfits(spec: Spec, task: Task) -> list[Problem]:
    """Our own families under `model` that cannot read what this task has, or cannot learn what it asks."""
    kind = _KINDS.get(task.answer)
    advice = f"Write model: auto, or model: {task.ladder[0]}."
    problems: list[Problem] = []
    for name in spec.families or ():
        fronts, kinds = IN_SHORT.get(name, ((), ()))
        if fronts and not {*fronts} & {*task.fronts}:
            expected = f"a model family that reads {' or '.join(task.fronts)}, as {task.name} needs"
            problems.append(Problem(expected, f"'{name}', which reads {' or '.join(fronts)}", advice))
        elif kinds and kind is not None and kind not in kinds:
            expected = f"a model family for {kind}, as {task.name} needs"
            problems.append(Problem(expected, f"'{name}', which is for {' and '.join(kinds)}", advice))
    return problems


def _check_families(spec: Spec, task: Task) -> None:
    """SpecError for what no family of the ladder can do, or one of them cannot: pre-training, and ways of augmentation.

    Families are imported for it, so it is asked only where the spec speaks of it.
    """
    try:
        families = [find_family(name) for name in ladder.families(task, spec)]
    except MissingPackageError:
        # Whoever only checks or serves need not be able to train.
        return
    problems: list[Problem] = []
    if spec.train.method == "pretrain" and not any("pretraining" in one.settings(spec.size) for one in families):
        named = ", ".join(one.name for one in families)
        advice = "Write model: transformer, or" if "tokens" in task.fronts else "No model of this task can:"
        expected = "a model family that can first learn from the texts alone (train.method: pretrain)"
        problems.append(Problem(expected, named, f"{advice} leave train.method out."))
    looped = [one.front_for(task.fronts) or "" for one in families if one.fit is None]
    for front in dict.fromkeys(looped or [""]):
        problems += _augmented(spec, front)
    if problems:
        raise SpecError(*dict.fromkeys(problems))


def _augmented(spec: Spec, front: str) -> tuple[Problem, ...]:
    """What is wrong with train.augment for a network that this front feeds."""
    arrays = {front: np.zeros((0, 0))} if front in ("pixels", "tokens") else {}
    try:
        augment.chosen("none" if spec.train.augment == "auto" else spec.train.augment, (), arrays, np.zeros(0))
    except RequestError as error:
        return error.problems
    return ()
