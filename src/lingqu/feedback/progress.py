"""How far a challenger is on its way to users, as `lingqu status` tells it: a look that moves nothing.

How many labels prove a lead nobody knows beforehand. What is told is how many would in all, if the challenger goes on
winning as often as it has: a guess that each label makes better, and no promise.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from lingqu.feedback.guardrails import Watched, watch
from lingqu.feedback.paired import compared
from lingqu.registry import Registry
from lingqu.registry.rollouts import CANARY, DEMOTED, READY, Rollout, rollout
from lingqu.spec import Spec
from lingqu.spec.running import ImproveSettings, MonitorSettings
from lingqu.spec.settings import GateSettings
from lingqu.statistics import SignTest
from lingqu.store import Store

FARTHEST = 100_000
"""A proof that is farther away than so many labels is not in sight."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a challenger stands, and what its next step waits for.

    >>> print(Progress("router", 2, 1, "shadow", 0.0, "2026-11-23T10:00:05Z", labels=60, wins=5, losses=2, wanted=20.0).sentence())
    router@2 answers unseen beside router@1 since 2026-11-23 10:00: 60 labels, and of 7 rows on which exactly one is right it won 5 (E = 1.4 of 20).
    """

    name: str
    version: int
    against: int
    step: str
    share: float
    since: str
    labels: int = 0
    """Labels of trusted people that say something of both, since it answers beside the champion."""
    needed: int | None = None
    """How many labels in all would prove it, if it goes on as it has; None where that is not in sight."""
    wins: int = 0
    losses: int = 0
    wanted: float = 20.0
    """The e-value that proves it."""
    answers: int = 0
    answers_wanted: int = 0
    guardrails: tuple[str, ...] = ()
    """The guardrails that are broken, in words."""

    def sentence(self) -> str:
        """The same in words."""
        model, since = f"{self.name}@{self.version}", f"{self.since[:10]} {self.since[11:16]}"
        champion = f"{self.name}@{self.against}"
        if self.step == DEMOTED:
            return (
                f"{model} was rolled back and answers unseen beside {champion} since {since}: {self.labels:,} labels."
            )
        if self.step in (CANARY, READY):
            broken = "; ".join(self.guardrails)
            state = f"a guardrail is broken: {broken}" if broken else "its guardrails hold"
            if self.step == READY:
                return f"{model} has proved itself and waits since {since} for lingqu promote {model}; {state}."
            told = f"{100 * self.share:.3g} % of the users since {since}: {self.answers:,} of {self.answers_wanted:,} answers"
            return f"{model} answers {told}; {state}."
        evalue = SignTest(self.wins, self.losses).evalue
        rows = self.wins + self.losses
        said = (
            f"{model} answers unseen beside {champion} since {since}: {self.labels:,} labels, and of {rows:,} rows on which "
            f"exactly one is right it won {self.wins:,} (E = {evalue:.2g} of {self.wanted:.3g})."
        )
        return f"{said} About {self.needed:,} labels in all prove it, if it goes on so." if self.needed else said

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {**asdict(self), "guardrails": [*self.guardrails], "sentence": self.sentence()}


def progress(store: Store, name: str, given: Spec | None = None) -> Progress | None:
    """How far the challenger of a model is; None where none is on its way.

    What its steps need is what the `given` spec says, else that by which it was learned.
    """
    now = rollout(store, name)
    if now is None:
        return None
    spec = given.model_dump(mode="json") if given else Registry(store).get(f"{name}@{now.version}").spec
    alpha = now.alpha or GateSettings.model_validate(spec.get("gates") or {}).alpha
    labels = compared(store, now)
    test = labels.test()
    found = Progress(name, now.version, now.against, now.step, now.share, now.since, labels=len(labels.ids))
    found = replace(found, wins=test.wins, losses=test.losses, wanted=1 / alpha)
    if now.step in (CANARY, READY):
        seen = _users(store, now, spec)
        wanted = ImproveSettings.model_validate(spec.get("improve") or {}).canary
        return replace(found, answers=seen.answers, answers_wanted=wanted, guardrails=seen.broken)
    return replace(found, needed=labels_needed(test, len(labels.ids), alpha))


def labels_needed(test: SignTest, labels: int, alpha: float) -> int | None:
    """How many labels in all prove a lead that goes on as it has; None where that is not in sight.

    >>> labels_needed(SignTest(8, 3), 100, 0.05), labels_needed(SignTest(3, 4), 100, 0.05)
    (331, None)
    """
    if test.wins <= test.losses:
        return None
    low, high = 1.0, FARTHEST / labels
    if not _proves(test, high, alpha):
        return None
    while high - low > 0.5 / labels:
        middle = (low + high) / 2
        low, high = (low, middle) if _proves(test, middle, alpha) else (middle, high)
    return round(labels * high)


def _proves(test: SignTest, times: float, alpha: float) -> bool:
    return SignTest(round(test.wins * times), round(test.losses * times)).evalue >= 1 / alpha


def _users(store: Store, now: Rollout, spec: dict[str, Any]) -> Watched:
    settings = MonitorSettings.model_validate(spec.get("monitor") or {})
    return watch(store, now, settings.latency_limit_ms)
