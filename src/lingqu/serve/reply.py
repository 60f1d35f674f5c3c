"""What an engine answers: which version it was, in which role, and how long it took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lingqu.contract import Answer

Role = Literal["champion", "canary", "asked", "shadow"]


@dataclass(frozen=True, slots=True)
class Served:
    """A version that is loaded; `number` is None and `bundle` empty for a bundle folder that no registry knows.

    >>> Served("ticket-router", 3, "ab12").reference, Served("folder").reference
    ('ticket-router@3', 'folder')
    """

    name: str
    number: int | None = None
    bundle: str = ""
    """Digest of the bundle's folder in the store."""

    @property
    def reference(self) -> str:
        """How to ask for it."""
        return self.name if self.number is None else f"{self.name}@{self.number}"

    @property
    def version(self) -> str:
        """The version in the words of protocols: its number, or "1" where there is none."""
        return str(1 if self.number is None else self.number)


@dataclass(frozen=True, slots=True)
class Reply:
    """The answers to the rows of one request, all of them from one version.

    `answers` holds one a row, in order; a row that breaks the contract has a Refusal. `queue_seconds` is how long the
    request waited before its first row was computed, `compute_seconds` how long the batches took that held its rows.
    Others had rows in them too: `own_seconds` is the part that its own rows took, and what is charged.
    """

    answers: list[Answer]
    version: Served
    role: Role
    queue_seconds: float
    compute_seconds: float
    own_seconds: float = 0.0
