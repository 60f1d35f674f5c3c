"""The ladder: recipes from the cheapest model to the dearest, climbed while the budget lasts.

A recipe is a model family at a size. Each one that is tried is kept as a rung: its weights, its score on validation
rows (taken from its bundle, higher up), its seconds, its bytes. evaluate/rung.py chooses between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lingqu.contract import Task
from lingqu.errors import Problem, SpecError, near
from lingqu.models import family_names

if TYPE_CHECKING:
    from lingqu.spec import Spec

LEAST_SECONDS = 1.0


def families(task: Task, spec: Spec) -> list[str]:
    """The families to try, in order: those of the spec, or the task's own ladder, the cheapest first; SpecError for an unknown one."""
    asked = spec.families
    if asked is None:
        return list(task.ladder)
    known = family_names()
    unknown = [name for name in asked if name not in known]
    if unknown:
        raise SpecError(Problem("a model family that lingqu knows", f"'{name}'", near(name, known)) for name in unknown)
    # The cheapest first, whatever the order they were asked in: those that the task does not rank come last.
    rank = {name: place for place, name in enumerate(task.ladder)}
    return sorted(asked, key=lambda name: rank.get(name, len(rank)))


def affordable(rungs: Sequence[dict[str, Any]], budget_seconds: float) -> float:
    """What is left of the budget after these rungs, 0 when the ladder ends here; the first rung is always tried.

    The seconds are those that were spent when a rung was first climbed, so that a second run decides the same.

    >>> affordable([{"seconds": 50.0}], 60.0), affordable([{"seconds": 59.5}], 60.0)
    (10.0, 0.0)
    """
    left = budget_seconds - sum(rung["seconds"] for rung in rungs)
    return left if left >= LEAST_SECONDS or not rungs else 0.0
