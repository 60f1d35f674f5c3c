"""Three ways to run the same product: never retrain, promote what looks better, and lingqu's own rules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lingqu.contract import Rows
from lingqu.evaluate.gate import Decision, decide, keeps
from lingqu.evaluate.slices import slice_columns
from lingqu.feedback.influence import Offer, within_caps
from lingqu.feedback.queue import NEWEST
from lingqu.feedback.round import LEAST_FRESH, spoken, window
from lingqu.feedback.rules import judge, usual_confidence
from lingqu.feedback.suspects import suspected
from lingqu.feedback.trigger import DAY, consider
from lingqu.feedback.trust import trust_of
from lingqu.feedback.voice import ACCEPTED, QUARANTINED, RULE, TRIAL, Voice
from lingqu.monitor.audit import DISPUTED
from lingqu.monitor.risk import risk
from lingqu.registry.alpha import AlphaRound
from lingqu.spec.running import ImproveSettings, MonitorSettings
from lingqu.tasks import find_task
from tools.loop.world.head import Head, answers
from tools.loop.world.stream import A_DAY, World

Array = NDArray[Any]
MARGIN = 0.05
"""What the owner of this world lets the frozen rows lose: it is known to move."""


@dataclass(frozen=True)
class Promotion:
    """A version that took another one's place after so many answers."""

    at: int
    head: Head
    before: Head


class Policy(ABC):
    """A champion, and what becomes of it as labels come in."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.labels = world.product.labels
        self.truth = world.product.truth
        self.stop = world.features(world.validation), self.truth[world.validation]
        self.champion = self.learned(np.empty(0, int), np.empty(0, int))
        self.promotions: list[Promotion] = []

    def learned(self, asked: Array, said: Array) -> Head:
        """A model from the base rows and what was said of these answers: always from the base."""
        world = self.world
        rows = world.stream[asked]
        features = np.concatenate([world.features(world.base), world.features(rows, world.new[asked])])
        return Head.fitted(features, np.concatenate([self.truth[world.base], said]), self.stop, len(self.labels))

    def promote(self, now: int, head: Head) -> None:
        """The version that answers from now on."""
        self.promotions.append(Promotion(now, head, self.champion))
        self.champion = head

    @abstractmethod
    def hears(self, now: int, labels: Sequence[tuple[int, int]], audit: Sequence[int]) -> None:
        """What came in since: users' labels as (answer, label), and answers whose audit label came."""

    def answered(self, first: int, sure: Array) -> None:
        """What the champion said to the answers from `first` on, as probabilities; most keep no journal."""
        return


class Never(Policy):
    """The model of the first day."""

    def hears(self, now: int, labels: Sequence[tuple[int, int]], audit: Sequence[int]) -> None:
        """Nothing changes."""


class PointEstimate(Policy):
    """Retrains at every 200th label on all that users said; promotes when the held-out accuracy looks better.

    Held out is a fifth of all rows that it has, base and labels alike, chosen once at random for each row.
    """

    def __init__(self, world: World, every: int = 200) -> None:
        self.every, self.said, self.known, self.since = every, {}, {}, 0
        rng = np.random.default_rng([world.seed, 5])
        self.held_base, self.held = rng.random(len(world.base)) < 0.2, rng.random(len(world.stream)) < 0.2
        super().__init__(world)

    def learned(self, asked: Array, said: Array) -> Head:
        """As ever, but for the base rows that are held out."""
        world, kept = self.world, self.world.base[~self.held_base]
        features = np.concatenate([world.features(kept), world.features(world.stream[asked], world.new[asked])])
        return Head.fitted(features, np.concatenate([self.truth[kept], said]), self.stop, len(self.labels))

    def hears(self, now: int, labels: Sequence[tuple[int, int]], audit: Sequence[int]) -> None:
        """Retrain at every 200th label."""
        self.said |= dict(labels)
        self.since += len(labels)
        if self.since < self.every:
            return
        self.since = 0
        asked, said = (np.array(part) for part in zip(*self.said.items(), strict=True))
        out = self.held[asked]
        head = self.learned(asked[~out], said[~out])
        if self.share(head, asked[out], said[out]) > self.share(self.champion, asked[out], said[out]):
            self.promote(now, head)

    def share(self, head: Head, asked: Array, said: Array) -> float:
        """The accuracy on the rows that are held out."""
        world = self.world
        rows = world.base[self.held_base]
        right = [head.guess(world.features(rows)) == self.truth[rows]]
        right += [head.guess(world.features(world.stream[asked], world.new[asked])) == said] if len(asked) else []
        return float(np.concatenate(right).mean())


class Informed(PointEstimate):
    """The same with all that lingqu knows: it trains on the audit's labels and holds a fifth of them out as well."""

    def hears(self, now: int, labels: Sequence[tuple[int, int]], audit: Sequence[int]) -> None:
        """An audit's label stands above a user's."""
        trusted = [(asked, int(self.truth[self.world.stream[asked]])) for asked in audit]
        self.known |= dict(trusted)
        super().hears(now, [*((asked, said) for asked, said in labels if asked not in self.known), *trusted], ())


class Lingqu(Policy):
    """The rules of `lingqu improve --watch` with `promote: auto` and `proof: gate`, by lingqu's own functions."""

    proof: Literal["gate", "unseen"] = "gate"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.task = find_task(world.product.task)
        self.task.decide_by = "accuracy"  # type: ignore[misc]  # Of this instance only.
        self.improve, self.monitor = ImproveSettings(promote="auto", proof=self.proof), MonitorSettings()
        self.voices: dict[int, Voice] = {}
        self.audit: list[int] = []
        self.worn = 0
        self.used: set[str] = set()
        self.learned_from: set[str] = set()
        self.journal: dict[int, tuple[int, Array]] = {}
        self.newest: deque[dict[str, Any]] = deque(maxlen=NEWEST)
        self.looks = 0
        self.last: int | None = None
        self.decisions: list[tuple[int, Decision]] = []

    def answered(self, first: int, sure: Array) -> None:
        """The journal."""
        self.journal |= {first + place: (len(self.promotions), row) for place, row in enumerate(sure)}
        best = zip(sure.argmax(1).tolist(), sure.max(1).tolist(), strict=True)
        self.newest += [{"prediction": self.labels[label], "confidence": one} for label, one in best]

    def hears(self, now: int, labels: Sequence[tuple[int, int]], audit: Sequence[int]) -> None:
        """One look of the watch: rules, live risk, and a round when it is due."""
        for asked, label in labels:
            if asked not in self.voices:
                self.voices[asked] = self._voice(asked, label)
        self.audit += audit
        self._rule()
        accepted = [voice for voice in self.voices.values() if voice.status == ACCEPTED]
        due = consider(
            accepted=sum(voice.id not in self.used for voice in accepted),
            needed=self.improve.new_labels,
            since_last=None if self.last is None else (now - self.last) * DAY / A_DAY,
            since_change=self.since_change(now),
            pause=self.improve.pause_seconds,
            alarm=self._alarm(),
        )
        if due.go and self._may_judge():
            self._round(now, accepted)

    def since_change(self, now: int) -> float | None:
        """How long ago the champion changed, in seconds."""
        return (now - self.promotions[-1].at) * DAY / A_DAY if self.promotions else None

    def _may_judge(self) -> bool:
        """Whether enough audit labels came that no gate has used up."""
        return len(self.audit) - self.worn >= LEAST_FRESH

    def _voice(self, asked: int, label: int) -> Voice:
        number, sure = self.journal[asked]
        best = int(sure.argmax())
        return Voice(
            id=f"{asked:08d}",
            prediction_id=f"{asked:08d}",
            name="world",
            number=number,
            principal=f"user{self.world.user[asked]}",
            tenant="",
            user=None,
            source="api",
            origin="person",
            kind="label",
            value=self.labels[label],
            comment=None,
            input={"row": int(self.world.stream[asked])},
            answer={"prediction": self.labels[best], "confidence": float(sure[best])},
            at=f"{asked:08d}",
            status=QUARANTINED,
            reason="",
            decided_by=None,
            decided_at=None,
        )

    def _rule(self) -> None:
        """Who is believed, as `feedback.round.decide_by_rule` asks it."""
        trusted = {f"{asked:08d}": self.labels[self._true(asked)] for asked in self.audit}
        trusted |= {v.prediction_id: v.label for v in self.voices.values() if v.reviewed}
        said = [v for v in self.voices.values() if not v.reviewed]
        trust = trust_of(((v.principal, v.prediction_id, v.label) for v in said), trusted)
        waiting = [v for v in self.voices.values() if v.status == QUARANTINED and v.decided_by != TRIAL]
        for one in judge(waiting, labels=self.labels, trust=trust, sure=usual_confidence(self.newest)):
            voice = self.voices[int(one.id)]
            if one.status != voice.status:
                self.voices[int(one.id)] = replace(voice, status=one.status, reason=one.reason, decided_by=RULE)

    def _true(self, asked: int) -> int:
        return int(self.truth[self.world.stream[asked]])

    def _alarm(self) -> str:
        """Live risk by the audit labels of the champion's answers."""
        mine = [(asked, row) for asked in self.audit for number, row in [self.journal[asked]] if self._own(number)]
        held = self.champion.guess(self.world.features(self.world.gate)) == self.truth[self.world.gate]
        found = risk(
            [int(row.argmax()) == self._true(asked) for asked, row in mine],
            held_out_right=int(held.sum()),
            held_out=len(held),
            tolerance=self.monitor.tolerance,
        )
        return "risk alarm" if found is not None and found.level == "act" else ""

    def _own(self, number: int) -> bool:
        return number == len(self.promotions)

    def _round(self, now: int, accepted: list[Voice]) -> None:
        """One turn: caps, suspects, a challenger from the base, the gate."""
        self.last = now
        self.worn = self._worn()
        served, fresh = self.audit[: self.worn], self.audit[self.worn :]
        known = {*served, *fresh}
        offered = [voice for voice in accepted if int(voice.id) not in known]
        kept = self._within_caps(offered, served)
        dropped = self._harmful(kept, served)
        for id, why in dropped.items():
            self.voices[int(id)] = replace(self.voices[int(id)], status=QUARANTINED, reason=why, decided_by=TRIAL)
        if dropped:
            kept = self._within_caps([voice for voice in offered if voice.id not in dropped], served)
        self.used |= {voice.id for voice in kept}
        self._judge(self._from(kept, served), kept, fresh, now)

    def _worn(self) -> int:
        """How many audit labels, from the oldest on, judge no more."""
        return window(len(self.audit), self.worn)

    def _judge(self, challenger: Head, kept: list[Voice], fresh: list[int], now: int) -> None:
        """The gate, and what comes of it."""
        decision, exhausted = self._gate(challenger, np.array(fresh, dtype=int), now)
        self.decisions.append((now, decision))
        if spoken({"decision": decision.decision, "exhausted": exhausted}):
            self.worn, self.looks = len(self.audit), 0
        if decision.promoted and not exhausted:
            self.learned_from = {voice.id for voice in kept}
            self.promote(now, challenger)

    def _harmful(self, kept: Sequence[Voice], served: Sequence[int]) -> dict[str, str]:
        """The labels whose block does harm on validation rows and on those of worn-out gates, and why."""
        rows, new = self.world.stream[np.array(served, dtype=int)], self.world.new[np.array(served, dtype=int)]
        asked = np.concatenate([self.stop[0], self.world.features(rows, new)])
        truth = [self.labels[one] for one in [*self.stop[1], *self.truth[rows]]]
        return suspected(kept, truth, lambda given: answers(self._from(given).sure(asked), self.labels))

    def _within_caps(self, given: Sequence[Voice], served: Sequence[int]) -> list[Voice]:
        by_id = {voice.id: voice for voice in given}
        offers = [
            Offer(
                voice.id,
                voice.principal,
                int(voice.id),
                voice.label,
                voice.reviewed,
                voice.id in self.learned_from or voice.source == DISPUTED,
            )
            for voice in sorted(given, key=lambda voice: (voice.at, voice.id))
        ]
        audit = [
            Offer(f"audit{asked}", "auditor", asked, self.labels[self._true(asked)], reviewed=True, settled=True)
            for asked in served
        ]
        base = Counter(self.labels[label] for label in self.truth[self.world.base])
        taken, _ = within_caps([*audit, *offers], base)
        return [by_id[offer.id] for offer in taken if offer.id in by_id]

    def _from(self, given: Sequence[Voice], served: Sequence[int] = ()) -> Head:
        place = {label: number for number, label in enumerate(self.labels)}
        asked = [*(int(voice.id) for voice in given), *served]
        said = [*(place[voice.label] for voice in given), *(self._true(one) for one in served)]
        return self.learned(np.array(asked, dtype=int), np.array(said, dtype=int))

    def _gate(self, challenger: Head, fresh: Array, now: int) -> tuple[Decision, bool]:
        """As `evaluate.trial` puts it: better on the fresh rows, no worse on the frozen ones, alpha spent by looks."""
        self.looks += 1
        budget = AlphaRound.of(self.looks)
        gate, rows = self.world.gate, self.world.stream[fresh]
        frozen = self._decide(challenger, self.world.features(gate), self.truth[gate], budget.alpha, ())
        features = self.world.features(rows, self.world.new[fresh])
        found = self._decide(challenger, features, self.truth[rows], budget.alpha, keeps(frozen, "test rows"))
        return found, budget.exhausted

    def _decide(
        self, challenger: Head, features: Array, truth: Array, alpha: float, also: Any, *, prove: bool = True
    ) -> Decision:
        true = [self.labels[one] for one in truth]
        return decide(
            self.task,
            true,
            answers(self.champion.sure(features), self.labels),
            answers(challenger.sure(features), self.labels),
            alpha=alpha,
            margin=MARGIN,
            slices=slice_columns(self.task, Rows({"label": true})),
            also=also,
            prove=prove,
            seed=self.world.seed,
        )
