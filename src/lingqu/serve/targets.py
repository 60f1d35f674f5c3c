"""How far a number that is said to be right may lie from those that the model has learned from.

One number out of all reach would, all alone, outweigh what everybody else says. The limit is that of columns of numbers,
and what the report of a version tells of its training rows says where it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lingqu.data.accept import reach
from lingqu.errors import Problem

if TYPE_CHECKING:
    from lingqu.store import Store


class Target(NamedTuple):
    """The column of the right answer, by the user's name for it, and the least and the largest number that taught."""

    source: str
    low: float
    high: float

    def beyond(self, said: float) -> str:
        """Why this number cannot be right; an empty text where it can.

        >>> Target("price", 0.0, 10.0).beyond(1e6)
        "Expected 'price' between -100 and 110, found 1e+06. Training rows held 0 to 10."
        """
        low, high = reach({"low": self.low, "high": self.high})
        if low <= said <= high:
            return ""
        told = f"Training rows held {self.low:g} to {self.high:g}."
        return str(Problem(f"'{self.source}' between {low:g} and {high:g}", f"{said:g}", told))


def target_of(store: Store, name: str, number: int) -> Target | None:
    """What the report of a version tells of its target; None where it tells of no numbers, errors where it cannot be read."""
    # Loaded where a number is judged, and not by each command that reads feedback.
    from lingqu.registry import Registry

    report = Registry(store).get(f"{name}@{number}").lineage.get("report")
    told = store.get_json(report) if report else {}
    data = told.get("data", {})
    columns = told.get("profile", {}).get("columns", ())
    found = next((one for one in columns if one["name"] == data.get("target") and "low" in one), None)
    source = data.get("columns", {}).get(data.get("target"), data.get("target"))
    return None if found is None else Target(source, found["low"], found["high"])
