"""A circuit breaker that may be asked after every request and still keeps its rate of false alarms.

The hypothesis is that a model fails in at most so many of its requests. Against it a bet is laid on each request: the mean,
over a grid of higher rates, of the likelihood ratio. While the hypothesis holds, that product exceeds 1/alpha with a
probability of at most alpha, whenever one looks (Ville 1939; Howard et al. 2021). A new bet begins after every 500
requests, so that a long good time does not hide a bad one.

>>> breaker = Breaker(rate=0.01)
>>> [breaker.saw(failed=True) for _ in range(20)].index(True)
19
>>> any(Breaker(rate=0.01).saw(failed=False) for _ in range(10_000))
False
"""

from __future__ import annotations

import math

ALPHA = 0.01
LEAST = 20
WINDOW = 500
GRID = 12


class Breaker:
    """Opens when failures are more frequent than `rate`, at the earliest after 20 requests."""

    def __init__(self, rate: float, alpha: float = ALPHA, least: int = LEAST) -> None:
        rates = [rate * (0.97 / rate) ** (step / GRID) for step in range(1, GRID + 1)]
        self._failed = [math.log(higher / rate) for higher in rates]
        self._went_well = [math.log((1 - higher) / (1 - rate)) for higher in rates]
        self._needed = math.log(GRID / alpha)
        self._least = least
        self.open = False
        self._begin()

    def _begin(self) -> None:
        self._seen = 0
        self._bets = [0.0] * GRID

    def saw(self, *, failed: bool) -> bool:
        """One more request; whether the circuit is open now. It stays open."""
        if self.open:
            return True
        if self._seen >= WINDOW:
            self._begin()
        self._seen += 1
        step = self._failed if failed else self._went_well
        self._bets = [bet + change for bet, change in zip(self._bets, step, strict=True)]
        if failed and self._seen >= self._least:
            highest = max(self._bets)
            total = highest + math.log(sum(math.exp(bet - highest) for bet in self._bets))
            self.open = total >= self._needed
        return self.open
