"""lingqu where a challenger's proof comes from today's traffic alone: `improve.proof: unseen`."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field, replace

from lingqu.feedback.paired import BETTER, WORSE, Compared
from lingqu.feedback.rollout import gives_way
from lingqu.feedback.trigger import DAY
from lingqu.feedback.voice import ACCEPTED, Voice
from lingqu.monitor.audit import DISPUTED
from lingqu.monitor.audit import asked as drawn
from lingqu.registry.alpha import AlphaRound
from lingqu.spec.settings import GateSettings
from tools.loop.world.head import Head
from tools.loop.world.policies import Array, Lingqu
from tools.loop.world.stream import A_DAY, AUDIT, World

STILL_AUDITED = 0.5
"""While a challenger answers unseen, this share of the audit's work stays with it; the rest goes to rows on which two differ."""
LIMIT = GateSettings().alpha


@dataclass
class Trial:
    """A challenger that answers unseen beside the champion, and what the labels have said since."""

    head: Head
    kept: list[Voice]
    began: int
    alpha: float
    owed: float = 0.0
    """Labels that may be asked for and were not yet."""
    leads: dict[int, int] = field(default_factory=dict)

    @property
    def labels(self) -> Compared:
        """Both models on every label, in the order in which they came."""
        ids = tuple(f"{asked:08d}" for asked in self.leads)
        return Compared(ids, ids, tuple(self.leads.values()), 0)


class Unseen(Lingqu):
    """The rules of `lingqu improve --watch` with `promote: auto` and `proof: unseen`; canary shares are left out."""

    proof = "unseen"

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.features = world.features(world.stream, world.new)
        self.secret = f"{world.seed}".encode()
        self.trial: Trial | None = None
        self.trials: list[tuple[int, float]] = []
        self.tried = 0
        self.waiting: list[tuple[float, int]] = []
        self.asked = 0
        """Labels that trusted people gave in all."""

    def answered(self, first: int, sure: Array) -> None:
        """The journal; and of rows on which the two differ some are put before a trusted person."""
        super().answered(first, sure)
        if self.trial is None:
            return
        self.trial.owed += len(sure) * AUDIT * (1 - STILL_AUDITED)
        differ = (
            first + (sure.argmax(1) != self.trial.head.guess(self.features[first : first + len(sure)])).nonzero()[0]
        )
        queue = sorted(
            (one for one in differ.tolist() if not self._audits(one)),
            key=lambda asked: hmac.digest(self.secret, f"disputed {asked}".encode(), "sha256"),
        )
        for asked in queue[: int(self.trial.owed)]:
            self.trial.owed -= 1
            self.waiting.append((asked + self.world.delays[asked, 1], asked))

    def _audits(self, asked: int) -> bool:
        """Whether the audit asks for this answer; fewer are asked for while a challenger answers unseen."""
        trial = self.trial is not None and asked >= self.trial.began
        beside = trial or any(began <= asked < ended for began, ended in self.trials)
        return drawn(f"{asked:032x}", AUDIT * (STILL_AUDITED if beside else 1), self.secret)

    def hears(self, now: int, labels: list[tuple[int, int]], audit: list[int]) -> None:  # type: ignore[override]
        """Labels first judge the two that answer side by side; then they may train."""
        audit = [asked for asked in audit if self._audits(asked)]
        come = [asked for due, asked in sorted(self.waiting) if due < now]
        self.waiting = [one for one in self.waiting if one[0] >= now]
        self.asked += len(audit) + len(come)
        if self.trial is not None:
            for asked in (*audit, *come):
                if asked >= self.trial.began:
                    self.trial.leads[asked] = self._lead(asked, self.trial.head)
            self._look(now, self.trial)
        for asked in come:
            said = self._voice(asked, self._true(asked))
            self.voices[asked] = replace(
                said, principal="auditor", source=DISPUTED, status=ACCEPTED, decided_by="auditor"
            )
        super().hears(now, labels, audit)

    def _lead(self, asked: int, challenger: Head) -> int:
        row, truth = self.features[asked : asked + 1], self._true(asked)
        return int(challenger.guess(row)[0] == truth) - int(self.champion.guess(row)[0] == truth)

    def _look(self, now: int, trial: Trial) -> None:
        """One look at the challenger, as `feedback.rollout.advance` takes it."""
        found, _ = trial.labels.first(trial.alpha, LIMIT)
        since = self._changed(now)
        if found == BETTER and (since is None or since >= self.improve.pause_seconds):
            self.learned_from = {voice.id for voice in trial.kept}
            self.tried = 0
            self._end(now)
            self.promote(now, trial.head)
        elif found == WORSE or (not found and (now - trial.began) * DAY / A_DAY > self.improve.patience_seconds):
            self._end(now)

    def _end(self, now: int) -> None:
        assert self.trial is not None
        self.trials.append((self.trial.began, now))
        self.trial = None

    def since_change(self, now: int) -> None:
        """A round may begin at once; it is the promotion that keeps the cool-down."""
        return

    def _changed(self, now: int) -> float | None:
        return super().since_change(now)

    def _may_judge(self) -> bool:
        """Whether nobody answers unseen who has a way before them."""
        if self.trial is None:
            return True
        return gives_way(self.trial.labels.test(), LIMIT, alarm=bool(self._alarm()))

    def _worn(self) -> int:
        return len(self.audit)

    def _judge(self, challenger: Head, kept: list[Voice], fresh: list[int], now: int) -> None:
        """No harm on the frozen rows, and it answers unseen, at what its proof may cost."""
        budget, gate = AlphaRound.of(self.tried + 1, LIMIT), self.world.gate
        decision = self._decide(challenger, self.world.features(gate), self.truth[gate], budget.alpha, (), prove=False)
        self.tried += 1
        self.decisions.append((now, decision))
        if decision.decision == "unseen":
            if self.trial is not None:
                self._end(now)
            self.trial = Trial(challenger, kept, now, budget.alpha)
