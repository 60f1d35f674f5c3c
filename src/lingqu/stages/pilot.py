"""The pilot: what a recipe reaches on a twentieth and a tenth of the rows, and what that foretells of all of them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from lingqu.contract import Rows
from lingqu.data.version import DataVersion
from lingqu.errors import DataError, TrainingError
from lingqu.models.hub import identity
from lingqu.stages.context import EVALUATE, TRAIN, Context, Say
from lingqu.train import ladder

PILOT_VALIDATION = 2000
"""So many validation rows judge a pilot."""


def pilot(context: Context, family: str, data: DataVersion) -> dict[str, Any]:
    """The points that were tried and the forecast from them; `untold` says why there is none."""
    spec, store = context.spec, context.store

    def work(stage: Path, say: Say) -> dict[str, Any]:
        from lingqu.train.forecast import forecast

        train, valid = (data.rows(split, store) for split in ("train", "validation"))
        valid = valid.take(range(min(PILOT_VALIDATION, len(valid))))
        points: list[dict[str, Any]] = []
        for part in ladder.PILOT_PARTS:
            rows = train.take(range(0, len(train), part))
            say(len(points) / 2, f"trying {len(rows):,} rows")
            try:
                points.append(_point(context, family, rows, valid, data, whole=len(train), work=stage / f"part{part}"))
            except (DataError, TrainingError) as error:
                # A part may lack a rare label, or be too small to learn from: then the rung itself must show.
                return {"points": points, "untold": str(error)}
        return {"points": points, **forecast(points, len(train))}

    inputs = {
        "data": data.id,
        "family": family,
        "size": spec.size,
        "settings": spec.train.model_dump(mode="json"),
        **identity(family),
    }
    return context.once(f"pilot {family}", inputs, (*TRAIN, *EVALUATE, "stages/pilot"), work)


def _point(
    context: Context, recipe: str, rows: Rows, valid: Rows, data: DataVersion, *, whole: int, work: Path
) -> dict[str, Any]:
    """What the recipe reaches when it learns from these rows of so many, and what that takes."""
    from lingqu.evaluate.rung import error_of
    from lingqu.train.encoded import Encoded
    from lingqu.train.fit import sparing
    from lingqu.train.meter import held
    from lingqu.train.options import TrainOptions
    from lingqu.train.rung import kept_bytes

    spec, task = context.spec, context.task
    options = TrainOptions(**spec.train.model_dump(), seconds=spec.budget_seconds)
    started = time.perf_counter()
    with held() as memory:
        encoded = Encoded.of(task, recipe, rows, valid, valid, kinds=data.kinds, size=spec.size)
        settings = sparing(encoded.family.settings(spec.size), options, rows=len(rows), whole=whole)
        trained = encoded.learned(settings, options, store=context.store, work=work)
    learning = time.perf_counter() - started
    error = error_of(task, valid, encoded.answers(trained))
    return {
        "rows": len(rows),
        "error": error,
        "seconds": round(time.perf_counter() - started, 3),
        "learning": round(learning, 3),
        "peak_mib": round(memory.peak_mib, 1),
        "array_bytes": encoded.bytes,
        "judged": len(valid),
        "room": encoded.room,
        "looped": bool(trained.history),
        "disk_bytes": kept_bytes(trained, encoded.memory),
    }
