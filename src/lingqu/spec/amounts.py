"""Amounts as people write them: "10 min", ">= 0.85", "<= 20 ms", "200 new labels", "1 per day".

Every function raises ValueError for text that it does not understand; what was expected instead is told by the setting.

>>> seconds("10 min"), seconds("2 小时"), labels("200 new labels"), pause("2 per day")
(600.0, 7200.0, 200, 43200.0)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_LIMIT = re.compile(
    r"(>=|<=|≥|≤)\s*(-?(?:[0-9]{1,12}(?:\.[0-9]{0,12})?|\.[0-9]{1,12})(?:e-?[0-9]{1,2})?)\s*([A-Za-z]*|%)"
)
_LABELS = re.compile(r"([0-9]{1,9})\s*(?:(?:new )?labels?|条?新?标注|条?新?标签)")
_PAUSE = re.compile(r"([0-9]{1,6})\s*(?:per|/|次每|次/每|次/|每)\s*([^\W\d_]+)")

_SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds", "秒"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes", "分", "分钟"), 60.0),
    **dict.fromkeys(("h", "hour", "hours", "时", "小时"), 3600.0),
    **dict.fromkeys(("d", "day", "days", "日", "天"), 86400.0),
    **dict.fromkeys(("w", "week", "weeks", "周"), 604800.0),
}
SHARES: Mapping[str, float] = {"": 1.0, "%": 0.01}
MILLISECONDS: Mapping[str, float] = {"us": 0.001, "ms": 1.0, "s": 1000.0}
BYTES: Mapping[str, float] = {"b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound on one measured value, in the unit that reports use (shares, milliseconds, bytes).

    >>> limit = Limit.parse("latency_p95", "<= 0.02 s", MILLISECONDS)
    >>> limit.value, limit.holds(19.5), limit.holds(float("nan"))
    (20.0, True, False)
    """

    name: str
    sense: str
    value: float
    text: str

    @classmethod
    def parse(cls, name: str, text: str, units: Mapping[str, float] = SHARES) -> Limit:
        """The limit that this text states; ValueError when it is none."""
        match = _LIMIT.fullmatch(text.strip())
        if match is None or match[3].lower() not in units:
            raise ValueError(text)
        sense = {"≥": ">=", "≤": "<="}.get(match[1], match[1])
        written = f"{sense} {match[2]} {match[3]}".strip()
        return cls(name, sense, float(match[2]) * units[match[3].lower()], written)

    def holds(self, measured: float) -> bool:
        """Whether the measured value keeps the limit; an undefined one (nan) never does."""
        return measured >= self.value if self.sense == ">=" else measured <= self.value


def seconds(text: str) -> float:
    """A length of time in seconds.

    >>> seconds("90 s")
    90.0
    """
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([^\W\d_]+)", text.strip().lower())
    if match is None or match[2] not in _SECONDS or float(match[1]) <= 0:
        raise ValueError(text)
    return float(match[1]) * _SECONDS[match[2]]


def labels(text: str) -> int:
    """How many new labels.

    >>> labels("50 labels")
    50
    """
    match = _LABELS.fullmatch(text.strip().lower())
    if match is None or int(match[1]) < 1:
        raise ValueError(text)
    return int(match[1])


def pause(text: str) -> float:
    """The seconds between two runs that a rate leaves.

    >>> pause("1 per day")
    86400.0
    """
    match = _PAUSE.fullmatch(text.strip().lower())
    if match is None or int(match[1]) < 1 or match[2] not in _SECONDS:
        raise ValueError(text)
    return _SECONDS[match[2]] / int(match[1])
