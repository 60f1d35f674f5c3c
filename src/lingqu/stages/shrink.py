"""The chosen bundle made smaller, by each step that was asked for and costs nothing that a paired test can see."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lingqu.data.forgotten import remembered
from lingqu.data.sources import fingerprints
from lingqu.data.version import DataVersion
from lingqu.stages.context import COMPRESS, Context, Say

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle
    from lingqu.compress.comparison import Comparison


def compress(
    context: Context, rung: dict[str, Any], data: DataVersion, rungs: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """The rung's bundle as it is shipped; of the `rungs` that were tried, the first can be the cheap member of a cascade."""
    spec, store = context.spec, context.store
    settings = spec.compress
    if not settings.asks:
        told = {name: rung[name] for name in ("bundle", "family", "name", "why")}
        return {**told, "steps": []}
    cheapest = rungs[0]["bundle"] if settings.cascade and rungs and rungs[0]["bundle"] != rung["bundle"] else None

    def work(stage: Path, say: Say) -> dict[str, Any]:
        from lingqu.bundle.read import Bundle
        from lingqu.compress.steps import compress

        before = Bundle.open(store.folder_path(rung["bundle"]))
        train, valid = (data.rows(split, store) for split in ("train", "validation"))
        teach = partial(_teach, context, data=data, rungs=rungs, work=stage / "student") if settings.distil else None
        after, steps = compress(
            before,
            settings,
            stage,
            train=train,
            valid=valid,
            cheapest=Bundle.open(store.folder_path(cheapest)) if cheapest else None,
            teach=teach,
            say=say,
        )
        kept = store.put_folder(after.path) if after is not before else rung["bundle"]
        taught = settings.distil is not None and any(step.method == "distil" and step.kept for step in steps)
        told = {"bundle": kept, "steps": [step.to_json() for step in steps]}
        if settings.distil and taught:
            return {**told, "family": settings.distil.into, "name": settings.distil.into}
        return {**told, "family": rung["family"], "name": rung["name"]}

    asked = settings.model_dump(mode="json")
    inputs = {"data": data.id, "bundle": rung["bundle"], "name": rung["name"], "settings": asked, "cheapest": cheapest}
    if unlabelled := spec.located_unlabelled():
        inputs["distil"] = [fingerprints(unlabelled), spec.size, spec.train.model_dump(mode="json")]
        if forgotten := remembered(store):
            inputs["forgotten"] = forgotten.digest()
    return {**context.once("compress", inputs, (*COMPRESS, "stages/shrink"), work), "why": rung["why"]}


def _teach(
    context: Context,
    teacher: Bundle,
    folder: Path,
    *,
    data: DataVersion,
    rungs: Sequence[dict[str, Any]],
    work: Path,
) -> Comparison:
    """A student of this bundle in `folder`, and how the two compare."""
    from lingqu.bundle.read import Bundle
    from lingqu.compress.distil import Student, distil, read_unlabelled

    spec, store = context.spec, context.store
    unlabelled = spec.located_unlabelled()
    assert spec.compress.distil is not None
    assert unlabelled is not None
    family = spec.compress.distil.into
    plain = next((rung["bundle"] for rung in rungs if rung["family"] == family), None)
    alone = Bundle.open(store.folder_path(plain)) if plain else None
    student = Student(family, spec.size, data.kinds, spec.train, spec.budget_seconds, labels_only=alone)
    root = Path(unlabelled.root) if unlabelled.root else None
    rows = read_unlabelled(str(unlabelled.source), teacher, root=root, forgotten=remembered(store))
    train, valid = (data.rows(split, store) for split in ("train", "validation"))
    return distil(teacher, folder, student, unlabelled=rows, train=train, valid=valid, work=work)
