"""The trial of a bundle: measured on test rows, put through its gate, written down (registered.py makes it a version).

The gate sees the same rows for champion and challenger, none of which either was trained on, and every look at them
spends a part of an error budget (evaluate/gate.py has the tests, registry/alpha.py the budget).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lingqu.bundle.folder import finish
from lingqu.bundle.read import Bundle
from lingqu.contract import Answer, Rows, Task
from lingqu.data.accept import columns_of
from lingqu.data.alike import COINCIDENCES, nearly_same
from lingqu.data.groups import row_digests
from lingqu.data.version import DataVersion
from lingqu.errors import GateError, Problem
from lingqu.evaluate.baseline import NAMES, constant
from lingqu.evaluate.card import card
from lingqu.evaluate.comparison import group_index
from lingqu.evaluate.gate import Decision, decide, keeps
from lingqu.evaluate.learning import diagnose
from lingqu.evaluate.limits import Check
from lingqu.evaluate.report import evaluate
from lingqu.evaluate.slices import slice_columns
from lingqu.evaluate.unseen import data_of, unseen_rows
from lingqu.evaluate.wording import written_out
from lingqu.registry import Registry, Version
from lingqu.registry.rollouts import FRESH
from lingqu.spec import Spec
from lingqu.store import Store, canonical_json, write_json
from lingqu.store.canonical import digest_of

SAME_GATE = 0.05
"""A test split that shares more than this with rows that were looked at before goes on spending their budget."""
ROUND = "round.json"
SAME_MODEL = Check("another model", False, "it is the champion, learned again from the same rows.")
UNSEEN = "unseen"
"""How the names of the budgets begin that are spent on proofs by today's traffic."""


def measure(digest: str, first_rung: dict[str, Any], task: Task, data: DataVersion, store: Store) -> dict[str, Any]:
    """The report of a bundle on the test split, beside the constant answer and the ladder's first rung."""
    bundle = Bundle.open(store.folder_path(digest))
    test = data.rows("test", store)
    plain = constant(task, data.rows("train", store)[task.target.name])
    baselines: dict[str, list[Answer]] = {NAMES[task.answer]: [plain] * len(test)}
    if first_rung["family"] != bundle.manifest["family"]:
        linear = Bundle.open(store.folder_path(first_rung["bundle"]))
        baselines[first_rung["family"]] = linear.predict(test)
    groups = group_index(data.groups("test", store))
    return evaluate(bundle, test, baselines=baselines, groups=groups, background=data.rows("train", store))


@dataclass(frozen=True)
class Fresh:
    """Rows of today's traffic with labels that users cannot volunteer: there a challenger has to be better.

    On the frozen test rows it then only has to be no worse. `name` is the gate set whose error budget a look spends.
    """

    rows: Rows
    name: str

    def digest(self) -> str:
        """What the rows are, whatever their order."""
        return digest_of(canonical_json([self.name, sorted(row_digests(self.rows))]))


@dataclass(frozen=True)
class Trial:
    """One bundle before its gate, and everything that its record will hold."""

    spec: Spec
    task: Task
    data: DataVersion
    store: Store
    shipped: dict[str, Any]
    measured: dict[str, Any]
    rungs: list[dict[str, Any]]
    fresh: Fresh | None = None
    unseen: bool = False
    """Whether today's traffic has to prove that it is better, while it answers unseen; here it must do no harm."""
    tuned: dict[str, Any] | None = None

    def decide(self, stage: Path, say: Callable[[float, str], None]) -> dict[str, Any]:
        """Gate the bundle, and write its card and its report: digests of the finished bundle and the report."""
        registry = Registry(self.store)
        say(0.1, "comparing on the same rows")
        report = self.store.get_json(self.measured["report"])
        gate = self._look(registry, stage, report)
        say(0.6, "writing the report")
        full = self._record(report, gate)
        candidate = Bundle.open(self.store.folder_path(self.shipped["bundle"]))
        finish(
            candidate,
            stage / "final",
            name=self.spec.name,
            card=card(full),
            metrics=report["metrics"],
            lineage=full["lineage"],
        )
        return {
            "bundle": self.store.put_folder(stage / "final"),
            "report": self.store.put_json(full),
            "decision": gate,
        }

    def _record(self, report: dict[str, Any], gate: dict[str, Any]) -> dict[str, Any]:
        """The report with all that a run adds to what was measured."""
        return {
            **report,
            "name": self.spec.name,
            "task": self.task.name,
            "decide_by": self.task.decide_by,
            "ladder": [summary(rung) for rung in self.rungs],
            "chosen": {
                "recipe": self.shipped["name"],
                "why": self.shipped["why"],
                "learned_from": self.shipped["learned_from"],
            },
            "tune": self.tuned,
            "compress": self.shipped["steps"],
            "gate": gate,
            "data": self.data.as_dict(),
            "profile": self.data.look(self.store),
            "spec": self.spec.model_dump(mode="json", exclude_none=True),
            "lineage": {
                "data": self.data.id,
                "candidate": self.shipped["bundle"],
                "rungs": {rung["name"]: rung["bundle"] for rung in self.rungs},
            },
            "network": self._network(),
        }

    def _network(self) -> dict[str, Any]:
        """Where the network of the shipped recipe is, so that its gradients can be asked for later."""
        rung = next((rung for rung in self.rungs if rung["name"] == self.shipped["name"]), {})
        return {name: rung[name] for name in ("family", "weights", "memory", "facts", "settings") if name in rung}

    def _look(self, registry: Registry, stage: Path, report: dict[str, Any]) -> dict[str, Any]:
        """One look at the gate set, paid for: the decision, and what it was decided against.

        The look is written down before it is paid for, and both before anybody hears of it: a run that is killed in
        between finds its own round again and decides the same.
        """
        name, written = self.spec.name, stage / ROUND
        if written.is_file():
            gate = json.loads(written.read_bytes())
            paid = registry.round(name, gate["gate_set"], gate["round"])
            if paid is not None and paid == {"p": gate["p"], "decision": gate["decision"], "alpha": gate["alpha"]}:
                return gate
        champion, epoch = registry.alias(name, "champion") or (None, 0)
        if self.unseen:
            gate_set = self._unseen_set(registry, champion)
        else:
            gate_set = self.fresh.name if self.fresh else self._gate_set(registry)
        budget = registry.next_alpha(name, gate_set, self.spec.gates.alpha)
        exhausted = budget.exhausted and not self.unseen
        decision = self._compare(registry, report, budget.alpha)
        gate = {
            **(told := _told(decision)),
            "alpha": budget.alpha,
            "why": told["sentence"],
            "gate_set": gate_set,
            "round": budget.round,
            "exhausted": exhausted,
            "against": champion,
            "champion_epoch": epoch,
        }
        if exhausted and decision.decision == "promote":
            spent = "Keep the champion: the error budget of these rows is spent. Bring fresh ones."
            gate |= {"decision": "keep", "why": spent, "sentence": spent}
        write_json(written, gate)
        registry.spend(name, gate_set, budget.round, budget.alpha, gate["p"], gate["decision"])
        return gate

    def _compare(self, registry: Registry, report: dict[str, Any], alpha: float) -> Decision:
        """Champion (or the constant answer) against this bundle on the same rows."""
        champion = registry.alias(self.spec.name, "champion")
        test, groups = self.data.rows("test", self.store), self.data.groups("test", self.store)
        also: list[Check] = []
        bundle = Bundle.open(self.store.folder_path(self.shipped["bundle"]))
        if champion is None:
            train = self.data.rows("train", self.store)[self.task.target.name]
            rival: list[Answer] = [constant(self.task, train)] * len(test)
        else:
            version = registry.get(f"{self.spec.name}@{champion[0]}")
            unseen = unseen_rows(self.data, version, self.store)
            if not unseen:
                raise GateError(
                    Problem(
                        f"test rows that {version.reference} was not trained on",
                        "none",
                        "Keep data.seed and data.split as they were for the champion, or bring fresh test rows.",
                    )
                )
            test, groups = test.take(unseen), [groups[place] for place in unseen]
            rival = Bundle.open(self.store.folder_path(version.bundle)).predict(test)
            # It would do no harm, and answer unseen until its time is over without ever differing.
            again = self.unseen and version.lineage.get("candidate") == self.shipped["bundle"]
            also = [SAME_MODEL] if again else []
        gates = self.spec.gates
        found = decide(
            self.task,
            test[self.task.target.name],
            rival,
            bundle.predict(test),
            alpha=alpha,
            margin=gates.margin,
            slices=slice_columns(self.task, test),
            groups=groups,
            thresholds=gates.limits(),
            slice_thresholds=gates.slice_limits(),
            latency_ms=report["latency"]["p95_ms"],
            size_bytes=report["size"]["bytes"],
            first=champion is None,
            also=also,
            prove=not self.unseen,
        )
        if self.fresh is None or champion is None:
            return found
        return self._on_fresh_rows(registry.get(f"{self.spec.name}@{champion[0]}"), bundle, alpha, found)

    def _on_fresh_rows(self, champion: Version, bundle: Bundle, alpha: float, frozen: Decision) -> Decision:
        """The proof on rows of today, with all that the frozen rows ask besides."""
        assert self.fresh is not None
        rows = self.fresh.rows
        return decide(
            self.task,
            rows[self.task.target.name],
            Bundle.open(self.store.folder_path(champion.bundle)).predict(rows),
            bundle.predict(rows),
            alpha=alpha,
            margin=self.spec.gates.margin,
            slices=slice_columns(self.task, rows),
            groups=self._alike(rows),
            also=keeps(frozen, "test rows"),
        )

    def _alike(self, rows: Rows) -> list[int] | None:
        """The groups of fresh rows, for whoever asks a row again and again shows no more than once.

        In a table of few columns with few values equal rows are coincidences, there as in the test rows.
        """
        if any(finding.code == COINCIDENCES for finding in self.data.findings):
            return None
        return nearly_same(rows, columns_of(self.task, self.data.kinds), self.task, near=self.spec.data.near_duplicates)

    def _unseen_set(self, registry: Registry, champion: int | None) -> str:
        """The budget that all who try unseen against one version share; their rows are new each time, so it never ends.

        A champion that is back after a rollback has none anew. Once each of its reigns had a name, and the one that spent
        most goes on.
        """
        asked = [v.decision for v in registry.versions(self.spec.name) if v.decision.get("against") == champion]
        names = [f"{UNSEEN}-v{champion}", *(told["gate_set"] for told in asked if told["gate_set"].startswith(UNSEEN))]
        return max(names, key=lambda name: registry.next_alpha(self.spec.name, name).round)

    def _gate_set(self, registry: Registry) -> str:
        """The name of these test rows as a gate set.

        Rows that were looked at before go on spending the budget of that gate set; of several, the one that spent most.
        """
        rows = set(self.data.row_ids("test", self.store))
        looked: dict[str, set[str]] = {}
        for version in registry.versions(self.spec.name):
            if version.decision["gate_set"].startswith((FRESH, UNSEEN)):
                # There these rows forbade harm; none was promoted because it won on them.
                continue
            held = looked.setdefault(version.decision["gate_set"], set())
            held.update(data_of(version, self.store).row_ids("test", self.store))
        old = [name for name, held in looked.items() if len(rows & held) > SAME_GATE * len(rows)]
        if not old:
            return f"test-{self.data.id[:12]}"
        return max(old, key=lambda name: registry.next_alpha(self.spec.name, name).round)


def _told(decision: Decision) -> dict[str, Any]:
    """A decision for the record, in its sentences numbers as the tables beside them have them."""
    told = decision.to_json()
    numbers = [told[name] for name in ("challenger", "champion", "difference", "low", "high")]
    checks = [{**check, "sentence": written_out(check["sentence"], *numbers)} for check in told["checks"]]
    return {**told, "checks": checks, "sentence": written_out(told["sentence"], *numbers)}


def summary(rung: dict[str, Any]) -> dict[str, Any]:
    """A rung as one row of the report's table."""
    return {
        "recipe": rung["name"],
        **rung["score"],
        "seconds": rung["seconds"],
        "memory_mib": rung["memory_mib"],
        "disk_bytes": rung["disk_bytes"],
        "forecast": rung["forecast"],
        "bytes": rung["bytes"],
        "ms_per_row": rung["ms_per_row"],
        "parameters": rung["parameters"],
        "epochs": rung["epochs"],
        "history": rung["history"],
        "learning": diagnose(rung["history"]),
        **({"dials": rung["dials"]} if "dials" in rung else {}),
    }
