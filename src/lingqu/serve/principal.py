"""Who calls: a key, or whoever reaches a service that is open on its own machine.

>>> ANYONE.need("admin")
Traceback (most recent call last):
lingqu.errors.ScopeError: Expected a key that may admin, found 'anyone', which may feedback, predict, read. Ask for a key with the scope admin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lingqu.errors import Problem, ScopeError

if TYPE_CHECKING:
    from lingqu.spec.tariff import Allowance, Pace, Price

SCOPES = ("predict", "feedback", "read", "train", "promote", "admin")
DEFAULT_SCOPES = ("predict", "feedback", "read")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: a key, as far as the service needs to know it."""

    id: str
    name: str
    scopes: frozenset[str]
    tenant: str = ""
    rate: Pace | None = None
    quota: Allowance | None = None
    price: Price | None = None

    def need(self, scope: str) -> None:
        """ScopeError when this key may not do what the scope names."""
        if scope not in self.scopes:
            may = ", ".join(sorted(self.scopes)) or "nothing"
            advice = f"Ask for a key with the scope {scope}."
            raise ScopeError(Problem(f"a key that may {scope}", f"'{self.name}', which may {may}", advice))


ANYONE = Principal("anyone", "anyone", frozenset(DEFAULT_SCOPES))
"""Whoever calls a service that is open on this machine alone."""
