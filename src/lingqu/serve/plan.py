"""What a supervisor tells its workers: which models, from which store, under which settings; one line of JSON.

>>> plan = Plan(models=["kinds"], home="/srv/.lingqu", settings={"port": 8000}, workers=2)
>>> Plan.read(plan.line()) == plan
True
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from lingqu.bundle.threads import threads_asked

if TYPE_CHECKING:
    from lingqu.spec.running import ServeSettings

BACKLOG = 2048
"""Connections that may wait on the port until a worker takes them."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Plain values only.

    `patience` is how many seconds a worker may take to stop; `home` is the folder of the store, or nothing where only bundle folders are served; in the folder `shared` the workers
    tell each other what they found of a bundle.
    """

    models: list[str]
    home: str | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    workers: int = 1
    keys_required: bool = False
    shared: str | None = None
    patience: float = 18.0

    def line(self) -> str:
        """The plan in one line."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def read(cls, line: str) -> Plan:
        """The plan that a line holds."""
        return cls(**json.loads(line))


def threads(workers: int) -> int:
    """Threads of ONNX Runtime in each worker: all processors, shared out.

    >>> threads(1000)
    1
    """
    return max(1, cores() // workers)


def threads_given(workers: int) -> str:
    """The same for the environment of a worker, where OMP_NUM_THREADS may ask for less."""
    most = threads(workers)
    return str(min(most, threads_asked() or most))


def plain(settings: ServeSettings) -> dict[str, Any]:
    """Checked settings as a plan holds them, with what follows from them.

    >>> from lingqu.spec.running import ServeSettings
    >>> found = checked(plain(ServeSettings(deadline="2 s")))
    >>> found.port, found.deadline_seconds, found.journal.keep_seconds
    (8000, 2.0, 2592000.0)
    """
    journal = settings.journal.model_dump() | {"keep_seconds": settings.journal.keep_seconds}
    seconds = {"deadline_seconds": settings.deadline_seconds, "drain_seconds": settings.drain_seconds}
    return settings.model_dump() | seconds | {"journal": journal}


def checked(values: Mapping[str, Any]) -> ServeSettings:
    """The settings that a plan holds; whoever made the plan has checked them, so the library that does is not loaded."""
    return cast("Any", SimpleNamespace(**{**values, "journal": SimpleNamespace(**values["journal"])}))


def cores() -> int:
    """How many processors this process may use.

    >>> cores() >= 1
    True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
