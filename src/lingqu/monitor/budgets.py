"""Budgets of time and of refusals: whether more answers were slow, or refused, than the spec allows.

Both are shares of a window's answers, tested exactly: more than one in twenty slower than `latency_p95` (that is what a
95th percentile says), more than the allowed share refused. A budget alarms when two consecutive windows break it with
p below 0.005: of a service that keeps its budget, at most one window in 40,000 does so by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lingqu.statistics import above_rate

SLOWEST = 0.05
LEVEL = 0.005


@dataclass(frozen=True, slots=True)
class Budget:
    """One budget in one window.

    >>> slow = latency([10.0] * 80 + [200.0] * 20, limit=50.0)
    >>> slow.broken, slow.sentence()
    (True, '20.0% of 100 answers took longer than 50 ms, where 5.0% may (p < 0.0001); 95 of 100 took at most 200 ms.')
    """

    name: str
    allowed: float
    events: int
    rows: int
    p: float
    limit_ms: float | None = None
    p95_ms: float | None = None

    @property
    def broken(self) -> bool:
        """Whether this is more than chance."""
        return self.p < LEVEL

    def sentence(self) -> str:
        """What was found, in words."""
        p = f"p = {self.p:.2g}" if self.p >= 1e-4 else "p < 0.0001"
        share = f"{self.events / max(1, self.rows):.1%} of {self.rows:,} answers"
        if self.limit_ms is None:
            return f"{share} were refusals, where {self.allowed:.1%} may be ({p})."
        last = f"95 of 100 took at most {self.p95_ms:.3g} ms"
        return f"{share} took longer than {self.limit_ms:g} ms, where {self.allowed:.1%} may ({p}); {last}."

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return {**asdict(self), "broken": self.broken, "sentence": self.sentence()}


def latency(milliseconds: Sequence[float], limit: float) -> Budget:
    """Whether more than one answer in twenty was slower than the limit."""
    slow = int(np.sum(np.asarray(milliseconds) > limit))
    rows = len(milliseconds)
    p95 = float(np.quantile(milliseconds, 1 - SLOWEST, method="higher")) if rows else 0.0
    return Budget("latency", SLOWEST, slow, rows, above_rate(slow, rows, SLOWEST), limit, p95)


def refusals(refused: int, rows: int, allowed: float) -> Budget:
    """Whether a larger share of answers was refused than is allowed.

    >>> refusals(3, 100, 0.05).broken, refusals(20, 100, 0.05).sentence()
    (False, '20.0% of 100 answers were refusals, where 5.0% may be (p < 0.0001).')
    """
    return Budget("refusals", allowed, refused, rows, above_rate(refused, rows, allowed))
