"""Probation: a new champion that errs more than its gate has shown goes back by itself, once, and then a person is asked.

Until it has given so many answers or stood so many days a champion is on probation. The evidence is that of live risk
(`lingqu.monitor.risk`): an e-process over labels of the audit sample, which a champion that keeps its limit brings to the
level "act" with probability 0.01 at most, however often one looks. After probation the same evidence is an alarm. A
rollback pulls the hand brake: when the restored champion errs as much, the world has moved and not the model, and going
to and fro would help nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from lingqu.feedback.freeze import freeze, frozen
from lingqu.monitor.status import Status, status
from lingqu.registry import Registry
from lingqu.registry.events import Event
from lingqu.spec import Spec
from lingqu.store import Store
from lingqu.store.history import append

PROBATION_ANSWERS, PROBATION_DAYS = 2000, 7
LINGQU, WORLD = "lingqu", "world"


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
    registry = Registry(store)
    champion = registry.alias(spec.name, "champion")
    if champion is None:
        return Guarded(None)
    found = status(spec.name, store=store, settings=spec.monitor)
    risk = found.risk
    if risk is None or risk.level != "act":
        return Guarded(found)
    if (
        (crowned := _crowned(registry, spec.name)) is not None
        and crowned.action == "rollback"
        and crowned.who == LINGQU
    ):
        return Guarded(found, None, _moved(store, crowned, risk.sentence()))
    if frozen(store, spec.name):
        return Guarded(found)
    if not _on_probation(registry, spec.name, champion[0], found.answers, now or datetime.now(UTC)):
        return Guarded(found)
    why = f"on probation: {risk.sentence().rstrip('.')}"
    restored = registry.rollback(spec.name, who=LINGQU, why=why)
    freeze(store, spec.name, who=LINGQU, why=f"rolled back from version {champion[0]}; thaw when the reason is known")
    return Guarded(found, restored.number, why)


def _on_probation(registry: Registry, name: str, version: int, answers: int, now: datetime) -> bool:
    """Whether a champion is new, and took the place of another one to which it can be given back."""
    crowned = _crowned(registry, name)
    if crowned is None or crowned.action != "promote" or crowned.version != version:
        return False
    if registry.alias(name, "previous") is None:
        return False
    days = (now - datetime.fromisoformat(crowned.at)).total_seconds() / 86_400
    return answers <= PROBATION_ANSWERS or days <= PROBATION_DAYS


def _crowned(registry: Registry, name: str) -> Event | None:
    """What made the champion champion."""
    return next((event for event in registry.history(name)[::-1] if event.action in ("promote", "rollback")), None)


def _moved(store: Store, restored: Event, found: str) -> str:
    """The restored champion errs as well: the sentence that says so, kept once in the history."""
    name = restored.name
    why = (
        f"The world has moved, not the model: version {restored.version} was restored and errs as well. {found} "
        f"Learn anew: lingqu thaw {name}, then lingqu improve"
    )
    told = any(
        event.evidence.get("kind") == WORLD and event.seq > restored.seq for event in Registry(store).history(name)
    )
    if not told:
        about = {"name": name, "who": LINGQU, "action": "alarm", "version": restored.version, "why": why}
        with store.database.writing() as connection:
            append(connection, **about, evidence={"kind": WORLD, "level": "act"})
    return why
