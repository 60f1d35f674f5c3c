"""A registered version, and the ways to say which one is meant.

>>> Reference.read("ticket-router@3")
Reference(name='ticket-router', alias=None, number=3)
>>> Reference.read("ticket-router").alias
'champion'
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lingqu.bundle.notebook import card, verdict
from lingqu.errors import Problem, UnknownNameError
from lingqu.registry.names import check_name
from lingqu.store.history import CHAMPION

LATEST = "latest"
_NUMBER = re.compile(r"[vV]?([0-9]{1,9})")
JSON_FIELDS = ("metrics", "decision", "lineage", "spec")


@dataclass(frozen=True, slots=True)
class Version:
    """One registered version of a model; nothing in it ever changes, unless somebody in it asks to be forgotten."""

    name: str
    number: int
    bundle: str
    """Digest of the bundle's folder in the store."""
    data_version: str
    run: str
    task: str
    metrics: dict[str, Any]
    decision: dict[str, Any]
    lineage: dict[str, Any]
    spec: dict[str, Any]
    at: str

    @property
    def reference(self) -> str:
        """How to ask for it: `name@3`."""
        return f"{self.name}@{self.number}"

    def _repr_html_(self) -> str:
        """How it shows itself in a notebook."""
        facts = {"task": self.task, "gate": verdict(self.decision), "registered": self.at}
        return card(self.reference, facts, self.metrics)

    def to_json(self) -> dict[str, Any]:
        """The version as JSON values."""
        return asdict(self)

    @classmethod
    def of_row(cls, row: Mapping[Any, Any]) -> Version:
        """The version that a row of the database holds."""
        return cls(**{key: json.loads(value) if key in JSON_FIELDS else value for key, value in row.items()})


@dataclass(frozen=True, slots=True)
class Reference:
    """What `name`, `name@alias` and `name@number` ask for."""

    name: str
    alias: str | None
    number: int | None

    @classmethod
    def read(cls, text: str) -> Reference:
        """Read a reference; without anything behind the name it is the champion.

        >>> Reference.read("ticket-router@")
        Traceback (most recent call last):
        lingqu.errors.UnknownNameError: Expected name, name@alias or name@number, found 'ticket-router@'. See: lingqu versions
        """
        name, at, rest = text.partition("@")
        check_name(name)
        if at and not rest:
            raise UnknownNameError(Problem("name, name@alias or name@number", repr(text), "See: lingqu versions"))
        if match := _NUMBER.fullmatch(rest):
            return cls(name, None, int(match[1]))
        return cls(name, rest or CHAMPION, None)
