"""Which rung is shipped: validation rows choose, or all rows fold by fold where those are few."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from lingqu.contract import Answer, Rows
from lingqu.data.version import DataVersion
from lingqu.errors import DataError, TrainingError
from lingqu.stages.context import EVALUATE, TRAIN, Context, Say
from lingqu.train import ladder


def choose(context: Context, rungs: list[dict[str, Any]], data: DataVersion) -> dict[str, Any]:
    """The cheapest rung that these rows cannot tell from the best."""
    if len(rungs) == 1:
        return {**rungs[0], "why": "the only one that was tried"}
    spec, task, store = context.spec, context.task, context.store
    by_folds = ladder.judged_by_folds(rungs, data.counts["validation"], spec.budget_seconds)

    def work(stage: Path, say: Say) -> dict[str, Any]:
        from lingqu.bundle.read import Bundle
        from lingqu.evaluate.rung import choose, judged_rung

        rows = data.rows("validation", store)
        answers: list[list[Answer] | None] = [None] * len(rungs)
        if by_folds:
            whole = data.rows("train", store).followed_by(rows)
            # A fold may lack a rare label: then the validation rows choose after all.
            with suppress(DataError, TrainingError):
                answers = [_by_fold(context, rung, whole, data, work=stage, say=say) for rung in rungs]
                rows = whole
        say(0.9, f"comparing the rungs on the same {len(rows):,} rows")
        bundles = [Bundle.open(store.folder_path(rung["bundle"])) for rung in rungs]
        judged = [judged_rung(bundle, rows, told) for bundle, told in zip(bundles, answers, strict=True)]
        return choose([rung["name"] for rung in rungs], judged, task.decide_by)

    inputs = {"data": data.id, "rungs": [rung["bundle"] for rung in rungs], "by folds": by_folds}
    if by_folds:
        inputs |= {"size": spec.size, "train": spec.train.model_dump(mode="json")}
    found = context.once("choose", inputs, (*TRAIN, *EVALUATE, "stages/choice"), work)
    return {**rungs[found["chosen"]], "why": found["why"]}


def _by_fold(
    context: Context, rung: dict[str, Any], rows: Rows, data: DataVersion, *, work: Path, say: Say
) -> list[Answer]:
    from lingqu.train.folds import answers_by_fold

    spec, store = context.spec, context.store
    return answers_by_fold(
        context.task,
        rung["recipe"],
        rows,
        groups=[group for split in ("train", "validation") for group in data.groups(split, store)],
        tell=say,
        kinds=data.kinds,
        size=spec.size,
        settings=spec.train,
        seconds=spec.budget_seconds,
        store=store,
        work=work,
    )
