"""The whole journey on one page: each stage once, in order.

    spec → data → train → bundle → compress → evaluate → gate → registry → serve → monitor → feedback ↺ data

A stage is a function of its inputs: its result is found by the hash of inputs, settings and code, so what has not
changed is not done again, and a run that was killed goes on where it was. What a stage needs of torch is imported only
when the stage has work to do: a run that changes nothing takes less than a second.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lingqu.data.look import telling_lines
from lingqu.spec import Spec
from lingqu.stages import Stages, Tell, silent
from lingqu.stages.check import check
from lingqu.stages.opening import home, load
from lingqu.store import Store
from lingqu.tasks import find_task
from lingqu.train import ladder

__all__ = ["Tell", "check", "home", "improve", "load", "run"]


def run(
    spec: str | Path | Mapping[str, Any] | Spec, *, store: Store | None = None, tell: Tell = silent
) -> dict[str, Any]:
    """Take rows to a registered version, and tell all about it: what `lingqu run --json` prints."""
    from lingqu.evaluate.notebook import Result
    from lingqu.evaluate.sinks import track

    started = time.perf_counter()
    file = spec if isinstance(spec, Path) or (isinstance(spec, str) and "\n" not in spec) else None
    spec = check(spec)
    task = find_task(spec.task)
    store = store or Store.open(home(spec.folder))
    with store.at_work(f"run-{spec.name}", on_wait=lambda sentence: tell("wait", 0.0, sentence)):
        stages = Stages(spec, task, store, tell)

        # Rows become a data version: immutable, content-addressed, each row in one split for ever.
        with telling_lines(task, file):
            data = stages.data()

        # The ladder is climbed from the cheapest recipe up, while the budget lasts and a pilot says that it should pay.
        # Each rung leaves torch at once: it becomes a bundle, and it is the bundle that is scored.
        rungs: list[dict[str, Any]] = []
        for family in ladder.families(task, spec):
            seconds = ladder.affordable(rungs, spec.budget_seconds - stages.piloting)
            if seconds > 0 and stages.worth(family, data, seconds):
                rung = stages.rung(family, data, seconds, needed=not rungs)
                rungs += [rung] if rung else []

        # The cheapest rung that is as good as the best; a search may turn its dials in what is left of the budget.
        chosen = stages.tune(stages.choose(rungs, data), rungs, data)

        # It is made smaller where a paired test sees no cost.
        shipped = stages.compress(chosen, data, rungs)

        # With every choice made, the recipe is learned once more with the rows that made them.
        shipped = stages.refit(shipped, rungs, data)

        # The bundle is measured on rows that nothing was fitted on, beside its baselines.
        measured = stages.evaluate(shipped, rungs, data)

        # It must beat its baseline, or the champion by a paired test with an error budget; then it is a version.
        result = stages.conclude(shipped, measured, rungs, data)
        track(spec, result, store)
    return Result({**result, **stages.told(data), "seconds": round(time.perf_counter() - started, 3)})


def improve(
    spec: str | Path | Mapping[str, Any] | Spec,
    *,
    store: Store | None = None,
    tell: Tell = silent,
    alarm: str = "",
    asked: bool = True,
) -> dict[str, Any]:
    """One turn of the circle: what users said becomes training rows, and the champion's recipe is learned anew.

    Always from the base, never on top of the last model, so that any source can be cut out again. `asked` goes round
    whatever the spec says of when; otherwise an `alarm` or enough new labels must call for it. Gives what `lingqu
    improve --json` prints: `decision` is `wait`, what the gate said, or where a challenger stands on its way to users.
    """
    from lingqu.feedback.circle import Circle

    started = time.perf_counter()
    spec = check(spec)
    task = find_task(spec.task)
    store = store or Store.open(home(spec.folder))
    with (
        store.at_work(f"run-{spec.name}", on_wait=lambda sentence: tell("wait", 0.0, sentence)),
        Circle(spec, task, store) as circle,
    ):
        stages = Stages(spec, task, store, tell)

        # A challenger on its way to users takes its next step if the evidence allows; meanwhile none is made.
        # One that has to prove itself there and is behind makes room for one that has learned more.
        if (step := circle.advance(asked=asked)) is not None and not circle.gives_way(step, alarm=alarm):
            return step

        # Rules decide on what waits in quarantine; people decide on the rest.
        base = stages.data()
        gathered = circle.gather(base, alarm=alarm, asked=asked)
        if gathered.waits:
            return step or gathered.told()

        # Accepted rows join the training rows, within caps; rows that judge never do.
        data = circle.grow(base)
        if data is base:
            return circle.told()

        # The champion's recipe, on everything, from the beginning.
        rung = stages.rung(circle.family, data, spec.budget_seconds, needed=True, dials=circle.dials)
        assert rung is not None
        shipped = stages.compress(stages.choose([rung], data), data, [rung])
        shipped = stages.refit(shipped, [rung], data)
        measured = stages.evaluate(shipped, [rung], data)

        # Better on fresh rows that nobody could volunteer, or unseen on today's; no worse on the frozen ones.
        result = stages.conclude(shipped, measured, [rung], data, fresh=circle.fresh, unseen=circle.unseen)
        return circle.record({**result, **stages.told(data), "seconds": round(time.perf_counter() - started, 3)})
