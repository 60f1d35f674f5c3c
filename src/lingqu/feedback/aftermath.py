"""After a rollback: was it the model, or has the world moved?

The version that was rolled back goes on answering unseen, and every label of a trusted person that comes judges both. Three
things can come of it. The restored champion breaks its limit too: the world has moved, going to and fro would help nobody,
and a person is told to learn anew. Or the sequential sign test says that the restored one is better: it was the model. Or
the test says that it is worse: the rollback was needless. Until a person has thawed the model, nothing else is done to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lingqu.errors import ConflictError
from lingqu.feedback.freeze import freeze
from lingqu.feedback.paired import Both, both
from lingqu.feedback.queue import plain, whole
from lingqu.feedback.trigger import span
from lingqu.monitor.observed import first_id, labelled
from lingqu.monitor.risk import Risk
from lingqu.registry import Registry, Version
from lingqu.registry.brake import FREEZE, THAW, WORLD
from lingqu.registry.events import Event
from lingqu.registry.rollouts import DEMOTED, DROP, ROLLOUT, Rollout, begin, drop, end, expect_rollout, rollout
from lingqu.spec import Spec
from lingqu.statistics import SignTest, live_risk
from lingqu.store import Store
from lingqu.store.history import append

LINGQU = "lingqu"
RISK = "risk"
"""The kind of a rollback that live risk asked for."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What labels since a rollback say of both versions."""

    labels: list[Both]
    restored: int
    demoted: int

    def test(self, *, reverse: bool = False) -> SignTest:
        """The sign test that the restored one is better; `reverse` asks whether it is worse."""
        found = SignTest()
        for one in self.labels:
            if one.champion is not one.challenger:
                found = found.after(one.champion is not reverse)
        return found

    @property
    def wrong(self) -> tuple[int, int, int]:
        """How often each was wrong on labels of the audit, and how many those are."""
        audit = [one for one in self.labels if one.audit]
        return sum(not one.champion for one in audit), sum(not one.challenger for one in audit), len(audit)

    def sentence(self) -> str:
        """How both did, in words."""
        restored, demoted, labels = self.wrong
        return (
            f"of {labels:,} audit labels since, version {self.restored} was wrong on {restored:,} and "
            f"version {self.demoted} would have been wrong on {demoted:,}"
        )

    def numbers(self, test: SignTest) -> dict[str, Any]:
        """The same for the history, with the wins of the version that the test is for."""
        restored, demoted, labels = self.wrong
        wrong = {"labels": labels, "wrong": restored, "wrong_demoted": demoted}
        return {**wrong, "wins": test.wins, "losses": test.losses, "p_anytime": test.p}


def after_rollback(store: Store, spec: Spec, back: Event, limit: float | None, now: datetime) -> str:
    """What a look after the rollback `back` came to: why a person has to act, or nothing.

    `limit` is the share of errors that the restored champion may make. What a kill left undone of the rollback is done.
    """
    later = [event for event in Registry(store).history(spec.name) if event.seq > back.seq]
    demoted = int(back.evidence["from"])
    if not any(event.action in (FREEZE, THAW) for event in later):
        freeze(store, spec.name, who=LINGQU, why=f"rolled back from version {demoted}; thaw when the reason is known")
    told = next((event for event in later if event.evidence.get("kind") == WORLD), None)
    if told is not None:
        return told.why
    if not any(event.action == ROLLOUT for event in later):
        _watch(store, back, demoted)
    standing = rollout(store, spec.name)
    if standing is None or standing.step != DEMOTED:
        return ""
    return _judged(store, spec, standing, limit, now)


def risk_since(store: Store, version: Version, moment: str, limit: float) -> Risk:
    """The live risk of a version by labels of the audit on what it has answered since a moment (ISO 8601).

    Of equal rows one counts: who asks a row again and again must not decide what leads.
    """
    heard: dict[str, bool] = {}
    for one in labelled(store, version, first_id(moment), inputs=True):
        if one.audit:
            heard.setdefault(plain(one.input) if whole(one.input) else one.prediction, one.right)
    return Risk(limit, live_risk([float(not right) for right in heard.values()], limit))


def _watch(store: Store, back: Event, demoted: int) -> None:
    """Let the version that was rolled back answer unseen."""
    registry = Registry(store)
    champion = registry.alias(back.name, "champion")
    if champion is None or champion[0] != back.version:
        return
    why = "whether it was at fault shows on the same labels"
    version = registry.get(f"{back.name}@{demoted}")
    begin(store, version, against=champion[0], epoch=champion[1], why=why, evidence={}, step=DEMOTED)


def _judged(store: Store, spec: Spec, standing: Rollout, limit: float | None, now: datetime) -> str:
    """What the labels since a rollback say, kept in the history once it is clear."""
    seen, alpha = _Seen(both(store, standing), standing.against, standing.version), spec.gates.alpha
    better, worse = seen.test(), seen.test(reverse=True)
    # Every label of the restored one's answers speaks of it, also where nobody knows what the other would have said.
    restored = Registry(store).get(f"{spec.name}@{standing.against}")
    risk = None if limit is None else risk_since(store, restored, standing.began, limit)
    try:
        if risk is not None and risk.level == "act":
            return _world(store, standing, seen, risk)
        if better.decides(alpha):
            why = f"it was the model: {_sign(better, standing.against)}; {seen.sentence()}"
            drop(store, standing, who=LINGQU, why=why, evidence=seen.numbers(better))
        elif worse.decides(alpha):
            why = f"the rollback was needless: {_sign(worse, standing.version)}; {seen.sentence()}"
            why += f". A person may say: lingqu promote {standing.name}@{standing.version}"
            drop(store, standing, who=LINGQU, why=why, evidence=seen.numbers(worse))
        elif (
            now - datetime.fromisoformat(standing.began).astimezone(UTC)
        ).total_seconds() > spec.improve.patience_seconds:
            why = f"{span(spec.improve.patience_seconds)} have passed, and {seen.sentence()}"
            drop(store, standing, who=LINGQU, why=why, evidence=seen.numbers(better))
    except ConflictError:
        # A person was quicker: what they decided stands.
        pass
    return ""


def _world(store: Store, standing: Rollout, seen: _Seen, risk: Risk) -> str:
    """The world has moved: kept once, and the version that was rolled back is let go."""
    name, restored = standing.name, standing.against
    why = (
        f"The world has moved, not the model: version {restored} was restored and errs as well. {risk.sentence()} "
        f"{seen.sentence().capitalize()}. Learn anew: lingqu thaw {name}, then lingqu improve"
    )
    numbers = {**seen.numbers(seen.test()), "limit": risk.limit, "wants": "retrain"}
    with store.database.writing() as connection:
        expect_rollout(connection, standing)
        end(connection, standing, DROP, who=LINGQU, why="the restored one errs as well", evidence=numbers)
        about = {"name": name, "who": LINGQU, "action": "alarm", "version": restored, "why": why}
        append(connection, **about, evidence={"kind": WORLD, "level": "act", **numbers})
    return why


def _sign(test: SignTest, winner: int) -> str:
    rows = test.wins + test.losses
    return (
        f"of {rows:,} rows on which exactly one is right, version {winner} won {test.wins:,} "
        f"(p = {max(test.p, 1e-4):.2g}, valid at any look)"
    )
