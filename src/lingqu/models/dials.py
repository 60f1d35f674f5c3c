"""The dials of a family that a search may turn, and how far; a family names its own, those of the loop have the usual ones.

>>> usual({"learning_rate": 0.01, "epochs": 6})["learning_rate"]
Between(low=0.0025, high=0.04, log=True, whole=False)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lingqu.models.family import Family


@dataclass(frozen=True, slots=True)
class Between:
    """A number from `low` to `high`, whole or not; with `log` each order of magnitude is as likely as the next.

    >>> Between(1, 8, whole=True).with_value(12)
    Between(low=1, high=12, log=False, whole=True)
    >>> Between(0.1, 1.0, log=True).with_value(0.0)  # no order of magnitude holds 0
    Between(low=0.0, high=1.0, log=False, whole=False)
    """

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def with_value(self, value: Any) -> Between:
        """The same dial, wide enough for this value."""
        return replace(self, low=min(self.low, value), high=max(self.high, value), log=self.log and value > 0)


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of some plain JSON values.

    >>> OneOf(([1], [1, 2])).with_value([3]).values
    ([1], [1, 2], [3])
    """

    values: tuple[Any, ...]

    def with_value(self, value: Any) -> OneOf:
        """The same dial with this value among the others."""
        return self if value in self.values else OneOf((*self.values, value))


Dial = Between | OneOf

USUAL: Mapping[str, Callable[[Any], Dial]] = {
    "learning_rate": lambda own: Between(own / 4, own * 4, log=True),
    "weight_decay": lambda own: Between(max(own, 1e-3) / 10, max(own, 1e-3) * 10, log=True),
    "dropout": lambda _: Between(0.0, 0.5),
    "smoothing": lambda _: Between(0.0, 0.2),
    "epochs": lambda own: Between(max(1, own // 2), 2 * own, whole=True),
    "batch_size": lambda own: OneOf(tuple(sorted({max(2, own // 2), own, 2 * own}))),
}
"""Setting of a family that the loop trains -> how far its dial turns around the family's own value."""


def usual(settings: Mapping[str, Any]) -> dict[str, Dial]:
    """The dials of a family that the loop trains, around these settings."""
    return {name: dial(settings[name]) for name, dial in USUAL.items() if name in settings}


def dials_of(
    family: Family, settings: Mapping[str, Any], front: Mapping[str, Any], decided: Collection[str] = ()
) -> dict[str, tuple[Dial, Any]]:
    """Each dial of a family with the value that it has now, in these settings of its network or of its `front`.

    What was `decided` by somebody is no dial any more; nor is what this front does not have.
    """
    found = {**(usual(settings) if family.fit is None else {}), **family.dials}
    now = {**front, **settings}
    return {
        name: (dial.with_value(now[name]), now[name])
        for name, dial in found.items()
        if name in now and name not in decided
    }
