"""A challenger that passed its gate proves itself on today's traffic before it leads: one step a look.

Unseen first: audit labels judge both models, and the sequential sign test says when the challenger is better; the same test
the other way round, or too long a time, drops it. Then it answers 5 % of users, then 25 % (or what the spec says), each of
whom stays with it, as long as its guardrails hold. Then it leads, or waits for a person who says so. Where it stands is in
the history, so whoever is killed here goes on from there, and of two who look at once only one moves it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from math import log
from typing import Any

from lingqu.errors import ConflictError
from lingqu.feedback.guardrails import Watched, watch
from lingqu.feedback.paired import BETTER, WORSE, Compared, compared
from lingqu.feedback.trigger import span, too_soon
from lingqu.registry import Registry
from lingqu.registry.brake import frozen
from lingqu.registry.rollouts import CANARY, DEMOTED, DROP, READY, SHADOW, Rollout, drop, move, rollout
from lingqu.spec import Spec
from lingqu.statistics import SignTest
from lingqu.store import Store

PROMOTE = "promote"
HALF_WAY, CLEAR_ROWS = 0.5, 20
"""A lead that wins three rows in four has come half of its way, on so many rows on which exactly one model is right."""
NO_LABEL = "no label of a trusted person has come (lingqu feedback queue --disputed, or --audit)"


@dataclass(frozen=True, slots=True)
class _Step:
    """What a look came to: stay, move, promote or drop, why, and on which numbers."""

    to: str
    why: str
    evidence: dict[str, Any]
    share: float = 0.0


def advance(store: Store, spec: Spec, *, asked: bool = False, now: datetime | None = None) -> dict[str, Any] | None:
    """Look at the challenger that is on its way, and let it take one step if the evidence allows; None without one.

    `asked` promotes within the cool-down too. Gives what `lingqu improve --json` prints.
    """
    standing = rollout(store, spec.name)
    # One that was rolled back is on its way to nobody (`lingqu.feedback.aftermath`), and keeps no round from beginning.
    if standing is None or standing.step == DEMOTED:
        return None
    if why := frozen(store, spec.name):
        return _told(store, standing, "wait", f"frozen: {why}", moved=False)
    moment = now or datetime.now(UTC)
    step = _Look(store, spec, standing, moment, asked).judge()
    try:
        return _taken(store, spec, standing, step)
    except ConflictError as error:
        # A person, the service or another process was quicker: what they decided stands.
        return _told(store, standing, "wait", str(error), moved=False)


def _taken(store: Store, spec: Spec, standing: Rollout, step: _Step) -> dict[str, Any]:
    """The step, taken: one transaction, and none at all where somebody has pulled the brake while we looked."""
    if step.to == standing.step and step.share == standing.share:
        return _told(store, standing, standing.step, step.why, moved=False)
    if why := frozen(store, spec.name):
        return _told(store, standing, "wait", f"frozen: {why}", moved=False)
    if step.to == DROP:
        drop(store, standing, who="lingqu", why=step.why, evidence=step.evidence)
    elif step.to == PROMOTE:
        registry = Registry(store)
        gate = registry.get(f"{spec.name}@{standing.version}").decision
        registry.promote(
            spec.name,
            standing.version,
            who="lingqu",
            why=step.why,
            evidence={**step.evidence, "against": standing.against, "gate_set": gate.get("gate_set")},
            expect_epoch=standing.epoch,
            expect_rollout=standing,
        )
    else:
        move(store, standing, step.to, step.share, why=step.why, evidence=step.evidence)
    return _told(store, standing, step.to, step.why, moved=True)


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at a challenger: what its evidence says."""

    store: Store
    spec: Spec
    standing: Rollout
    now: datetime
    asked: bool

    def judge(self) -> _Step:
        """The step that the evidence allows."""
        standing, alpha = self.standing, self.spec.gates.alpha
        champion = Registry(self.store).alias(standing.name, "champion")
        if champion != (standing.against, standing.epoch):
            leads = "nobody" if champion is None else f"version {champion[0]}"
            return _Step(DROP, f"it was compared with version {standing.against}, and {leads} leads since", {})
        labels = compared(self.store, standing)
        if standing.step == SHADOW:
            return self._unseen(labels)
        # While users see the canary a new game begins: what it won before must not pay for what it loses now.
        worse = labels.test(standing.since, alpha=alpha, reverse=True)
        if worse.decides(alpha):
            return _Step(DROP, _worse(worse), _numbers(worse, labels))
        seen = watch(self.store, standing, self.spec.monitor.latency_limit_ms)
        if seen.broken:
            return _Step(DROP, seen.sentence(), seen.numbers)
        if standing.step == READY:
            why = f"it has proved itself and waits for: lingqu promote {standing.name}@{standing.version}"
            return _Step(READY, why, {}, standing.share)
        return self._canary(seen)

    def _unseen(self, labels: Compared) -> _Step:
        """The step of a challenger that nobody sees yet."""
        alpha = self.standing.alpha or self.spec.gates.alpha
        found, test = labels.first(alpha, self.spec.gates.alpha)
        evidence = _numbers(test, labels)
        if found == WORSE:
            return _Step(DROP, _worse(test), evidence)
        if found == BETTER:
            if self.spec.improve.canary:
                return _Step(CANARY, test.sentence(), evidence, min(self.spec.improve.canary_shares))
            return self._last(test.sentence(), evidence)
        told = test.sentence().rstrip(".") if labels.ids else NO_LABEL
        if labels.unscored:
            told += f" ({labels.unscored:,} labels could not be compared: of their rows nothing was kept)"
        if self._is_late():
            return _Step(DROP, f"{span(self.spec.improve.patience_seconds)} have passed, and {_lower(told)}", evidence)
        return _Step(SHADOW, f"{told}; e = {test.evalue:.2g} of the {1 / alpha:.3g} that prove it", evidence)

    def _canary(self, seen: Watched) -> _Step:
        """The step of a canary that keeps its guardrails."""
        share, wanted = self.standing.share, self.spec.improve.canary
        # Where few users name themselves nobody may fall to the canary; its turn is over all the same.
        if seen.answers < wanted and seen.of * share < wanted:
            if self._is_late():
                why = f"{span(self.spec.improve.patience_seconds)} have passed, and {seen.sentence()}"
                return _Step(DROP, why, seen.numbers)
            return _Step(CANARY, f"{seen.sentence()}; {wanted:,} are wanted", seen.numbers, share)
        why = f"{seen.sentence()}, and its guardrails held"
        later = [one for one in sorted(self.spec.improve.canary_shares) if one > share]
        return _Step(CANARY, why, seen.numbers, later[0]) if later else self._last(why, seen.numbers)

    def _last(self, why: str, evidence: dict[str, Any]) -> _Step:
        """It leads, or a person is asked; never two changes within one cool-down, unless somebody asks."""
        if self.spec.improve.promote == "ask":
            return _Step(READY, why, evidence, self.standing.share)
        changed, pause = Registry(self.store).last_change(self.spec.name), self.spec.improve.pause_seconds
        if changed is not None and not self.asked and (since := _seconds(changed, self.now)) < pause:
            return _Step(self.standing.step, too_soon(since, pause), evidence, self.standing.share)
        return _Step(PROMOTE, why, evidence)

    def _is_late(self) -> bool:
        return _seconds(self.standing.began, self.now) > self.spec.improve.patience_seconds


def gives_way(test: SignTest, alpha: float, *, alarm: bool = False) -> bool:
    """Whether a challenger that no gate has proved makes room for one that has learned more.

    It does when it has lost more rows than it has won; and when it has not come half of its way, as the logarithm of the evidence counts it, after
    so many rows that a clear lead would have, or at once where an alarm says that the world has moved. `alpha` is that of
    the spec.

    >>> few, many = SignTest(wins=5, losses=3), SignTest(wins=15, losses=10)
    >>> [gives_way(one, 0.05) for one in (few, many)], gives_way(few, 0.05, alarm=True)
    ([False, True], True)
    """
    is_far = log(max(test.evalue, 1e-300)) < HALF_WAY * log(1 / alpha)
    return test.losses > test.wins or (is_far and (alarm or test.rows >= CLEAR_ROWS))


def _told(store: Store, standing: Rollout, decision: str, why: str, *, moved: bool) -> dict[str, Any]:
    after = rollout(store, standing.name)
    champion = Registry(store).alias(standing.name, "champion")
    return {
        "name": standing.name,
        "decision": decision,
        "why": why,
        "challenger": standing.version,
        "champion": None if champion is None else champion[0],
        "moved": moved,
        "rollout": after and after.to_json(),
        "left_out": {},
    }


def _numbers(test: SignTest, labels: Compared) -> dict[str, Any]:
    return {"wins": test.wins, "losses": test.losses, "p_anytime": test.p, "labels": len(labels.ids)}


def _worse(test: SignTest) -> str:
    """What contrary evidence says; the test was turned round, so its wins are the champion's."""
    return (
        f"Of {test.rows:,} rows on which exactly one model is right, the champion won {test.wins:,}: "
        f"p = {max(test.p, 1e-4):.2g}, valid at any look"
    )


def _lower(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


def _seconds(since: str, now: datetime) -> float:
    return (now - datetime.fromisoformat(since)).total_seconds()
