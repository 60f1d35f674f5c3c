"""What is wrong with a spec, told before any work: its names, its paths, its data."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lingqu.data.look import problems_beside, task_named
from lingqu.data.roles import roles_of
from lingqu.errors import SpecError, missing_package
from lingqu.metrics import METRICS
from lingqu.models import family_names
from lingqu.spec import Spec, load_spec
from lingqu.tasks import find_task, task_names


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
    if checked.tune.trials and find_spec("optuna") is None:
        raise missing_package("optuna", "tune", "searching over dials (tune.trials)")
    return checked
