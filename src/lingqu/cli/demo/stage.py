"""The stage of the demo: the store, the people and whoever tells, and what several acts need of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lingqu.cli.demo.crowd import Crowd, Line, Person, Scene
from lingqu.cli.demo.told import Event, share_of
from lingqu.cli.demo.world import Album, World
from lingqu.errors import Problem, WorkError
from lingqu.feedback.add import add_labels
from lingqu.feedback.queue import audit_queue
from lingqu.loop import check
from lingqu.monitor import Status, status
from lingqu.registry import Registry
from lingqu.spec import Spec
from lingqu.store import Store

REVIEWER = "reviewer"
ANGLE = 25.0
BUSY, CALM = 150.0, 40.0
"""Requests a second."""
AFTERWARDS = 300
PATIENCE_SECONDS, LOOK_SECONDS = 60.0, 0.4

Live = Callable[[float, str], None]


class Teller(Protocol):
    """Who shows acts while they are played, and what came of them."""

    def begin(self, act: str) -> Live:
        """An act begins; what is given is called with how far it is and a few words."""
        ...

    def happened(self, event: Event) -> None:
        """An act has ended."""


@dataclass(slots=True, eq=False)
class Stage:
    """Where a story is played; `began` is the moment of time.monotonic() from which its seconds count."""

    spec_file: Path
    store: Store
    world: World
    teller: Teller
    began: float
    events: list[Event] = field(default_factory=list)
    people: list[Person] = field(default_factory=list)
    line: Line | None = None
    found: Crowd | None = None

    @property
    def spec(self) -> Spec:
        """What is wanted, as the file says it."""
        return check(self.spec_file)

    @property
    def crowd(self) -> Crowd:
        """The people, once there is a service to ask."""
        assert self.found is not None
        return self.found

    @property
    def name(self) -> str:
        """The model's name."""
        return "digits"

    def happened(self, act: str, template: str, numbers: dict[str, Any] | None = None, **values: Any) -> Event:
        """Keep and tell what came of an act."""
        given = {name: value if isinstance(value, str) else f"{value:,}" for name, value in values.items()}
        event = Event(time.monotonic() - self.began, act, template, given, numbers or {})
        self.events.append(event)
        self.teller.happened(event)
        return event

    def scene_is(self, album: Album, angle: float, rate: float, telling: float = 0.0) -> int:
        """The crowd does this from now on; how many answers there were before."""
        self.crowd.scene = Scene(album, angle, rate, telling)
        return len(self.crowd.answered)

    def answered(self, begin: int) -> int:
        """How many answers there were since there were so many."""
        return len(self.crowd.answered) - begin

    def by(self, version: int, begin: int) -> int:
        """How many of them a version gave."""
        return sum(one.version == version for one in self.crowd.answered[begin:])

    def pulse(self) -> str:
        """How it goes, in a few words."""
        last = share_of(self.crowd.answered[-60:])
        return "" if last is None else f"{len(self.crowd.answered):,} · {percent(last.value)}"

    def until(
        self, so: Callable[[], bool], live: Live, begin: int, most: int, count: Callable[[], int] | None = None
    ) -> None:
        """Wait for something; WorkError when it does not come."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not so():
            if time.monotonic() > deadline or (self.crowd.failures and not self.crowd.answered):
                raise unseen("the world to go on")
            live(min(1.0, (count() if count else self.answered(begin)) / most), self.pulse())
            time.sleep(0.05)

    def until_seen(self, so: Callable[[Status], bool], live: Live, begin: int = 0) -> Status:
        """Look at the champion until its status is so."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            seen = status(self.name, store=self.store, settings=self.spec.monitor)
            if so(seen):
                return seen
            if time.monotonic() > deadline:
                raise unseen("the monitor to see it")
            live(min(1.0, self.answered(begin) / (3 * seen.size)), self.pulse())
            time.sleep(LOOK_SECONDS)

    def label_audit(self) -> int:
        """What a trusted reviewer does with `lingqu feedback queue --audit`: labels for what was drawn, unseen the answers."""
        share = self.spec.monitor.audit
        items = audit_queue(self.store, self.name, share, most=100_000)
        known = [one for one in items if one.prediction_id in self.crowd.truths]
        rows = [{"prediction_id": one.prediction_id, "label": self.crowd.truths[one.prediction_id]} for one in known]
        if not rows:
            return 0
        return add_labels(self.store, self.name, rows, who=REVIEWER, target="label", audit_share=share).taken

    def joined(self) -> set[str]:
        """The ids of the voices that the newest round learned from."""
        rounds = [event for event in Registry(self.store).history(self.name) if event.action == "improve"]
        return set(rounds[-1].evidence["joined"]) if rounds else set()


def percent(share: float) -> str:
    """A share as people read it.

    >>> percent(0.9623)
    '96 %'
    """
    return f"{100 * share:.0f} %"


def telling(live: Live) -> Callable[[str, float, str], None]:
    """What the stages of a run say, in the line of an act."""
    return lambda stage, done, words: live(done, f"{stage} {words}")


def unseen(expected: str, found: str = "") -> WorkError:
    """The error of a story that cannot go on."""
    advice = "Look at .lingqu in the demo's folder; `lingqu demo --again` plays it anew."
    return WorkError(Problem(expected, found or f"nothing of it within {PATIENCE_SECONDS:.0f} s", advice))
