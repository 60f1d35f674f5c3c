"""One model name that answers: which version a request gets, its batches, its deadline.

A request keeps the version that it was given when it came, whatever is swapped meanwhile; so a reply never mixes two.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from lingqu.contract import Rows
from lingqu.errors import DeadlineError, Problem, RequestError, ServiceError, UnknownNameError, near
from lingqu.serve.batch import Model, Request
from lingqu.serve.batcher import Batcher
from lingqu.serve.breaker import Breaker
from lingqu.serve.loaded import ERRORS, Loaded, share_of
from lingqu.serve.metrics import Metrics
from lingqu.serve.reply import Reply, Role, Served
from lingqu.serve.shadow import Record, Shadow
from lingqu.store.aliases import CHAMPION, PREVIOUS

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle
    from lingqu.spec.running import ServeSettings

CHALLENGER = "challenger"
PATIENT, SLACK = 3.0, 0.01
"""A challenger is slow where it takes three times what the champion should take for the same rows, and 10 ms."""
NEARLY = 0.9
"""What was computed for so much of the service's own deadline was computed too long; the rest of it may have been waited."""

log = logging.getLogger("lingqu.serve")


class Engine:
    """Answers for one name, by its champion unless asked otherwise.

    `fell_back` is called with the number of a champion whose circuit opened and of the version that stepped in, `gave_up`
    with that of a challenger whose circuit opened.
    """

    def __init__(self, name: str, current: Loaded, settings: ServeSettings, metrics: Metrics) -> None:
        self.name = name
        self.settings = settings
        self.metrics = metrics
        self.generation = 0
        """Counts the swaps."""
        self.refusals: dict[int, str] = {}
        """Versions that were refused, and why."""
        self.canary = settings.canary
        """The share of users whom the challenger answers; a rollout sets it step by step."""
        self.fell_back: Callable[[int, int, str], None] = lambda broken, instead, why: None
        self.gave_up: Callable[[int, str], None] = lambda challenger, why: None
        self._broke: set[int] = set()
        self._current = current
        self._roles: dict[str, Loaded] = {CHAMPION: current}
        self._batcher = Batcher(settings.queue, self._saw)
        self._shadow = Shadow(settings.shadow, self._shadowed)

    def start(self) -> None:
        """Begin to answer; call it inside the event loop."""
        self._batcher.start()
        self._shadow.start()
        self._tell_info(self._roles, loaded=True)

    def close(self) -> None:
        """End the threads."""
        self._batcher.close()
        self._shadow.close()

    # What is served

    @property
    def current(self) -> Served:
        """The version that answers those who ask for none."""
        return self._current.served

    def bundle(self, version: str | None = None) -> Bundle:
        """The bundle of the current version, or of one that is loaded; UnknownNameError when it is not."""
        return self._find(version).bundle

    def chosen(self, version: str | None, user: str | None) -> tuple[Served, Bundle]:
        """The version that a question of this user goes to now, and its bundle."""
        one, _ = self._choose(version, user)
        return one.served, one.bundle

    def versions(self) -> list[tuple[Served, list[str], str]]:
        """Every version that is loaded or was refused, its aliases, and its state: "ready", "broken" or "refused"."""
        found: dict[int | None, tuple[Served, list[str], str]] = {}
        for alias, one in self._roles.items():
            state = "broken" if one.broken or one.served.number in self._broke else "ready"
            found.setdefault(one.served.number, (one.served, [], state))[1].append(alias)
        refused = [(Served(self.name, number), [], "refused") for number in self.refusals if number not in found]
        return [*found.values(), *refused]

    @property
    def waiting(self) -> int:
        """How many requests wait for a thread."""
        return self._batcher.depth

    # Answering

    def turn_away(self) -> None:
        """OverloadError when any request would be refused, so that nobody reads its body first."""
        self._batcher.turn_away(self._roles.values())

    async def answer(
        self, rows: Rows, *, deadline: float, version: str | None = None, user: str | None = None
    ) -> Reply:
        """The answers to these rows from one version, before `deadline` (a time of the event loop).

        `version` is a number or an alias that is loaded; `user` keeps a user with the champion or with the canary.
        OverloadError when too many wait, DeadlineError when it took too long, UnknownNameError for another version,
        DataError when a column is missing from all rows. Cancelling it takes the rows out of the line.
        """
        chosen, role = self._choose(version, user)
        if role != "canary":
            return await self._ask(chosen, role, rows, deadline)
        try:
            return await self._ask(chosen, role, rows, deadline)
        except (RequestError, ServiceError):
            raise
        except Exception:
            # Nobody shall suffer from a trial: the champion answers instead. The breaker has heard of it.
            return await self._ask(self._current, "champion", rows, deadline)

    async def _ask(self, chosen: Loaded, role: Role, rows: Rows, deadline: float) -> Reply:
        loop = asyncio.get_running_loop()
        request = self._batcher.submit(chosen, rows, deadline - loop.time())
        timer = loop.call_at(deadline, self._expire, request)
        try:
            answers = await request.future
        except asyncio.CancelledError:
            self._batcher.leave(request)
            raise
        finally:
            timer.cancel()
        queued = max(0.0, request.begun - request.at)
        self.metrics.queued(self.name, queued)
        return Reply(answers, chosen.served, role, queued, request.seconds, request.own_seconds)

    def shadow(self, rows: Rows, record: Record) -> None:
        """Let the challenger answer these rows too, if there is one and nobody waits; `record` hears what it said."""
        challenger = self._roles.get(CHALLENGER)
        if challenger is None or challenger.broken or challenger is self._current or not self._shadow.drawn():
            return
        taken = self._batcher.idle and self._shadow.offer(challenger, rows, record)
        self.metrics.shadow(self.name, "computed" if taken else "dropped")

    def tick(self) -> bool:
        """What has to be looked at a few times a second; True when a thread is stuck for good."""
        self.metrics.depth(self.name, self._batcher.depth)
        return self._batcher.tick(self.settings.deadline_seconds)

    # Changing versions; `swap` calls these in the event loop, but for the first three, which only look

    @property
    def tries_challengers(self) -> bool:
        """Whether a challenger has anything to do here."""
        return self.settings.shadow > 0 or self.canary > 0

    def standing(self) -> dict[str, int]:
        """Role → the number of the version that has it."""
        return {role: one.served.number for role, one in [*self._roles.items()] if one.served.number is not None}

    def by_number(self) -> dict[int, Loaded]:
        """Every version in memory."""
        return {one.served.number: one for one in [*self._roles.values()] if one.served.number is not None}

    def install(self, roles: Mapping[str, Loaded], *, partly: bool = False) -> None:
        """Give roles to versions; what has none is freed once its last request is answered."""
        before = self._roles
        self._roles = {**(before if partly else {CHAMPION: self._current}), **roles}
        self._tell_info({role: one for role, one in before.items() if self._roles.get(role) is not one}, loaded=False)
        self._tell_info(self._roles, loaded=True)
        champion = self._roles[CHAMPION]
        if champion is not self._current:
            log.info("%s takes the place of %s", champion.served.reference, self._current.served.reference)
            self._current = champion
            champion.errors = Breaker(ERRORS)
            self.generation += 1
            self.metrics.swap(self.name, "done")
        self._find_witnesses(before.values())

    def refused(self, number: int, why: str) -> None:
        """A version must not be served."""
        self.refusals[number] = why
        self.metrics.swap(self.name, "refused")

    def broke(self, number: int) -> bool:
        """Whether this version was champion here and its circuit opened."""
        return number in self._broke

    def forgive(self, champion: int | None) -> None:
        """Those that are champion no more may be so again, once somebody promotes them anew."""
        self._broke.intersection_update({champion})

    # Inside

    def _find_witnesses(self, before: Iterable[Loaded]) -> None:
        """Give each version another one to be compared with; those that left hold none, or memory would fill up."""
        for one in before:
            one.witness = None
        for one in self._roles.values():
            other = self._roles.get(PREVIOUS) if one is self._current else self._current
            one.witness = other.bundle if other is not None and other is not one else None

    def _choose(self, version: str | None, user: str | None) -> tuple[Loaded, Role]:
        if version is not None:
            return self._find(version), "asked"
        challenger = self._roles.get(CHALLENGER)
        if user is None or challenger is None or challenger.broken or self.canary <= 0:
            return self._current, "champion"
        is_canary = share_of(user, self.name) < self.canary
        return (challenger, "canary") if is_canary else (self._current, "champion")

    def _find(self, version: str | None) -> Loaded:
        if version is None:
            return self._current
        known = {one.served.version: one for one in self._roles.values()} | self._roles
        if version not in known:
            expected = f"a version of {self.name} that is loaded"
            raise UnknownNameError(Problem(expected, repr(version[:100]), near(version, known, say="Loaded: {}.")))
        return known[version]

    def _expire(self, request: Request) -> None:
        self._batcher.leave(request)
        if request.future.done():
            return
        found = "none in time" if request.begun else "it still waiting"
        expected = f"an answer of {self.name} before the deadline"
        request.future.set_exception(DeadlineError(Problem(expected, found, "Try again, or ask for fewer rows.")))
        too_long = NEARLY * self.settings.deadline_seconds
        if isinstance(request.model, Loaded) and request.begun and time.monotonic() - request.begun >= too_long:
            # What waited too long tells of the load, and a shorter deadline of who set it; what was computed too long
            # tells of the model.
            self._judge(request.model, failed=True)

    def _saw(self, model: Model, rows: int, cost: float, seconds: float, error: BaseException | None) -> None:
        """Each batch, in the event loop."""
        if not isinstance(model, Loaded):
            return
        self.metrics.batch(model.served, rows, seconds, failed=error is not None)
        self._judge(model, failed=error is not None)
        usual = self._current.estimate.seconds(cost)
        if usual and model is self._roles.get(CHALLENGER) is not self._current and not model.slow.open:
            slow = seconds > PATIENT * usual + SLACK
            if model.slow.saw(failed=slow):
                self._told_broken(model, "slow")

    def _shadowed(self, challenger: Loaded, error: BaseException | None) -> None:
        self._judge(challenger, failed=error is not None)

    def _judge(self, model: Loaded, *, failed: bool) -> None:
        """Let the breaker of a version hear of a request; where its circuit opens, another version answers."""
        if model.errors.open or not model.errors.saw(failed=failed):
            return
        self._told_broken(model, "errors")
        instead, number = self._roles.get(PREVIOUS), model.served.number
        if model is self._current and instead is not None and not instead.broken and number is not None:
            self._broke.add(number)
            self.install({CHAMPION: instead}, partly=True)
            if instead.served.number is not None:
                self.fell_back(number, instead.served.number, "errors")

    def _told_broken(self, model: Loaded, reason: str) -> None:
        log.error("The circuit of %s opened (%s): it answers no more", model.served.reference, reason)
        self.metrics.rollback(self.name, reason)
        if model is self._roles.get(CHALLENGER) is not self._current and model.served.number is not None:
            self.gave_up(model.served.number, reason)

    def _tell_info(self, roles: Mapping[str, Loaded], *, loaded: bool) -> None:
        for role, one in roles.items():
            self.metrics.info(one.served, role, loaded=loaded)
