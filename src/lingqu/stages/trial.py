"""The bundle that would be shipped, measured on rows that nothing was fitted on, put through its gate, registered."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lingqu.data.version import DataVersion
from lingqu.stages.context import EVALUATE, Context, Say

if TYPE_CHECKING:
    from lingqu.evaluate.trial import Fresh


def evaluate(
    context: Context, shipped: dict[str, Any], rungs: list[dict[str, Any]], data: DataVersion
) -> dict[str, Any]:
    """The report of the bundle on the test split, beside its baselines."""
    store = context.store

    def work(_: Path, say: Say) -> dict[str, Any]:
        from lingqu.evaluate.trial import measure

        say(0.1, "measuring on the test rows")
        return {"report": store.put_json(measure(shipped["bundle"], rungs[0], context.task, data, store))}

    inputs = {"data": data.id, "bundle": shipped["bundle"], "linear": rungs[0]["bundle"]}
    return context.once("evaluate", inputs, (*EVALUATE, "stages/trial"), work)


def conclude(
    context: Context,
    shipped: dict[str, Any],
    measured: dict[str, Any],
    rungs: list[dict[str, Any]],
    data: DataVersion,
    *,
    fresh: Fresh | None = None,
    unseen: bool = False,
    tuned: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Its gate, then its number in the registry; asked again about the same bundle, the answer stands.

    `tuned` is what a search over dials told, for the report.
    """
    from lingqu.evaluate.registered import register

    spec = context.spec
    inputs = {
        "name": spec.name,
        "data": data.as_dict(),
        "bundle": shipped["bundle"],
        "rungs": [rung["bundle"] for rung in rungs],
        "gates": spec.gates.model_dump(mode="json"),
        **({"fresh": fresh.digest()} if fresh else {}),
        **({"proof": "unseen"} if unseen else {}),
    }

    def work(folder: Path, say: Say) -> dict[str, Any]:
        from lingqu.evaluate.trial import Trial

        made: dict[str, Any] = {"shipped": shipped, "measured": measured, "rungs": rungs, "tuned": tuned}
        return Trial(spec, context.task, data, context.store, **made, fresh=fresh, unseen=unseen).decide(folder, say)

    decided = context.once("gate", inputs, (*EVALUATE, "stages/trial"), work)
    return register(decided, spec, context.task, data, context.store)
