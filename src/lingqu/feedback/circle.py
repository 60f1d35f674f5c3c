"""One turn of the circle, as far as feedback decides it: what may train, what judges, and the record of what came of it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from lingqu.bundle.trust import read_manifest
from lingqu.contract import Task
from lingqu.data.values import CellFault, to_known_labels
from lingqu.data.version import DataVersion
from lingqu.errors import Problem, RequestError
from lingqu.evaluate.registered import was_placed
from lingqu.evaluate.trial import Fresh
from lingqu.feedback.backend import backend
from lingqu.feedback.far import far_off
from lingqu.feedback.grow import Grown, grow
from lingqu.feedback.idle import Idle
from lingqu.feedback.labels import unknown_of
from lingqu.feedback.paired import compared
from lingqu.feedback.rollout import advance, gives_way
from lingqu.feedback.round import ROUND, Gathered, fresh_rows, gather, opened, recorded_before, reopened, spoken
from lingqu.feedback.suspects import CONTRADICTING, LEAST_OF_BLOCK, harmful
from lingqu.feedback.voice import QUARANTINED, REJECTED, RULE, TRIAL, Voice, labels_of, settle, voices
from lingqu.monitor.quality import right as answered_right
from lingqu.registry import Registry
from lingqu.registry.brake import frozen
from lingqu.registry.rollouts import SHADOW, rollout
from lingqu.spec import Spec
from lingqu.statistics.power import smallest_effect, spread
from lingqu.store import Store
from lingqu.store.history import append

MANY_LABELS = 200
"""A challenger that after so many labels has not come half of its way makes room, however few rows told the two apart."""
DISCORDANCE = 0.08
"""The share of rows on which a retrained model and its champion usually differ; the power of a gate rests on it."""

UNTRIED = "what is like it made the model worse, and it was not tried itself"

_SAID = re.compile(r"(?<=, found ).*|^(?:its answer )?(['\"]).*\1(?= is no )|(?<=^cap: the share of )'.*'", re.DOTALL)
"""What of a reason to leave a row out repeats the row or its label."""


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
        self.unseen = spec.improve.proof == "unseen"
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

    def gives_way(self, step: dict[str, Any], *, alarm: str) -> bool:
        """Whether the challenger that is on its way makes room for another one, if it is time for that."""
        standing = rollout(self.store, self.spec.name)
        if step["moved"] or standing is None or standing.step != SHADOW or standing.alpha is None:
            return False
        if frozen(self.store, self.spec.name):
            return False
        labels = compared(self.store, standing)
        # One that hardly differs would else stand in the way until its time is over: few rows tell the two apart.
        slow = len(labels.ids) >= MANY_LABELS
        return gives_way(labels.test(), self.spec.gates.alpha, alarm=bool(alarm) or slow)

    def gather(self, base: DataVersion, *, alarm: str, asked: bool) -> Turn:
        """What has come in, and whether this is the time."""
        if self._open and not frozen(self.store, self.spec.name):
            # It goes on as it was begun, whatever the spec says by now of where the proof comes from.
            self.unseen = self._open.get("unseen", False)
            self.gathered = reopened(self.store, self.spec.name, self._open)
            return Turn(self, "", self.gathered.due.why)
        idle = None if asked else Idle(self.store, self.spec, base)
        if idle is not None and (told := idle.still(alarm)) is not None:
            return Turn(self, "wait", told["why"], told)
        known = for_rules(self.store, self.spec.name, base, self.task)
        self.gathered = gather(self.store, self.spec, known, alarm=alarm, asked=asked)
        if not self.gathered.due.go:
            if idle is not None:
                idle.keep(self.told("wait", self.gathered.due.why))
            return Turn(self, "wait", self.gathered.due.why)
        if not self.gathered.accepted:
            return Turn(self, "wait", "no accepted label to learn from; see: lingqu feedback queue")
        if not asked and self.gathered.awaited:
            why = f"{self.gathered.awaited:,} more audit labels make a fresh gate (lingqu feedback queue --audit)"
            return Turn(self, "wait", why)
        if not asked and not self.unseen and (why := self._in_vain(base)):
            return Turn(self, "wait", why)
        self._keep({**opened(self.store, self.spec.name, self.gathered), "unseen": self.unseen})
        return Turn(self, "", self.gathered.due.why)

    def grow(self, base: DataVersion) -> DataVersion:
        """The data version with the accepted rows; the base itself when none of them may train.

        What is far off and what does harm is sent back to wait for a person; what is like it gets no place untried.
        """
        assert self.gathered is not None
        if self.gathered.fresh:
            self.fresh = Fresh(fresh_rows(self.gathered, base, self.task, self.store), self.gathered.gate_set)
        guard, settled = self.fresh.rows if self.fresh else None, self.gathered.settled
        # What is settled may be of an older world, in which all that is said today would be far off.
        dropped = far_off([voice for voice in self.gathered.accepted if voice.id not in settled])
        near = [voice for voice in self.gathered.accepted if voice.id not in dropped]
        first = grow(base, near, self.task, self.store, guard=guard, settled=settled)
        tried = self._tried(first)
        suspects = self._suspects(base, tried)
        # What users say by the backend is no source: where the world has moved, all of it costs on rows of the old one.
        asks = backend(self.store, self.spec.name)
        barred = untried([voice for voice in near if voice.principal != asks], tried, suspects)
        kept = [voice for voice in near if voice.id not in suspects and voice.id not in barred]
        grown = grow(base, kept, self.task, self.store, guard=guard, settled=settled) if suspects else first
        dropped |= suspects
        settle(self.store, self.spec.name, {id: (QUARANTINED, why) for id, why in dropped.items()}, who=TRIAL)
        self.grown = Grown(grown.data, grown.joined, {**grown.left, **barred, **dropped})
        return self.grown.data

    def _tried(self, first: Grown) -> list[Voice]:
        """The voices that are tried with and without: what would join, but for those that help to judge."""
        assert self.gathered is not None
        joined = {*first.joined} - {voice.id for voice in self.gathered.served}
        return for_trial([voice for voice in self.gathered.accepted if voice.id in joined], self.task)

    def _suspects(self, base: DataVersion, tried: Sequence[Voice]) -> dict[str, str]:
        """The voices whose block does harm."""
        assert self.gathered is not None
        work, trusted = self.store.work(f"suspects-{self.spec.name}"), self.gathered.served
        dropped = harmful(tried, base, self.spec, self.task, self.store, work=work, trusted=trusted)
        self.store.clear_work(f"suspects-{self.spec.name}")
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
        return self._numbers(decision, why)

    def _numbers(self, decision: str, why: str) -> dict[str, Any]:
        found = self.gathered
        assert found is not None
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
        idle = self._idle(result["version"]) if gate["decision"] == "unseen" else ""
        if idle and frozen(self.store, self.spec.name):
            # The round stays open, and who thaws the model lets it go on from here.
            return {**result, **self._numbers("wait", idle), "joined": len(self.grown.joined), "rollout": None}
        worn = [*self.gathered.served, *(self.gathered.fresh if self.fresh and spoken(gate) else ())]
        retired = [voice.id for voice in worn] if self.fresh and spoken(gate) else []
        self._tell(gate["decision"], result["version"], gate["why"], gate_set=gate["gate_set"], retired=retired)
        turn = self.told("wait", idle) if idle else self.told(gate["decision"], gate["why"])
        standing = rollout(self.store, self.spec.name)
        own = standing if standing is not None and standing.version == result["version"] else None
        joined = len(self.grown.joined)
        return {**result, **turn, "joined": joined, "champion": result["champion"], "rollout": own and own.to_json()}

    def _idle(self, number: int) -> str:
        """Why a challenger that is left to today's traffic does not answer unseen; an empty text where it does."""
        name, standing = self.spec.name, rollout(self.store, self.spec.name)
        if standing is not None and standing.version == number:
            return ""
        champion = (Registry(self.store).alias(name, "champion") or (None, 0))[0]
        if champion == number:
            return f"the same labels gave version {number} again, which leads already"
        if was_placed(Registry(self.store), name, number):
            return f"the same labels gave version {number} again, which has had its turn"
        if why := frozen(self.store, name):
            return f"frozen: {why}"
        return f"version {number} was compared with another champion, and version {champion} leads since"

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
            "left_out": kinds(self.grown.left),
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
    """How a turn began: `waits` when it is not the time; `told` is what an earlier look found that still holds."""

    def __init__(self, circle: Circle, decision: str, why: str, told: dict[str, Any] | None = None) -> None:
        self._circle, self._decision, self.why, self._told = circle, decision, why, told

    @property
    def waits(self) -> bool:
        """Whether no round begins."""
        return bool(self._decision)

    def told(self) -> dict[str, Any]:
        """What `lingqu improve` says then."""
        return self._circle.told(self._decision, self.why) if self._told is None else self._told


def for_rules(store: Store, name: str, base: DataVersion, task: Task) -> DataVersion:
    """The base as the rules take it: they ask whether a label is one of its labels, and a set of labels is none.

    What holds a label that the base has not got is therefore rejected here.
    """
    if task.target.kind != "labels":
        return base
    waiting = [v for v in labels_of(voices(store, name, status=QUARANTINED)) if v.decided_by != TRIAL]
    strange: dict[str, list[str]] = {}
    for voice in waiting:
        try:
            # Of many labels the journal keeps a few, so that the voice alone does not know how they are spelled.
            strange[voice.id] = unknown_of(to_known_labels(voice.value, base.labels) or "", base.labels)
        except CellFault:
            strange[voice.id] = [str(voice.value)]
    told = {id: (REJECTED, f"{new[0][:80]!r} is no label of this model") for id, new in strange.items() if new}
    settle(store, name, told, who=RULE)
    return replace(base, labels={})


def for_trial(given: Sequence[Voice], task: Task) -> list[Voice]:
    """Voices as the trial with and without them takes them, where what contradicts the answer is one block.

    A number hardly ever is the answer itself, so that all numbers would be that block, and one bad one would cost the rest.
    """
    return [replace(voice, answer={}) for voice in given] if task.target.kind == "number" else [*given]


def untried(given: Sequence[Voice], tried: Sequence[Voice], dropped: Mapping[str, str]) -> dict[str, str]:
    """Why others of these do not join in the place of what the trial dropped: caps let in a part, and that alone was tried.

    They are what else a principal says of whom all was dropped, and, where contradictions were, what else contradicts.
    """
    mine = Counter(voice.principal for voice in tried if not voice.reviewed)
    gone = Counter(voice.principal for voice in tried if voice.id in dropped)
    harming = {principal for principal, count in gone.items() if count == mine[principal] >= LEAST_OF_BLOCK}
    denied = any(why.startswith(CONTRADICTING) for why in dropped.values())
    return {
        voice.id: UNTRIED
        for voice in given
        if not (voice.reviewed or voice.id in dropped)
        and (voice.principal in harming or (denied and str(voice.answer.get("prediction", voice.label)) != voice.label))
    }


def reasons(left: dict[str, str]) -> dict[str, int]:
    """How many were left out for which reason.

    >>> reasons({"a": "cap", "b": "cap", "c": "fault"})
    {'cap': 2, 'fault': 1}
    """
    counts: dict[str, int] = {}
    for why in left.values():
        counts[why] = counts.get(why, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def kinds(left: dict[str, str]) -> dict[str, int]:
    """The same without what a row or its label says, for the history, which is kept for ever and in plain.

    >>> kinds({"a": "Expected a number in 'age', found 'Anna'.", "b": "Expected a number in 'age', found 'Ben'."})
    {"Expected a number in 'age', found …": 2}
    >>> [*kinds({"a": "'it, found' is no label of this model", "b": "cap: the share of 'it' would move by more than 5 points"})]
    ['… is no label of this model', 'cap: the share of … would move by more than 5 points']
    """
    return reasons({id: _SAID.sub("…", why) for id, why in left.items()})
