"""A search over the dials of the chosen rung, and whether what it found takes that rung's place.

The validation rows are halved, the rows of a group staying together: one half judges the trials, the other compares the
best of them with the rung as it was, so that the luck of the best of many is not taken for skill.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lingqu.data.version import DataVersion
from lingqu.errors import BundleError, TrainingError
from lingqu.models.dials import dials_of
from lingqu.models.hub import identity
from lingqu.stages import rung as ladder_rung
from lingqu.stages.context import EVALUATE, TRAIN, Context, Say
from lingqu.store.atomic import remove_folder

if TYPE_CHECKING:
    from lingqu.contract.task import Array
    from lingqu.models.dials import Dial
    from lingqu.train.encoded import Encoded
    from lingqu.train.tune import Tried

LEAST_JUDGES = 40
"""With fewer validation rows neither half could tell anything."""
TOLD_APART = 0.05
"""A larger model must be seen to lead at this level by the paired test."""
LARGER, NEGLIGIBLE = 1.1, 100_000
"""From so many times the bytes on a model counts as the larger one, unless these bytes are few."""


def tune(
    context: Context, chosen: dict[str, Any], data: DataVersion, seconds: float
) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
    """The rung to go on with, the rung that the search adds (none or one), and what the search tells.

    `seconds` is what is left of the budget: it pays for the trials and for learning the best one as a rung of its own.
    """
    found = _searched(context, chosen, data, seconds)
    told = {"recipe": chosen["name"], "taken": False, **found}
    if found["dials"] is None:
        return chosen, [], told
    try:
        tuned = ladder_rung.train(context, chosen["recipe"], data, _bound(chosen), over=found["dials"])
        tuned = ladder_rung.bundle(context, tuned, data)
    except (TrainingError, BundleError) as error:
        return chosen, [], {**told, "why": str(error)}
    compared = _compared(context, chosen, tuned, data)
    told |= compared
    if not compared["taken"]:
        return chosen, [tuned], told
    return {**tuned, "why": compared["why"]}, [tuned], told


def halves(groups: list[str], seed: int) -> tuple[list[int], list[int]]:
    """The rows that judge trials and those that compare afterwards; a group is never parted.

    >>> judging, comparing = halves(["a", "a", "b", "c", "c", "d"], seed=0)
    >>> sorted(judging + comparing), {0, 1} <= set(judging) or {0, 1} <= set(comparing)
    ([0, 1, 2, 3, 4, 5], True)
    """
    _, index = np.unique(np.asarray(groups), return_inverse=True)
    order = np.random.default_rng([seed, 0x74756E65]).permutation(index.max() + 1)
    first: Array = order[index] % 2 == 0
    return np.flatnonzero(first).tolist(), np.flatnonzero(~first).tolist()


def _searched(context: Context, chosen: dict[str, Any], data: DataVersion, seconds: float) -> dict[str, Any]:
    """Every trial, and the dials of the best: None where nothing was found that is better than the rung as it is."""
    spec = context.spec
    least = max(1.0, chosen["seconds"])
    # The best recipe is learned once more, as a rung.
    seconds = min(seconds - least, spec.tune.budget_seconds or seconds)

    def work(stage: Path, say: Say) -> dict[str, Any]:
        from lingqu.train.tune import parts_for, search

        attempts = _Attempts(context, chosen, data, stage)
        dials = attempts.dials()
        why = ""
        if data.counts["validation"] < LEAST_JUDGES:
            why = f"{data.counts['validation']} validation rows are too few to judge trials by"
        elif not dials:
            why = f"{chosen['family']} has no dials to turn"
        elif seconds < least:
            why = "nothing is left of the budget"
        if why:
            return _told([], 0) | {"why": why}
        trials = search(
            dials,
            attempts.attempt,
            trials=spec.tune.trials,
            seed=spec.train.seed,
            folder=stage / "study",
            seconds=seconds,
            expected=least,
            parts=parts_for(data.counts["train"]),
            tell=say,
        )
        return _told(trials, spec.tune.trials)

    inputs = {
        "data": data.id,
        "rung": {name: chosen[name] for name in ("recipe", "settings", "bundle")},
        "size": spec.size,
        "settings": spec.train.model_dump(mode="json"),
        "tune": spec.tune.model_dump(mode="json"),
        "budget": spec.budget_seconds,
        **identity(chosen["recipe"]),
    }
    return context.once(f"tune {chosen['name']}", inputs, (*TRAIN, *EVALUATE, "stages/tune"), work)


def _told(trials: list[Tried], asked: int) -> dict[str, Any]:
    """Every trial, the number of the best and its dials, where it is another one than the first."""
    from lingqu.train.tune import best

    first = best(trials)
    better = first is not None and first.number > 0
    return {
        "trials": [one.to_json() for one in trials],
        "asked": asked,
        "seconds": round(sum(one.seconds for one in trials), 3),
        "best": first.number if first is not None else None,
        "dials": first.dials if first is not None and better else None,
        "why": "" if better else "no trial was better than the settings of the size",
    }


class _Attempts:
    """The trials of one rung's recipe: which dials it has, and what a trial with some of them gives."""

    def __init__(self, context: Context, chosen: Mapping[str, Any], data: DataVersion, stage: Path) -> None:
        from lingqu.models import find_family

        self.context, self.chosen, self.kinds, self.stage = context, chosen, data.kinds, stage
        self.family = find_family(chosen["recipe"])
        self.size = context.spec.size
        self.front = self.family.front_settings(self.size, self.family.front_for(context.task.fronts))
        self.train, valid = (data.rows(split, context.store) for split in ("train", "validation"))
        self.judges = valid.take(halves(data.groups("validation", context.store), context.spec.train.seed)[0])
        # Most dials leave the rows as they were encoded for the trial before.
        self.encoded = lru_cache(maxsize=3)(self._encode)

    def dials(self) -> dict[str, tuple[Dial, Any]]:
        """The dials of the rung, each with its present value; what the user set stays set."""
        from lingqu.train.options import SETTINGS

        said = self.context.spec.train.model_dump(exclude_none=True)
        decided = {setting for word, setting in SETTINGS.items() if word in said}
        return dials_of(self.family, self.chosen["settings"], self.front, decided)

    def attempt(self, dials: Mapping[str, Any], part: int, number: int) -> float:
        """The error on the judging half after learning from every part-th row."""
        from lingqu.evaluate.rung import error_of
        from lingqu.train.options import TrainOptions

        fed = {name: value for name, value in dials.items() if name in self.front}
        held = self.encoded(part, json.dumps(fed, sort_keys=True))
        options = TrainOptions(**self.context.spec.train.model_dump(), seconds=_bound(self.chosen))
        work = self.stage / f"trial{number}-{part}"
        trained = held.learned(held.dialled(self.size, dials), options, store=self.context.store, work=work)
        remove_folder(work)
        return error_of(self.context.task, self.judges, held.answers(trained))

    def _encode(self, part: int, fed: str) -> Encoded:
        from lingqu.train.encoded import Encoded

        rows = self.train.take(range(0, len(self.train), part))
        parts = (rows, self.judges, self.judges)
        task, recipe = self.context.task, self.chosen["recipe"]
        return Encoded.of(task, recipe, *parts, kinds=self.kinds, size=self.size, over=json.loads(fed))


def _bound(chosen: Mapping[str, Any]) -> float:
    """Seconds for one fit: generous, for more epochs may be asked, and other results than those of few steps are wanted."""
    return max(60.0, 3 * chosen["seconds"])


def _compared(context: Context, chosen: dict[str, Any], tuned: dict[str, Any], data: DataVersion) -> dict[str, Any]:
    """Whether the tuned bundle takes the place of the chosen one, judged by the half that no trial was judged by."""
    store, task = context.store, context.task

    def work(_: Path, say: Say) -> dict[str, Any]:
        from lingqu.bundle.read import Bundle
        from lingqu.evaluate.comparison import compare, group_index
        from lingqu.evaluate.rung import COMPARED, judged_rung
        from lingqu.metrics import find_metric

        groups = data.groups("validation", store)
        places = halves(groups, context.spec.train.seed)[1]
        rows = data.rows("validation", store).take(places)
        say(0.5, f"comparing on {len(rows):,} rows that judged no trial")
        old, new = (judged_rung(Bundle.open(store.folder_path(one["bundle"])), rows) for one in (chosen, tuned))
        index = group_index([groups[place] for place in places])
        lead = compare(find_metric(task.decide_by), old, new, groups=index, resamples=COMPARED)
        larger = tuned["bytes"] > max(LARGER * chosen["bytes"], chosen["bytes"] + NEGLIGIBLE)
        taken = lead.lead > 0 and (not larger or lead.p < TOLD_APART)
        return {"taken": bool(taken), "lead": lead.lead, "p": lead.p, "rows": len(rows), "larger": larger}

    inputs = {
        "data": data.id,
        "bundles": [chosen["bundle"], tuned["bundle"]],
        "bytes": [chosen["bytes"], tuned["bytes"]],
        "seed": context.spec.train.seed,
    }
    found = context.once(f"compare {tuned['name']}", inputs, (*EVALUATE, "stages/tune"), work)
    return {**found, "why": _why(chosen, found)}


def _why(chosen: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """The decision in words.

    >>> _why({"name": "tree"}, {"taken": True, "larger": False, "lead": 0.0213, "p": 0.2, "rows": 340})
    'it leads tree by 0.0213 on 340 rows that judged no trial (p = 0.2), and is no larger'
    """
    where = f"on {found['rows']:,} rows that judged no trial (p = {found['p']:.2g})"
    if found["lead"] <= 0:
        return f"it does not lead {chosen['name']} {where}"
    if found["taken"]:
        return f"it leads {chosen['name']} by {found['lead']:.3g} {where}" + (
            "" if found["larger"] else ", and is no larger"
        )
    return f"it is larger, and its lead over {chosen['name']}, {found['lead']:.3g}, is not seen {where}"
