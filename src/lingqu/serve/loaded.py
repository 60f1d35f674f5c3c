"""A version in memory, and how it has behaved since it came."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

from lingqu.serve.breaker import Breaker
from lingqu.serve.cost import Estimate
from lingqu.serve.reply import Served

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle

ERRORS, SLOW = 0.01, 0.1
"""A version may fail in one of a hundred requests, and a challenger may be slow in one of ten, before its circuit opens."""


@dataclass(eq=False, slots=True)
class Loaded:
    """A version in memory: its bundle, what its batches cost, and its circuit breakers."""

    served: Served
    bundle: Bundle
    estimate: Estimate = field(default_factory=Estimate)
    effort: Estimate = field(default_factory=Estimate)
    """As `estimate`, in seconds of the processor: what a batch costs however busy the machine is."""
    errors: Breaker = field(default_factory=lambda: Breaker(ERRORS))
    slow: Breaker = field(default_factory=lambda: Breaker(SLOW))
    witness: Bundle | None = None
    """Another version, which tells whether a row is at fault at which this one fails."""

    @property
    def broken(self) -> str:
        """Why nobody should be answered by it any more: "errors" or "slow"; nothing while all is well."""
        return "errors" if self.errors.open else "slow" if self.slow.open else ""


def share_of(user: str, name: str) -> float:
    """Where a user stands between 0 and 1, always at the same place for one model.

    >>> share_of("anna", "kinds") == share_of("anna", "kinds"), 0 <= share_of("anna", "kinds") < 1
    (True, True)
    """
    digest = blake2b(f"{name}\0{user}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
