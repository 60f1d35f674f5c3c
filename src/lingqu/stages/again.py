"""The chosen recipe learned once more with the validation rows, now that they have nothing left to decide."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lingqu.data.version import DataVersion
from lingqu.stages.context import COMPRESS, TRAIN, Context, Say


def refit(context: Context, shipped: dict[str, Any], rungs: list[dict[str, Any]], data: DataVersion) -> dict[str, Any]:
    """The bundle of the same recipe, learned from training and validation rows together.

    What validation rows decided stays: penalty, number of trees, temperature, error range, eight bits or not. Families
    that the loop trains stay as they are, and so does a bundle that was made smaller in a way that cannot be repeated.
    """
    task, store, settings = context.task, context.store, context.spec.train
    chosen = next((rung for rung in rungs if rung["name"] == shipped["name"]), rungs[0])
    kept = [step["method"] for step in shipped["steps"] if step["kept"]]

    def work(stage: Path, say: Say) -> dict[str, Any]:
        from lingqu.bundle.read import Bundle
        from lingqu.bundle.write import write_candidate
        from lingqu.compress.steps import REPEATABLE, again, whole
        from lingqu.train.rung import relearn

        first = Bundle.open(store.folder_path(shipped["bundle"]))
        train, valid = (data.rows(split, store) for split in ("train", "validation"))
        network = None
        if set(kept) <= REPEATABLE:
            network = relearn(
                task, chosen, train=train, valid=valid, settings=settings, store=store, work=stage, tell=say
            )
        if network is None:
            return {"bundle": shipped["bundle"], "rows": len(train)}
        bundle = write_candidate(
            stage / "bundle",
            task=task,
            family=shipped["family"],
            network=network,
            memory=whole(first.memory),
            columns=first.manifest["columns"],
            rows=valid,
            calibrate=False,
        )
        bundle = again(bundle, kept, stage, train=train.followed_by(valid))
        return {"bundle": store.put_folder(bundle.path), "rows": len(train) + len(valid)}

    inputs = {
        "data": data.id,
        "bundle": shipped["bundle"],
        "kept": kept,
        "recipe": {name: chosen[name] for name in ("family", "memory", "facts", "settings")},
        "train": settings.model_dump(mode="json"),
    }
    found = context.once("refit", inputs, (*TRAIN, *COMPRESS, "stages/again"), work)
    return {**shipped, "bundle": found["bundle"], "learned_from": found["rows"]}
