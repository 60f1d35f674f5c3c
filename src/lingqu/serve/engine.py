"""One model name that answers: which version a request gets, its batches, its deadline.

A request keeps the version that it was given when it came, whatever is swapped meanwhile; so a reply never mixes two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lingqu.contract import Rows
from lingqu.errors import DeadlineError, NotReadyError, Problem, UnknownNameError, near
from lingqu.serve.batcher import Batcher, Model, Request
from lingqu.serve.cost import Estimate
from lingqu.serve.metrics import Metrics
from lingqu.serve.reply import Reply, Role, Served
from lingqu.store.history import CHAMPION

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle
    from lingqu.spec.settings import ServeSettings


@dataclass(eq=False, slots=True)
class Loaded:
    """A version in memory."""

    served: Served
    bundle: Bundle
    estimate: Estimate = field(default_factory=Estimate)


class Engine:
    """Answers for one name, by its champion unless asked otherwise."""

    def __init__(self, name: str, current: Loaded, settings: ServeSettings, metrics: Metrics) -> None:
        self.name = name
        self.settings = settings
        self.metrics = metrics
        self.generation = 0
        """Counts the swaps."""
        self._current = current
        self._loaded: dict[str, Loaded] = {CHAMPION: current}
        self._batcher = Batcher(settings.queue, self._saw)

    def start(self) -> None:
        """Begin to answer; call it inside the event loop."""
        self._batcher.start()

    def close(self) -> None:
        """End the threads."""
        self._batcher.close()

    @property
    def current(self) -> Served:
        """The version that answers those who ask for none."""
        return self._current.served

    def bundle(self, version: str | None = None) -> Bundle:
        """The bundle of the current version, or of one that is loaded; UnknownNameError when it is not."""
        return self._find(version).bundle

    def versions(self) -> list[tuple[Served, list[str], str]]:
        """Every version that is loaded, its aliases, and its state: "ready"."""
        found: dict[str, tuple[Served, list[str], str]] = {}
        for alias, loaded in self._loaded.items():
            found.setdefault(loaded.served.reference, (loaded.served, [], "ready"))[1].append(alias)
        return list(found.values())

    async def answer(
        self, rows: Rows, *, deadline: float, version: str | None = None, user: str | None = None
    ) -> Reply:
        """The answers to these rows from one version, before `deadline` (a time of the event loop).

        `version` is a number or an alias that is loaded; `user` keeps a user with the champion or with the canary.
        OverloadError when too many wait, DeadlineError when it took too long, UnknownNameError for another version,
        DataError when a column is missing from all rows. Cancelling it takes the rows out of the line.
        """
        loop = asyncio.get_running_loop()
        chosen, role = self._choose(version, user)
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
        return Reply(answers, chosen.served, role, queued, request.seconds)

    def tick(self) -> bool:
        """What has to be looked at a few times a second; True when a thread is stuck for good."""
        self.metrics.depth(self.name, self._batcher.depth)
        return self._batcher.tick(self.settings.deadline_seconds)

    def _expire(self, request: Request) -> None:
        self._batcher.leave(request)
        if not request.future.done():
            found = "none in time" if request.begun else "it still waiting"
            expected = f"an answer of {self.name} before the deadline"
            request.future.set_exception(DeadlineError(Problem(expected, found, "Try again, or ask for fewer rows.")))

    def _choose(self, version: str | None, user: str | None) -> tuple[Loaded, Role]:
        return (self._current, "champion") if version is None else (self._find(version), "asked")

    def _find(self, version: str | None) -> Loaded:
        if version is None:
            return self._current
        known: Mapping[str, Loaded] = {loaded.served.version: loaded for loaded in self._loaded.values()} | self._loaded
        if version not in known:
            expected = f"a version of {self.name} that is loaded"
            raise UnknownNameError(Problem(expected, repr(version[:100]), near(version, known, say="Loaded: {}.")))
        return known[version]

    def _saw(self, model: Model, rows: int, seconds: float, error: BaseException | None) -> None:
        """Each batch, in the event loop."""
        if isinstance(model, Loaded):
            self.metrics.batch(model.served, rows, seconds, failed=error is not None)


def not_ready(name: str) -> NotReadyError:
    """What is told of a model that is not loaded yet."""
    return NotReadyError(Problem(f"the model {name} to be loaded", "it loading", "Try again in a second."))


def state_of(engine: Engine) -> dict[str, Any]:
    """An engine in JSON values, for probes and the list of models."""
    return {
        "name": engine.name,
        "version": engine.current.version,
        "versions": [{"version": s.version, "aliases": a, "state": state} for s, a, state in engine.versions()],
    }
