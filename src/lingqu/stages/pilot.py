"""The pilot: what a recipe reaches on a twentieth and a tenth of the rows, and what that foretells of all of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from lingqu.data.version import DataVersion
from lingqu.errors import DataError, TrainingError
from lingqu.models.hub import identity
from lingqu.stages.context import EVALUATE, TRAIN, Context, Say
from lingqu.train import ladder

PILOT_VALIDATION = 2000
"""So many validation rows judge a pilot."""


def pilot(context: Context, family: str, data: DataVersion) -> dict[str, Any]:
    """The points that were tried and the forecast from them; `untold` says why there is none."""
    spec, task, store = context.spec, context.task, context.store

    def work(stage: Path, say: Say) -> dict[str, Any]:
        from lingqu.evaluate.rung import error_of
        from lingqu.train.folds import learned_answers

        train, valid = (data.rows(split, store) for split in ("train", "validation"))
        valid = valid.take(range(min(PILOT_VALIDATION, len(valid))))
        points = []
        for part in ladder.PILOT_PARTS:
            rows = train.take(range(0, len(train), part))
            say(len(points) / 2, f"trying {len(rows):,} rows")
            started = time.perf_counter()
            try:
                answers = learned_answers(
                    task,
                    family,
                    rows,
                    valid,
                    valid,
                    part=f"pilot{part}",
                    kinds=data.kinds,
                    size=spec.size,
                    settings=spec.train,
                    seconds=spec.budget_seconds,
                    store=store,
                    work=stage,
                )
            except (DataError, TrainingError) as error:
                # A part may lack a rare label, or be too small to learn from: then the rung itself must show.
                return {"points": points, "untold": str(error)}
            seconds = time.perf_counter() - started
            error = error_of(task, valid, answers)
            points.append({"rows": len(rows), "error": error, "seconds": round(seconds, 3)})
        return {"points": points, **ladder.forecast(points, len(train))}

    inputs = {
        "data": data.id,
        "family": family,
        "size": spec.size,
        "settings": spec.train.model_dump(mode="json"),
        **identity(family),
    }
    return context.once(f"pilot {family}", inputs, (*TRAIN, *EVALUATE, "stages/pilot"), work)
