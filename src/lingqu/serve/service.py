"""What routes call: the engines of every model that is served, and who keeps keys, answers and feedback."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lingqu.errors import Problem, UnknownNameError, near
from lingqu.serve.engine import Engine, Loaded
from lingqu.serve.metrics import Metrics
from lingqu.serve.probes import State
from lingqu.serve.reply import Reply, Served

if TYPE_CHECKING:
    from lingqu.spec.settings import ServeSettings
    from lingqu.store import Store

__all__ = ["Engine", "Reply", "Served", "Service"]

TICK = 0.1


class Service:
    """Everything that one worker process serves; `async with` it to answer.

    `state` is "loading", "ready" or "draining"; `stuck` is true once a model has hung a thread.
    """

    def __init__(
        self, engines: Iterable[Engine], settings: ServeSettings, metrics: Metrics, store: Store | None
    ) -> None:
        self.engines = {engine.name: engine for engine in engines}
        self.settings = settings
        self.metrics = metrics
        self.store = store
        self.state: State = "loading"
        self.stuck = False
        self.keys: Any = None
        self.journal: Any = None
        self.inbox: Any = None
        self._ticking: asyncio.Task[None] | None = None

    @classmethod
    def load(cls, references: Iterable[str | Path], *, settings: ServeSettings, store: Store | None = None) -> Service:
        """The models that these references mean, loaded: bundle folders, or `name`, `name@alias`, `name@3` of the store."""
        metrics = Metrics()
        engines = [Engine(loaded.served.name, loaded, settings, metrics) for loaded in map(_opener(store), references)]
        return cls(engines, settings, metrics, store)

    def engine(self, name: str) -> Engine:
        """The engine of this name; UnknownNameError with the nearest one."""
        if name not in self.engines:
            raise UnknownNameError(Problem("a model that is served here", repr(name[:100]), near(name, self.engines)))
        return self.engines[name]

    async def start(self) -> None:
        """Begin to answer, inside the event loop."""
        for engine in self.engines.values():
            engine.start()
        self._ticking = asyncio.create_task(self._tick())
        self.state = "ready"

    async def close(self) -> None:
        """Stop: threads end after their batch, what is journaled is written."""
        self.state = "draining"
        if self._ticking is not None:
            self._ticking.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticking
        for engine in self.engines.values():
            engine.close()

    async def __aenter__(self) -> Service:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _tick(self) -> None:
        while True:
            for engine in self.engines.values():
                self.stuck |= engine.tick()
            await asyncio.sleep(TICK)


def _opener(store: Store | None) -> Any:
    from lingqu.bundle.read import Bundle
    from lingqu.bundle.trust import MANIFEST
    from lingqu.registry import Registry

    def opened(reference: str | Path) -> Loaded:
        if (Path(reference) / MANIFEST).is_file():
            bundle = Bundle.open(reference)
            return Loaded(Served(str(bundle.manifest.get("name") or Path(reference).resolve().name)), bundle)
        if store is None:
            raise UnknownNameError(Problem("a bundle folder", repr(str(reference)), "Give a store to serve names of."))
        version = Registry(store).get(str(reference))
        bundle = Bundle.open(store.folder_path(version.bundle, verify=False))
        return Loaded(Served(version.name, version.number, version.bundle), bundle)

    return opened
