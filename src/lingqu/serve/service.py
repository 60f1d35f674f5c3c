"""What routes call: the engines of every model that is served, and who keeps keys, answers and feedback."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lingqu.errors import Problem, RequestError, UnknownNameError, near
from lingqu.serve.engine import Engine
from lingqu.serve.metrics import Metrics
from lingqu.serve.probes import State
from lingqu.serve.reference import open_reference
from lingqu.serve.reply import Reply, Served

if TYPE_CHECKING:
    from lingqu.serve.inbox import Inbox
    from lingqu.serve.journal import Journal
    from lingqu.serve.keys import Keys
    from lingqu.serve.loaded import Loaded
    from lingqu.serve.opening import Source
    from lingqu.serve.swap import Follower
    from lingqu.spec.running import ServeSettings
    from lingqu.store import Store

__all__ = ["Engine", "Reply", "Served", "Service"]

TICK = 0.1


class Service:
    """Everything that one worker process serves; `async with` it to answer.

    `state` is "loading", "ready" or "draining"; `stuck` is true once a model has hung a thread.
    """

    def __init__(
        self,
        engines: Iterable[Engine],
        settings: ServeSettings,
        metrics: Metrics,
        store: Store | None = None,
        follower: Follower | None = None,
        *,
        keys_required: bool = False,
    ) -> None:
        self.engines = {engine.name: engine for engine in engines}
        self.settings = settings
        self.metrics = metrics
        self.state: State = "loading"
        self.stuck = False
        self.store = store
        self.keys: Keys | None = None
        self.journal: Journal | None = None
        self.inbox: Inbox | None = None
        if store is not None:
            self._keep_books(store, keys_required=keys_required)
        self._follower = follower
        self._ticking: asyncio.Task[None] | None = None

    @classmethod
    def load(
        cls,
        references: Iterable[str | Path],
        *,
        settings: ServeSettings,
        store: Store | None = None,
        shared: Path | None = None,
        keys_required: bool = False,
    ) -> Service:
        """The models that these references mean, loaded: bundle folders, or `name`, `name@alias`, `name@3` of the store.

        `shared` is a folder in which several processes of one service tell each other what they found of a bundle.
        """
        opened = [open_reference(reference, store, shared) for reference in references]
        return cls.of(opened, settings=settings, store=store, shared=shared, keys_required=keys_required)

    @classmethod
    def of(
        cls,
        opened: Iterable[tuple[Source, Loaded]],
        *,
        settings: ServeSettings,
        store: Store | None = None,
        shared: Path | None = None,
        keys_required: bool = False,
    ) -> Service:
        """As `load`, of models that are loaded already; RequestError where two have one name."""
        metrics = Metrics()
        engines: dict[str, Engine] = {}
        sources: dict[str, Source] = {}
        for source, loaded in opened:
            if source.name in engines:
                found = f"{source.name} twice"
                raise RequestError(Problem("each model once", found, "Other versions are reached by their number."))
            engines[source.name] = Engine(source.name, loaded, settings, metrics)
            sources[source.name] = source
        follower = None
        if store is not None:
            from lingqu.serve.swap import Follower

            follower = Follower(store, engines, sources, shared)
        return cls(engines.values(), settings, metrics, store, follower, keys_required=keys_required)

    def _keep_books(self, store: Store, *, keys_required: bool) -> None:
        """Keys, journal and inbox; they need the database, which a folder alone is served without."""
        from lingqu.serve.inbox import Inbox
        from lingqu.serve.journal import Journal
        from lingqu.serve.keys import Keys
        from lingqu.spec.tariff import Price

        price = Price.parse(self.settings.price) if self.settings.price else None
        self.keys = Keys(store, keys_required, price=price)
        self.journal = Journal(store, self.settings.journal)
        self.inbox = Inbox(store, self.settings)

    def engine(self, name: str) -> Engine:
        """The engine of this name; UnknownNameError with the nearest one."""
        if name not in self.engines:
            raise UnknownNameError(Problem("a model that is served here", repr(name[:100]), near(name, self.engines)))
        return self.engines[name]

    async def start(self) -> None:
        """Begin to answer, inside the event loop."""
        if self.keys is not None:
            self.keys.start()
        if self.journal is not None:
            self.journal.start()
        for engine in self.engines.values():
            engine.start()
        if self._follower is not None:
            self._follower.start()
        self._ticking = asyncio.create_task(self._tick())
        self.state = "ready"

    async def close(self) -> None:
        """Stop: threads end after their batch, what is journaled is written."""
        self.state = "draining"
        if self._follower is not None:
            self._follower.close()
        if self._ticking is not None:
            self._ticking.cancel()
            # However it ended: what follows is what a graceful stop owes.
            await asyncio.wait((self._ticking,))
        for engine in self.engines.values():
            engine.close()
        for books in (self.journal, self.keys):
            if books is not None:
                await asyncio.to_thread(books.close)
        with suppress(OSError):
            self.metrics.flush()

    async def __aenter__(self) -> Service:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _tick(self) -> None:
        while True:
            for engine in self.engines.values():
                self.stuck |= engine.tick()
            # A full disk may cost numbers; who looks after the threads goes on.
            with suppress(OSError):
                if self.journal is not None:
                    self.metrics.journal(self.journal.written, self.journal.lost)
                self.metrics.flush()
            await asyncio.sleep(TICK)
