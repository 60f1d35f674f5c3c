"""One turn of the circle, as far as feedback decides it: what may train, what judges, and the record of what came of it."""

from __future__ import annotations

from typing import Any, Self

from lingqu.bundle.trust import read_manifest
from lingqu.contract import Task
from lingqu.data.version import DataVersion
from lingqu.errors import Problem, RequestError
from lingqu.evaluate.trial import Fresh
from lingqu.feedback.grow import Grown, grow
from lingqu.feedback.rollout import advance
from lingqu.feedback.round import ROUND, Gathered, fresh_rows, gather, opened, recorded_before, reopened, spoken
from lingqu.feedback.suspects import harmful
from lingqu.feedback.voice import QUARANTINED, TRIAL, settle
from lingqu.monitor.quality import right as answered_right
from lingqu.registry import Registry
from lingqu.registry.brake import frozen
from lingqu.registry.rollouts import rollout
from lingqu.spec import Spec
from lingqu.statistics.power import smallest_effect, spread
from lingqu.store import Store
from lingqu.store.history import append

DISCORDANCE = 0.08
"""The share of rows on which a retrained model and its champion usually differ; the power of a gate rests on it."""


class Circle:
    """One turn for one model; `gather`, then `grow`, then `record`.

    What a round works with is kept until it is recorded: one that was killed goes on with the same labels, whatever came
    since, and looks at the same gate once. `with` it: a round that failed begins anew.
    """

    def __init__(self, spec: Spec, task: Task, store: Store) -> None:
        self.spec, self.task, self.store = spec, task, store
        champion = Registry(store).alias(spec.name, "champion")
        if champion is None:
            raise RequestError(Problem(f"a champion of {spec.name} to improve on", "none", "Run first: lingqu run"))
        self.champion = Registry(store).get(f"{spec.name}@{champion[0]}")
        self.gathered: Gathered | None = None
        self.grown: Grown | None = None
        self.fresh: Fresh | None = None
        self._key = store.stage("round", {"name": spec.name})
        self._open: dict[str, Any] = store.stage_result(self._key) or {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, Exception):
            self._keep({})

    @property
    def family(self) -> str:
        """The recipe of the champion."""
        return read_manifest(self.store.folder_path(self.champion.bundle, verify=False))["family"]

    @property
    def dials(self) -> dict[str, Any] | None:
        """The dials that a search set for the champion; None where none did."""
        report = self.store.get_json(self.champion.lineage["report"])
        recipe = report["chosen"]["recipe"]
        return next((rung.get("dials") for rung in report["ladder"] if rung["recipe"] == recipe), None)

    def advance(self, *, asked: bool) -> dict[str, Any] | None:
        """One step of the challenger that is on its way, if the evidence allows; None where none is."""
        # A round that was killed is finished first: its challenger may be the one that is on its way.
        return None if self._open else advance(self.store, self.spec, asked=asked)

    def gather(self, base: DataVersion, *, alarm: str, asked: bool) -> Turn:
        """What has come in, and whether this is the time."""
        if self._open and not frozen(self.store, self.spec.name):
            self.gathered = reopened(self.store, self.spec.name, self._open)
            return Turn(self, "", self.gathered.due.why)
        self.gathered = gather(self.store, self.spec, base, alarm=alarm, asked=asked)
        if not self.gathered.due.go:
            return Turn(self, "wait", self.gathered.due.why)
        if not self.gathered.accepted:
            return Turn(self, "wait", "no accepted label to learn from; see: lingqu feedback queue")
        if not asked and self.gathered.awaited:
            why = f"{self.gathered.awaited:,} more audit labels make a fresh gate (lingqu feedback queue --audit)"
            return Turn(self, "wait", why)
        if not asked and (why := self._in_vain(base)):
            return Turn(self, "wait", why)
        self._keep(opened(self.store, self.spec.name, self.gathered))
        return Turn(self, "", self.gathered.due.why)

    def grow(self, base: DataVersion) -> DataVersion:
        """The data version with the accepted rows; the base itself when none of them may train."""
        assert self.gathered is not None
        if self.gathered.fresh:
            self.fresh = Fresh(fresh_rows(self.gathered, base, self.task, self.store), self.gathered.gate_set)
        guard, settled = self.fresh.rows if self.fresh else None, self.gathered.settled
        first = grow(base, self.gathered.accepted, self.task, self.store, guard=guard, settled=settled)
        dropped = self._suspects(base, first)
        kept = [voice for voice in self.gathered.accepted if voice.id not in dropped]
        grown = grow(base, kept, self.task, self.store, guard=guard, settled=settled) if dropped else first
        self.grown = Grown(grown.data, grown.joined, {**grown.left, **dropped})
        return self.grown.data

    def _suspects(self, base: DataVersion, first: Grown) -> dict[str, str]:
        """The voices whose block does harm, sent back to wait for a person."""
        assert self.gathered is not None
        served = {voice.id for voice in self.gathered.served}
        joined = [voice for voice in self.gathered.accepted if voice.id in set(first.joined) - served]
        work, trusted = self.store.work(f"suspects-{self.spec.name}"), self.gathered.served
        dropped = harmful(joined, base, self.spec, self.task, self.store, work=work, trusted=trusted)
        self.store.clear_work(f"suspects-{self.spec.name}")
        settle(self.store, self.spec.name, {id: (QUARANTINED, why) for id, why in dropped.items()}, who=TRIAL)
        return dropped

    def _in_vain(self, base: DataVersion) -> str:
        """Why no challenger could prove itself, however good: an empty text where one could."""
        assert self.gathered is not None
        registry = Registry(self.store)
        gate_set = self.gathered.gate_set or self.champion.decision.get("gate_set", "")
        budget = registry.next_alpha(self.spec.name, gate_set, self.spec.gates.alpha)
        if budget.exhausted and not self.gathered.fresh:
            return f"the error budget of {gate_set} is spent: label audit rows (lingqu feedback queue --audit)"
        metric = self.champion.metrics.get("accuracy", {})
        if not isinstance(right := metric.get("value"), int | float):
            return ""
        rows = len(self.gathered.fresh) or base.counts["test"]
        seen = smallest_effect(rows, spread(DISCORDANCE), alpha=budget.alpha)
        # Where the world has moved, the champion errs more by now than on its old rows.
        error = max(1 - right, self._erring_now())
        if seen <= error:
            return ""
        return (
            f"{rows:,} gate rows show a lead of {100 * seen:.1f} points at least, and the champion errs on only "
            f"{100 * error:.1f} %: label more audit rows (lingqu feedback queue --audit)"
        )

    def _erring_now(self) -> float:
        """The share of the fresh gate that the champion has answered wrongly, where it was asked."""
        assert self.gathered is not None
        mine = [voice for voice in self.gathered.fresh if voice.number == self.champion.number]
        return sum(not answered_right(voice.answer, voice.value) for voice in mine) / max(1, len(mine))

    def told(self, decision: str = "wait", why: str = "") -> dict[str, Any]:
        """What this turn came to, where no challenger was made."""
        found = self.gathered
        assert found is not None
        if self.grown is not None:
            if not self.grown.joined:
                self._tell("wait", None, "none of the accepted rows may train")
            self._keep({})
        left = dict(self.grown.left) if self.grown else {}
        return {
            "name": self.spec.name,
            "decision": decision,
            "why": why or "none of the accepted rows may train",
            "champion": self.champion.number,
            "accepted": len(found.accepted),
            "new": found.new,
            "fresh": len(found.fresh),
            "left_out": reasons(left),
        }

    def record(self, result: dict[str, Any]) -> dict[str, Any]:
        """The turn in the history, and all about it."""
        assert self.grown is not None
        assert self.gathered is not None
        gate = result["gate"]
        worn = [*self.gathered.served, *(self.gathered.fresh if self.fresh and spoken(gate) else ())]
        retired = [voice.id for voice in worn] if self.fresh and spoken(gate) else []
        self._tell(gate["decision"], result["version"], gate["why"], gate_set=gate["gate_set"], retired=retired)
        turn = self.told(gate["decision"], gate["why"])
        standing = rollout(self.store, self.spec.name)
        own = standing if standing is not None and standing.version == result["version"] else None
        joined = len(self.grown.joined)
        return {**result, **turn, "joined": joined, "champion": result["champion"], "rollout": own and own.to_json()}

    def _tell(self, decision: str, version: int | None, why: str, **more: Any) -> None:
        """The round in the history, once."""
        assert self.grown is not None
        assert self.gathered is not None
        if recorded_before(self.store, self.spec.name, self._open["round"]):
            return
        evidence = {
            "decision": decision,
            "version": version,
            "joined": list(self.grown.joined),
            "left": sorted(self.grown.left),
            "left_out": reasons(self.grown.left),
            "fresh": len(self.gathered.fresh),
            "gate_set": self.gathered.gate_set,
            "round": self._open["round"],
            **more,
        }
        told = f"{self.gathered.due.why}; {why}"
        about = {"name": self.spec.name, "who": "lingqu", "action": ROUND, "version": version, "why": told}
        with self.store.database.writing() as connection:
            append(connection, **about, evidence=evidence)

    def _keep(self, opened: dict[str, Any]) -> None:
        """Keep what this round works with; nothing once it is over."""
        self._open = opened
        self.store.finish_stage(self._key, opened, 0.0)


class Turn:
    """How a turn began: `waits` when it is not the time."""

    def __init__(self, circle: Circle, decision: str, why: str) -> None:
        self._circle, self._decision, self.why = circle, decision, why

    @property
    def waits(self) -> bool:
        """Whether no round begins."""
        return bool(self._decision)

    def told(self) -> dict[str, Any]:
        """What `lingqu improve` says then."""
        return self._circle.told(self._decision, self.why)


def reasons(left: dict[str, str]) -> dict[str, int]:
    """How many were left out for which reason.

    >>> reasons({"a": "cap", "b": "cap", "c": "fault"})
    {'cap': 2, 'fault': 1}
    """
    counts: dict[str, int] = {}
    for why in left.values():
        counts[why] = counts.get(why, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))
