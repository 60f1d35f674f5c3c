"""What a supervisor tells its workers: which models, from which store, under which settings; one line of JSON.

>>> plan = Plan(models=["kinds"], home="/srv/.lingqu", settings={"port": 8000}, workers=2)
>>> Plan.read(plan.line()) == plan
True
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from typing import Any


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


def cores() -> int:
    """How many processors this process may use.

    >>> cores() >= 1
    True
    """
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
