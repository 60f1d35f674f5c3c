"""One look at what has come in: rules decide what they can, and it is counted what a round could learn from and judge by.

Labels of the audit sample judge: the newest of them are the fresh gate. The same labels watch the champion whose answers
they are about; its challenger was never watched by them, so no row judges a model twice over. A gate that has spoken, or
whose rows are no longer of today, is worn out: its rows are trusted, they were drawn without a look at the answer, and
from then on they train, while a new gate fills.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from lingqu.contract import Rows, Task
from lingqu.data.version import DataVersion
from lingqu.feedback.freeze import frozen
from lingqu.feedback.grow import typed
from lingqu.feedback.queue import NEWEST
from lingqu.feedback.rules import Ruling, judge, usual_confidence
from lingqu.feedback.trigger import Due, consider
from lingqu.feedback.trust import trust_of
from lingqu.feedback.voice import ACCEPTED, QUARANTINED, RULE, TRIAL, Voice, labels_of, settle, voices
from lingqu.monitor.audit import DISPUTED, SOURCE
from lingqu.registry import Registry
from lingqu.registry.rollouts import FRESH
from lingqu.serve.journal import recorded
from lingqu.serve.keys import all_keys
from lingqu.spec import Spec
from lingqu.store import Store
from lingqu.store.tables import HISTORY

ROUND = "improve"
"""The action of the history that tells of a round."""
OWNER = "owner"
"""The principal of the command line."""
LEAST_FRESH = 100
"""Fewer fresh gate rows than this judge nothing."""
MOST_FRESH = 200
"""Older audit labels than so many of the newest say more of yesterday than of today."""


@dataclass(frozen=True)
class Gathered:
    """What a round has to work with: whether it is due, the accepted labels that may train, and the fresh gate."""

    due: Due
    accepted: tuple[Voice, ...]
    new: int
    fresh: tuple[Voice, ...]
    gate_set: str
    settled: frozenset[str] = frozenset()
    """The voices that are no news: the champion has learned from them, or trusted people gave them when they were asked."""
    served: tuple[Voice, ...] = ()
    """The voices of gates that are worn out."""
    awaited: int = 0
    """How many audit labels a fresh gate still waits for, where there were any before."""


def window(audit: int, worn: int) -> int:
    """How many of the audit labels, from the oldest on, are worn out: those that were before, and all but the newest.

    >>> window(audit=120, worn=0), window(audit=230, worn=0), window(audit=230, worn=100)
    (0, 30, 100)
    """
    return max(worn, audit - MOST_FRESH)


def spoken(gate: Mapping[str, Any]) -> bool:
    """Whether a gate set has done its work: it said yes or no, or its budget is spent. More rows are waited for otherwise."""
    return gate["decision"] != "not-enough-rows" or bool(gate["exhausted"])


def gather(
    store: Store, spec: Spec, data: DataVersion, *, alarm: str = "", asked: bool = False, now: datetime | None = None
) -> Gathered:
    """Let the rules decide on what waits, and see whether it is time.

    Where a challenger proves itself unseen, on rows that come after it was learned, there is no fresh gate: all audit
    labels train, and nobody waits for a cool-down that the promotion itself will keep.
    """
    unseen = spec.improve.proof == "unseen"
    decide_by_rule(store, spec.name, labels=list(data.labels) or None)
    given = labels_of(voices(store, spec.name, status=ACCEPTED))
    training = [voice for voice in given if voice.source != SOURCE]
    registry = Registry(store)
    before = _before(store, spec.name, (registry.alias(spec.name, "champion") or (None, 0))[0])
    last = before.last
    audit = [voice for voice in given if voice.source == SOURCE and voice.reviewed]
    # A row that a model has learned from never judges: users may have labelled it too, or newer labels may be gone since.
    learned = {voice.prediction_id for voice in given if voice.id in before.used}
    spent = {voice.id for voice in audit if voice.id in before.retired or voice.prediction_id in learned}
    audit.sort(key=lambda voice: (voice.id not in spent, voice.at, voice.id))
    worn = len(audit) if unseen else window(len(audit), len(spent))
    served, fresh = audit[:worn], audit[worn:]
    new = sum(before.is_news(voice) for voice in training)
    moment = now or datetime.now(UTC)
    changed = None if unseen else registry.last_change(spec.name)
    due = consider(
        accepted=new,
        needed=spec.improve.new_labels,
        since_last=None if last is None else (moment - last).total_seconds(),
        since_change=None if changed is None else (moment - datetime.fromisoformat(changed)).total_seconds(),
        pause=spec.improve.pause_seconds,
        alarm=alarm,
        frozen=frozen(store, spec.name),
        asked=asked,
    )
    enough = fresh if len(fresh) >= LEAST_FRESH else []
    gate_set = (before.gate_set or f"{FRESH}{enough[0].id[:12]}") if enough else ""
    # Rows that trusted people were asked for are no news either: no user chose them.
    trusted = {voice.id for voice in training if voice.source == DISPUTED and voice.reviewed}
    settled = before.learned | trusted | {voice.id for voice in served}
    awaited = LEAST_FRESH - len(fresh) if audit and not enough and not unseen else 0
    accepted = (*training, *served) if training else ()
    return Gathered(due, accepted, new, tuple(enough), gate_set, frozenset(settled), tuple(served), awaited)


def opened(store: Store, name: str, found: Gathered) -> dict[str, Any]:
    """What a round works with, as it is kept until the round is over: its number in the history, and ids."""
    return {
        "round": 1 + sum(1 for _ in _rounds(store, name)),
        "why": found.due.why,
        "accepted": [voice.id for voice in found.accepted],
        "new": found.new,
        "fresh": [voice.id for voice in found.fresh],
        "gate_set": found.gate_set,
        "settled": sorted(found.settled),
        "served": [voice.id for voice in found.served],
    }


def reopened(store: Store, name: str, kept: Mapping[str, Any]) -> Gathered:
    """The same round again; what a person has rejected since is no part of it any more."""
    given = {voice.id: voice for voice in voices(store, name, status=ACCEPTED)}
    parts = ("accepted", "fresh", "served")
    accepted, fresh, served = (tuple(given[id] for id in kept[part] if id in given) for part in parts)
    due, settled = Due(True, kept["why"]), frozenset(kept["settled"])
    return Gathered(due, accepted, kept["new"], fresh, kept["gate_set"], settled, served)


def recorded_before(store: Store, name: str, number: int) -> bool:
    """Whether the round with this number is in the history."""
    return sum(1 for _ in _rounds(store, name)) >= number


def decide_by_rule(store: Store, name: str, *, labels: Sequence[str] | None) -> int:
    """Apply the rules to every label that waits; how many changed their standing."""
    given = labels_of(voices(store, name))
    trusted = {voice.prediction_id: voice.label for voice in given if voice.reviewed}
    trust = trust_of(
        ((voice.principal, voice.prediction_id, voice.label) for voice in given if not voice.reviewed), trusted
    )
    sure = usual_confidence(one.answer for one in recorded(store, name, newest=NEWEST) if one.role != "shadow")
    rulings = judge(given, labels=labels, deciders=_deciders(store), trust=trust, sure=sure)
    waiting = {voice.id for voice in given if voice.status == QUARANTINED and voice.decided_by != TRIAL}
    told: list[Ruling] = [ruling for ruling in rulings if ruling.id in waiting]
    return settle(store, name, {one.id: (one.status, one.reason) for one in told}, who=RULE)


def _deciders(store: Store) -> set[str]:
    """Whose labels need no second opinion: keys that may train, and who has the store in hands."""
    return {OWNER, *(key.id for key in all_keys(store) if {"train", "admin"} & set(key.scopes) and key.revoked is None)}


def fresh_rows(found: Gathered, data: DataVersion, task: Task, store: Store) -> Rows:
    """The fresh gate as rows with their labels; empty where there is none."""
    return typed(found.fresh, data, task, store).rows


@dataclass
class _Before:
    """What earlier rounds left: when the last ended, what trained in any of them and in the champion, and their gates."""

    last: datetime | None = None
    used: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)
    """What a round had no place for, or could not use, since the champion learned: no news until it learns again."""
    learned: set[str] = field(default_factory=set)
    retired: set[str] = field(default_factory=set)
    gate_set: str = ""
    """The fresh gate that was looked at and has not spoken; its error budget goes on being spent."""

    def is_news(self, voice: Voice) -> bool:
        """Whether no round has looked at it, or a person has decided on it since one left it out."""
        if voice.id in self.used:
            return False
        if voice.id not in self.left or self.last is None:
            return True
        return voice.reviewed and datetime.fromisoformat(voice.decided_at or voice.at) > self.last


def _before(store: Store, name: str, champion: int | None) -> _Before:
    found = _Before()
    for at, evidence in _rounds(store, name):
        found.last = datetime.fromisoformat(at)
        found.used.update(evidence.get("joined", ()))
        found.retired.update(evidence.get("retired", ()))
        found.left.update(evidence.get("left", ()))
        if champion is not None and evidence.get("version") == champion:
            found.learned.update(evidence.get("joined", ()))
            # What has trained is settled and takes no place any more, so what was left may have one now.
            found.left.clear()
        gate_set = str(evidence.get("gate_set", ""))
        found.gate_set = gate_set if gate_set.startswith(FRESH) and not evidence.get("retired") else ""
    return found


def _rounds(store: Store, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """When each round of a model ended and what was kept of it, from the first."""
    query = select(HISTORY.c.at, HISTORY.c.evidence).where(HISTORY.c.name == name, HISTORY.c.action == ROUND)
    with store.database.reading() as connection:
        rows = connection.execute(query.order_by(HISTORY.c.seq)).all()
    return ((row.at, json.loads(row.evidence)) for row in rows)
