"""Models that change while they answer: the registry is looked at four times a second, and its aliases obeyed.

A new version is tried in a process of its own, loaded, asked its golden rows, and only then put in the old one's place, by one
assignment in the event loop; requests that came before keep the version they were given. A bundle that is at fault is
refused, told, and not tried again until the alias moves; where the machine is in trouble, it is tried again after a
pause. The version before goes on. `previous` stays loaded, so that a rollback is that assignment alone.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from lingqu.bundle.read import Bundle
from lingqu.errors import BundleError, ConflictError, LingquError, Problem, StoreError
from lingqu.registry import Registry, Version, rollouts
from lingqu.registry.brake import frozen
from lingqu.registry.versions import Reference
from lingqu.serve.loaded import Loaded
from lingqu.serve.opening import Source, warm
from lingqu.serve.reply import Served
from lingqu.serve.trial import kept, refuse, verdict
from lingqu.store.aliases import CHAMPION, PREVIOUS

if TYPE_CHECKING:
    from lingqu.serve.engine import Engine
    from lingqu.store import Store

POLL = 0.25
CHALLENGER = "challenger"
FOLLOWED = (CHAMPION, PREVIOUS, CHALLENGER)
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds until a version is tried again that the machine had no room, memory or file for; they double each time."""

log = logging.getLogger("lingqu.serve")


def open_first(reference: str | Path, store: Store, shared: Path | None = None) -> tuple[Source, Loaded]:
    """What a reference to a store means now, loaded and warm; BundleError when it must not be served.

    Where a champion cannot be loaded, or a worker beside this one has refused it, the version before it steps in.
    """
    wanted, registry = Reference.read(str(reference)), Registry(store)
    source = Source(wanted.name, None if wanted.number is not None else wanted.alias)
    version = registry.get(str(reference))
    try:
        folder = store.folder_path(version.bundle, verify=False)
        if shared is not None:
            refuse(kept(folder, shared, younger_than=float("inf")))
        return source, warm(served(version), Bundle.open(folder))
    except LingquError as error:
        before = registry.alias(wanted.name, PREVIOUS)
        if source.follows != CHAMPION or before is None:
            raise
        earlier = registry.get(f"{wanted.name}@{before[0]}")
        log.error("%s cannot be served, %s steps in: %s", version.reference, earlier.reference, error)
        return source, warm(served(earlier), Bundle.open(store.folder_path(earlier.bundle, verify=False)))


def served(version: Version) -> Served:
    """A registered version as replies name it."""
    return Served(version.name, version.number, version.bundle)


class Follower:
    """A thread that keeps engines at what the registry says. `apply` runs its argument in the event loop."""

    def __init__(
        self, store: Store, engines: Mapping[str, Engine], sources: Mapping[str, Source], shared: Path | None = None
    ) -> None:
        self.store = store
        self.shared = shared
        self.engines = {name: engine for name, engine in engines.items() if sources[name].follows}
        self.sources = sources
        self._shut: dict[tuple[str, int], tuple[float, float]] = {}
        """Versions that are not tried before a moment, which for those refused never comes, and the pause until then."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="registry", daemon=True)
        self._down = False
        self._fallen: deque[tuple[str, int, int, str]] = deque()
        self._given_up: deque[tuple[str, int, str]] = deque()
        for name, engine in self.engines.items():
            engine.fell_back = partial(self._fell_back, name)
            engine.gave_up = partial(self._gave_up, name)

    def start(self) -> None:
        """Begin to look, inside the event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def close(self) -> None:
        """Look no more."""
        self._stop.set()

    def _fell_back(self, name: str, broken: int, instead: int, why: str) -> None:
        """Keep in mind, in the event loop, that a champion's circuit opened; the thread tells the registry."""
        self._fallen.append((name, broken, instead, why))

    def _roll_back(self, registry: Registry) -> None:
        """Let the registry say what is so: then every worker follows, and people find it in the history."""
        while self._fallen:
            name, broken, instead, why = self._fallen[0]
            leads, epoch = registry.alias(name, CHAMPION) or (None, 0)
            if leads == broken:
                reason = f"the circuit breaker of the service opened ({why})"
                with suppress(ConflictError):
                    registry.rollback(name, to=instead, who="lingqu", why=reason, expect_epoch=epoch)
            self._fallen.popleft()

    def _gave_up(self, name: str, challenger: int, why: str) -> None:
        """Keep in mind, in the event loop, that a challenger's circuit opened; the thread tells the registry."""
        self._given_up.append((name, challenger, f"the circuit breaker of the service opened ({why})"))

    def _drop(self) -> None:
        """End the rollout of a challenger that broke or cannot be served; another worker, or a person, may have been quicker."""
        while self._given_up:
            name, challenger, why = self._given_up[0]
            standing = rollouts.rollout(self.store, name)
            if standing is not None and standing.version == challenger:
                with suppress(ConflictError):
                    rollouts.drop(self.store, standing, who="lingqu", why=why)
            self._given_up.popleft()

    def _share(self, name: str, engine: Engine, aliases: Mapping[str, int]) -> float:
        """The share of users whom the challenger answers: that of its rollout, nobody while the brake is pulled."""
        unseen = aliases.get(CHALLENGER, aliases.get(rollouts.DEMOTED))
        standing = rollouts.rollout(self.store, name) if unseen is not None else None
        if standing is None:
            return engine.settings.canary
        led_by = aliases.get(CHAMPION) == standing.against and unseen == standing.version
        return standing.share if led_by and not frozen(self.store, name) else 0.0

    def _run(self) -> None:
        registry = Registry(self.store)
        while not self._stop.is_set():
            for name, engine in self.engines.items():
                try:
                    self._roll_back(registry)
                    self._drop()
                    self.look(registry, name, engine)
                    self._down = False
                except Exception as error:  # whatever goes wrong here must not end the thread, or no swap would come
                    # A database that is down changes nothing of what is in memory; it is told once.
                    if not self._down:
                        log.error("The registry cannot be read, %s goes on as it is: %s", name, error)
                    self._down = True
            self._stop.wait(POLL)

    def look(self, registry: Registry, name: str, engine: Engine) -> None:
        """Bring one engine to what the registry says now."""
        aliases = registry.aliases(name)
        engine.canary = self._share(name, engine, aliases)
        wanted = self._wanted(name, engine, aliases)
        if wanted == engine.standing():
            return
        loaded = engine.by_number()
        for role, number in wanted.items():
            if number not in loaded and (found := self._load(registry, name, engine, number)) is not None:
                loaded[number] = found
            if role == CHAMPION:
                # The champion is put in place before the others are loaded, which may take a while.
                self._install(engine, {role: loaded[number]} if number in loaded else {}, partly=True)
        self._install(engine, {role: loaded[number] for role, number in wanted.items() if number in loaded})
        del loaded
        free_memory()

    def _wanted(self, name: str, engine: Engine, aliases: Mapping[str, int]) -> dict[str, int]:
        """Role → the version that should have it; a champion that was refused leaves the one there is."""
        answers_by = self.sources[name].follows or CHAMPION
        wanted: dict[str, int] = {}
        now = engine.current.number
        first = aliases.get(answers_by)
        if first is None or self._is_shut(name, first) or engine.broke(first):
            first = now
        if first is not None:
            wanted[CHAMPION] = first
        if answers_by == CHAMPION:
            others = (PREVIOUS, CHALLENGER) if engine.tries_challengers else (PREVIOUS,)
            for role in others:
                number = aliases.get(role)
                if role == CHALLENGER and number is None:
                    # After a rollback: whether that version was at fault shows on the same rows.
                    number = aliases.get(rollouts.DEMOTED)
                if number is not None and not self._is_shut(name, number):
                    wanted[role] = number
        # What is refused may be tried again once nothing points to it any more.
        for key in [key for key in self._shut if key[0] == name and key[1] not in aliases.values()]:
            del self._shut[key]
            engine.refusals.pop(key[1], None)
        engine.forgive(aliases.get(answers_by))
        return wanted

    def _is_shut(self, name: str, number: int) -> bool:
        return (name, number) in self._shut and time.monotonic() < self._shut[name, number][0]

    def _load(self, registry: Registry, name: str, engine: Engine, number: int) -> Loaded | None:
        """A version, tried and warm; None when it was refused, or has to be tried again."""
        try:
            loaded = self._tried(engine, registry.get(f"{name}@{number}"))
        except BundleError as error:
            self._shut[name, number] = float("inf"), LONGEST_PAUSE
            log.error("%s@%d is refused, %s goes on: %s", name, number, engine.current.reference, error)
            self._tell(engine.refused, number, str(error))
            self._given_up.append((name, number, f"the service refuses it: {' '.join(str(error).split())}"))
        except (LingquError, MemoryError, OSError) as error:
            # This tells of the machine, and the next moment may be better.
            if (name, number) not in self._shut:
                now = engine.current.reference
                log.error("%s@%d is tried again until it can be loaded, %s goes on: %s", name, number, now, error)
            pause = min(LONGEST_PAUSE, 2 * self._shut.get((name, number), (0.0, FIRST_PAUSE / 2))[1])
            self._shut[name, number] = time.monotonic() + pause, pause
        else:
            self._shut.pop((name, number), None)
            return loaded
        return None

    def _tried(self, engine: Engine, version: Version) -> Loaded:
        try:
            folder = self.store.folder_path(version.bundle, verify=False)
        except StoreError as error:
            # Nothing but a bundle that is gone.
            raise BundleError(error.problems) from error
        deadline = engine.settings.deadline_seconds
        found = verdict(folder, self.shared, measured_ms=self._measured(version), deadline=deadline)
        _same_question(found, engine)
        return warm(served(version), Bundle.open(folder))

    def _measured(self, version: Version) -> float | None:
        """The milliseconds of one answer that the report of this version tells, if there is one."""
        with suppress(LingquError, KeyError, TypeError, ValueError):
            return float(self.store.get_json(version.lineage["report"])["latency"]["p95_ms"])
        return None

    def _install(self, engine: Engine, roles: Mapping[str, Loaded], *, partly: bool = False) -> None:
        """Put versions in place, in the event loop, and wait until that is done."""
        done = threading.Event()

        def place() -> None:
            engine.install(roles, partly=partly)
            done.set()

        self._tell(place)
        done.wait(5.0)

    def _tell(self, what: Callable[..., None], *arguments: object) -> None:
        if self._loop is not None and not self._stop.is_set():
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(what, *arguments)


def _same_question(found: Mapping[str, str], engine: Engine) -> None:
    """BundleError when a version answers another question than the one in place: clients would not understand it."""
    now = engine.bundle()
    for what, is_now in (("task", now.task.name), ("answer", now.manifest["answer"])):
        if found[what] != is_now:
            expected = f"the {what} {is_now!r} that {engine.current.reference} has"
            raise BundleError(Problem(expected, repr(found[what]), "Serve it under another name."))


def free_memory() -> None:
    """Give memory that nobody uses back to the system, as far as the C library can."""
    is_frozen = gc.get_freeze_count() > 0
    # A version that has left may be a part of what was frozen when the service began.
    gc.unfreeze()
    gc.collect()
    if is_frozen:
        gc.freeze()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)
