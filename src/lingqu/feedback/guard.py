"""Probation: a new champion that errs more than its gate has shown goes back by itself, once, and then a person is asked.

Until it has given so many answers or stood so many days a champion is on probation. The evidence is that of live risk
(`lingqu.monitor.risk`): an e-process over labels of the audit sample, which a champion that keeps its limit brings to the
level "act" with probability 0.01 at most, however often one looks. Only answers since its promotion count: a person who
promotes anew what was rolled back has seen the labels before. After probation the same evidence is an alarm. A rollback
pulls the hand brake, and what comes after it (`lingqu.feedback.aftermath`) says whether it was the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from lingqu.errors import ConflictError
from lingqu.feedback.aftermath import LINGQU, RISK, after_rollback, risk_since
from lingqu.feedback.freeze import frozen
from lingqu.monitor.status import Status, status
from lingqu.registry import Registry
from lingqu.registry.events import Event
from lingqu.spec import Spec
from lingqu.store import Store

PROBATION_ANSWERS, PROBATION_DAYS = 2000, 7


@dataclass(frozen=True, slots=True)
class Guarded:
    """What a look at the champion came to: its status, and the version that it was rolled back to, if it was.

    `why` says why it was, or why the one that was restored is no better.
    """

    status: Status | None
    restored: int | None = None
    why: str = ""

    @property
    def alarm(self) -> str:
        """What speaks for learning anew, in a few words; empty when nothing does."""
        if self.status is None:
            return ""
        kinds = dict.fromkeys(alarm.kind for alarm in self.status.alarms if alarm.kind in ("drift", "risk"))
        return f"{' and '.join(kinds)} alarm" if kinds else ""


def guard(store: Store, spec: Spec, *, now: datetime | None = None) -> Guarded:
    """Look at the champion; roll it back when it is on probation and its audit labels say that it must go."""
    registry, moment = Registry(store), now or datetime.now(UTC)
    champion = registry.alias(spec.name, "champion")
    if champion is None:
        return Guarded(None)
    found = status(spec.name, store=store, settings=spec.monitor, journal=spec.serve.journal)
    risk, crowned = found.risk, _crowned(registry, spec.name)
    if crowned is not None and crowned.action == "rollback" and crowned.evidence.get("kind") == RISK:
        return Guarded(found, None, after_rollback(store, spec, crowned, risk and risk.limit, moment))
    if risk is None or crowned is None or frozen(store, spec.name):
        return Guarded(found)
    if not _on_probation(registry, crowned, champion[0], found.answers, moment):
        return Guarded(found)
    risk = risk_since(store, registry.get(f"{spec.name}@{champion[0]}"), crowned.at, risk.limit)
    if risk.level != "act":
        return Guarded(found)
    why = f"on probation: {risk.sentence().rstrip('.')}"
    numbers = {"labels": risk.found.labels, "wrong": int(risk.found.losses), "limit": risk.limit}
    told = {"kind": RISK, **numbers}
    try:
        restored = registry.rollback(spec.name, who=LINGQU, why=why, evidence=told, expect_epoch=champion[1])
    except ConflictError:
        # Another leads by now than the one that was looked at.
        return Guarded(found)
    crowned = _crowned(registry, spec.name)
    assert crowned is not None
    after_rollback(store, spec, crowned, None, moment)
    return Guarded(found, restored.number, why)


def _on_probation(registry: Registry, crowned: Event, version: int, answers: int, now: datetime) -> bool:
    """Whether a champion is new, and took the place of another one to which it can be given back."""
    if crowned.action != "promote" or crowned.version != version:
        return False
    if registry.alias(crowned.name, "previous") is None:
        return False
    days = (now - datetime.fromisoformat(crowned.at)).total_seconds() / 86_400
    return answers <= PROBATION_ANSWERS or days <= PROBATION_DAYS


def _crowned(registry: Registry, name: str) -> Event | None:
    """What made the champion champion."""
    return next((event for event in registry.history(name)[::-1] if event.action in ("promote", "rollback")), None)
