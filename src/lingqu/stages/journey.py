"""The stages of one run, each callable on its own; `loop.run` calls them in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lingqu.contract import Task
from lingqu.data.version import DataVersion
from lingqu.errors import BundleError, TrainingError
from lingqu.spec import Spec
from lingqu.stages import again, choice, pilot, rows, rung, shrink, trial, tune
from lingqu.stages.context import Context, Tell, silent
from lingqu.store import Store
from lingqu.train import forecast, ladder

if TYPE_CHECKING:
    from lingqu.evaluate.trial import Fresh


class Stages:
    """The stages of one run.

    `context.cached` names those whose result was already there, `failed` the rungs that broke, `pilots` holds what was
    foretold of the rungs that were climbed, `skipped` why others were not, `piloting` the seconds that this took, and `tuned` what
    a search over dials found.
    """

    def __init__(self, spec: Spec, task: Task, store: Store, tell: Tell = silent) -> None:
        self.context = Context(spec, task, store, tell)
        self.failed: list[dict[str, str]] = []
        self.pilots: list[dict[str, Any]] = []
        self.skipped: list[dict[str, Any]] = []
        self.piloting = 0.0
        self.tuned: dict[str, Any] | None = None

    def told(self, data: DataVersion) -> dict[str, Any]:
        """What a run tells of its rows and of its way."""
        return {
            "quarantined": data.quarantined,
            "findings": [asdict(finding) for finding in data.findings],
            "failed": self.failed,
            "pilots": self.pilots,
            "skipped": self.skipped,
            "tune": self.tuned,
            "cached": self.context.cached,
        }

    def data(self) -> DataVersion:
        """Read, check, type, group and split the rows."""
        return rows.data_version(self.context)

    def worth(self, family: str, data: DataVersion, left: float) -> bool:
        """Whether this recipe should pay within the `left` seconds: a pilot on a tenth of the rows foretells it."""
        if not ladder.wants_pilot(self.context.spec, data.counts["train"]):
            return True
        told = pilot.pilot(self.context, family, data)
        self.piloting += sum(point["seconds"] for point in told["points"])
        if "untold" in told:
            return True
        why = ladder.pays(told, self.pilots, left)
        if why:
            self.skipped.append({"recipe": family, "why": why, **told})
            self.context.tell(f"pilot {family}", 1.0, f"not climbed: {why}")
        else:
            self.pilots.append({"recipe": family, **told})
        return not why

    def rung(
        self,
        family: str,
        data: DataVersion,
        seconds: float,
        *,
        needed: bool,
        dials: Mapping[str, Any] | None = None,
    ) -> dict[str, Any] | None:
        """Train one family and make its bundle; None when that fails and the rung is not `needed`, its reason kept.

        `dials` are those that an earlier search has set.
        """
        told = self.foretold(family)
        if told:
            self.context.tell(f"train {family}", 0.0, forecast.sentence(told))
        try:
            made = self.bundle(self.train(family, data, seconds, dials), data)
            return {**made, "forecast": told or made["forecast"]}
        except (TrainingError, BundleError) as error:
            if needed:
                raise
            self.failed.append({"recipe": family, "why": str(error)})
            self.context.tell(f"train {family}", 1.0, str(error))
            return None

    def foretold(self, family: str) -> dict[str, Any] | None:
        """What a pilot foretold of this recipe: error, seconds, memory and disk."""
        names = ("error", "seconds", "memory_mib", "disk_bytes")
        found = next((told for told in self.pilots if told["recipe"] == family), None)
        return {"by": "pilot", **{name: found[name] for name in names}} if found else None

    def train(
        self, family: str, data: DataVersion, seconds: float, dials: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Train one family within so many seconds."""
        return rung.train(self.context, family, data, seconds, over=dials)

    def bundle(self, trained: dict[str, Any], data: DataVersion) -> dict[str, Any]:
        """Export what was trained, and score the bundle on validation rows."""
        return rung.bundle(self.context, trained, data)

    def choose(self, rungs: list[dict[str, Any]], data: DataVersion) -> dict[str, Any]:
        """The rung to ship: the cheapest that cannot be told from the best."""
        return choice.choose(self.context, rungs, data)

    def tune(self, chosen: dict[str, Any], rungs: list[dict[str, Any]], data: DataVersion) -> dict[str, Any]:
        """The chosen rung, or its recipe with dials that a search found in the rest of the budget; it joins the `rungs`."""
        spec = self.context.spec
        if not spec.tune.trials:
            return chosen
        left = ladder.affordable(rungs, spec.budget_seconds - self.piloting)
        chosen, more, self.tuned = tune.tune(self.context, chosen, data, left)
        rungs += more
        return chosen

    def compress(
        self, chosen: dict[str, Any], data: DataVersion, rungs: Sequence[dict[str, Any]] = ()
    ) -> dict[str, Any]:
        """The chosen bundle, made smaller where that costs nothing that a test can see."""
        return shrink.compress(self.context, chosen, data, rungs)

    def refit(self, shipped: dict[str, Any], rungs: list[dict[str, Any]], data: DataVersion) -> dict[str, Any]:
        """The same recipe, learned once more with the validation rows."""
        return again.refit(self.context, shipped, rungs, data)

    def evaluate(self, shipped: dict[str, Any], rungs: list[dict[str, Any]], data: DataVersion) -> dict[str, Any]:
        """The bundle measured on the test rows."""
        return trial.evaluate(self.context, shipped, rungs, data)

    def conclude(
        self,
        shipped: dict[str, Any],
        measured: dict[str, Any],
        rungs: list[dict[str, Any]],
        data: DataVersion,
        *,
        fresh: Fresh | None = None,
        unseen: bool = False,
    ) -> dict[str, Any]:
        """Its gate and its number; with `fresh` rows it has to be better there, and no worse on the test rows.

        One that proves itself `unseen` has to be no worse on the test rows.
        """
        more: dict[str, Any] = {"fresh": fresh, "unseen": unseen, "tuned": self.tuned}
        return trial.conclude(self.context, shipped, measured, rungs, data, **more)
