"""What a key may ask for and what its owner pays, as people write it: "100 per minute", "10000 rows per month",
"0.01 CNY per row".

Every function raises ValueError for text that it does not understand; what was expected instead is told by who asks.

>>> Pace.parse("100 per minute"), Allowance.parse("10,000 rows per month").rows
(Pace(count=100, seconds=60.0, text='100 per minute'), 10000)
>>> Price.parse("0.01 CNY per row + 0.5 CNY per request").cost(requests=2, rows=30, compute_us=0) / NANO
1.3
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Literal

from lingqu.spec.amounts import seconds

NANO = 1_000_000_000
"""Money is counted in whole thousand-millionths of a currency, so that sums are exact."""

_COUNT = r"([0-9]{1,3}(?:,[0-9]{3}){1,4}|[0-9]{1,15})"
_PACE = re.compile(_COUNT + r"\s*(?:requests?|次)?\s*(?:per|/|每)\s*([^\W\d_]{1,10})")
_ALLOWANCE = re.compile(_COUNT + r"\s*(?:rows?|行|条)\s*(?:per|/|每)\s*(day|month|日|天|月)")
_PART = re.compile(
    r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([A-Z]{3}|元)\s*(?:per|/|每)\s*(request|row|compute second|次|行|条|计算秒)"
)
_UNIT = {"次": "request", "行": "row", "条": "row", "计算秒": "compute second"}


@dataclass(frozen=True, slots=True)
class Pace:
    """At most `count` requests in any `seconds`, wherever they begin; that many may come at once."""

    count: int
    seconds: float
    text: str

    @classmethod
    def parse(cls, text: str) -> Pace:
        """The pace that this text states.

        >>> Pace.parse("5 / s").seconds
        1.0
        """
        match = _PACE.fullmatch(text.strip().lower())
        if match is None or (count := _whole(match[1])) < 1:
            raise ValueError(text)
        length = seconds(f"1 {match[2]}")
        return cls(count, length, text.strip())


@dataclass(frozen=True, slots=True)
class Allowance:
    """At most `rows` rows in a day or a month of the calendar, in UTC."""

    rows: int
    period: Literal["day", "month"]
    text: str

    @classmethod
    def parse(cls, text: str) -> Allowance:
        """The allowance that this text states.

        >>> Allowance.parse("500 行/天").period
        'day'
        """
        match = _ALLOWANCE.fullmatch(text.strip().lower())
        if match is None or (rows := _whole(match[1])) < 1:
            raise ValueError(text)
        return cls(rows, "day" if match[2] in ("day", "日", "天") else "month", text.strip())

    def begins(self, now: float) -> int:
        """When the period of this moment began, in seconds since 1970.

        >>> Allowance.parse("1 row per month").begins(1_795_377_600.0)
        1793491200
        """
        return _beginning(self.period, int(now // 86_400))

    def ends(self, now: float) -> int:
        """When the next period begins, in seconds since 1970.

        >>> Allowance.parse("1 row per day").ends(1_795_377_601.0)
        1795392000
        """
        began = self.begins(now)
        # No month is shorter than 28 days or longer than 31, so that 32 days on is somewhere in the next one.
        return self.begins(began + (1 if self.period == "day" else 32) * 86_400)


@dataclass(frozen=True, slots=True)
class Price:
    """What answers cost, in thousand-millionths (NANO) of a currency for a request, a row and a second of computing."""

    currency: str
    request: int = 0
    row: int = 0
    compute_second: int = 0
    text: str = ""

    @classmethod
    def parse(cls, text: str) -> Price:
        """The price that this text states: parts in one currency, with + between them.

        >>> Price.parse("0.002 元/行").row, Price.parse("1 EUR per compute second").currency
        (2000000, 'EUR')
        """
        amounts: dict[str, int] = {}
        currencies = set()
        for part in text.split("+"):
            match = _PART.fullmatch(part.strip())
            unit = "" if match is None else _UNIT.get(match[3], match[3])
            if match is None or unit in amounts:
                raise ValueError(text)
            amounts[unit] = int(Decimal(match[1]) * NANO)
            currencies.add("CNY" if match[2] == "元" else match[2])
        if len(currencies) != 1:
            raise ValueError(text)
        request, row, second = (amounts.get(unit, 0) for unit in ("request", "row", "compute second"))
        return cls(currencies.pop(), request, row, second, text.strip())

    def cost(self, *, requests: int, rows: int, compute_us: int) -> int:
        """What this many requests, rows and microseconds cost, in thousand-millionths of the currency.

        >>> Price.parse("3 CNY per compute second").cost(requests=1, rows=1, compute_us=500_000) / NANO
        1.5
        """
        return requests * self.request + rows * self.row + compute_us * self.compute_second // 1_000_000


@lru_cache(maxsize=64)
def _beginning(period: str, day: int) -> int:
    began = datetime.fromtimestamp(day * 86_400, UTC)
    return int((began if period == "day" else began.replace(day=1)).timestamp())


def _whole(text: str) -> int:
    return int(text.replace(",", ""))
