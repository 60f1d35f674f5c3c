"""One rung of the ladder: a recipe is trained, and what came out leaves torch at once, as a bundle."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lingqu.data.accept import columns_of, learn_limits
from lingqu.data.version import DataVersion
from lingqu.models.hub import identity
from lingqu.stages.context import BUNDLE, EVALUATE, TRAIN, Context, Say


def train(
    context: Context, family: str, data: DataVersion, seconds: float, *, over: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Train one family, with the dials of `over` when a search has set some; its weights and its memory are blobs."""
    spec, store = context.spec, context.store
    inputs: dict[str, Any] = {
        "data": data.id,
        "family": family,
        "size": spec.size,
        "budget": spec.budget_seconds,
        # Threads follow from the cores where the spec does not say, and the bits from the threads.
        "cores": min(2, os.cpu_count() or 1) if spec.train.threads is None else None,
        "settings": spec.train.model_dump(mode="json"),
        **identity(family),
    }

    def work(stage: Path, say: Say) -> dict[str, Any]:
        from lingqu.train.rung import climb

        return climb(
            context.task,
            family,
            train=data.rows("train", store),
            valid=data.rows("validation", store),
            kinds=data.kinds,
            size=spec.size,
            settings=spec.train,
            seconds=seconds,
            store=store,
            work=stage,
            tell=say,
            over=over,
        )

    if over is not None:
        inputs["dials"] = dict(over)
    name = f"{family} (tuned)" if over is not None else family
    trained = context.once(f"train {name}", inputs, (*TRAIN, "stages/rung"), work)
    if over is None:
        return {**trained, "name": trained["family"]}
    return {**trained, "name": f"{trained['family']} (tuned)", "dials": dict(over)}


def bundle(context: Context, trained: dict[str, Any], data: DataVersion) -> dict[str, Any]:
    """Export the rung, prove that bundle and network agree, and score the bundle on validation rows."""
    task, store = context.task, context.store
    family, name = trained["family"], trained["name"]
    learned = {name: trained[name] for name in ("weights", "memory", "facts", "settings")}

    def work(stage: Path, say: Say) -> dict[str, Any]:
        from lingqu.bundle.write import write_candidate
        from lingqu.evaluate.rung import price, score
        from lingqu.train.rung import restore

        network, memory = restore(trained, store)
        valid = data.rows("validation", store)
        limits = learn_limits(data.rows("train", store), columns_of(task, data.kinds), data.columns)
        say(0.3, "exporting and comparing with the network")
        made = write_candidate(
            stage / "bundle",
            task=task,
            family=family,
            network=network,
            memory=memory,
            columns=limits,
            rows=valid,
        )
        say(0.6, "scoring on validation rows")
        return {
            "family": family,
            "bundle": store.put_folder(made.path),
            "parity": made.manifest["parity"],
            "score": score(made, valid, task.decide_by),
            "bytes": (made.path / "model.onnx").stat().st_size,
            "ms_per_row": price(made, valid),
            "bundle_bytes": sum(file.stat().st_size for file in made.path.iterdir()),
        }

    # The columns' names in the user's file are part of the contract, and no part of the data version's id.
    inputs = {"data": data.id, "columns": data.columns, "trained": learned}
    found = context.once(f"bundle {name}", inputs, (*BUNDLE, *EVALUATE, "train", "stages/rung"), work)
    # Weights and memory lie in the store once, and in the bundle a second time.
    return {**trained, **found, "disk_bytes": trained["disk_bytes"] + found["bundle_bytes"]}
