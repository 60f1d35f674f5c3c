"""How far a number that is said to be right may lie from those that the model has learned from.

One number out of all reach would, all alone, outweigh what everybody else says. The limit is that of columns of numbers,
and what the report of a version tells of its training rows says where it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lingqu.data.accept import reach
from lingqu.errors import LingquError, Problem

if TYPE_CHECKING:
    from lingqu.store import Store

MOST_VERSIONS = 16


class Targets:
    """The numbers that versions have learned from, each report read once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._held: dict[tuple[str, int], dict[str, Any] | None] = {}

    def beyond(self, name: str, number: int, said: float) -> str:
        """Why this number cannot be right for a model; an empty text where it can, or where nothing is known of it."""
        held = self._of(name, number)
        if held is None:
            return ""
        low, high = reach(held)
        if low <= said <= high:
            return ""
        told = f"Training rows held {held['low']:g} to {held['high']:g}."
        return str(Problem(f"'{held['source']}' between {low:g} and {high:g}", f"{said:g}", told))

    def _of(self, name: str, number: int) -> dict[str, Any] | None:
        key = (name, number)
        if key not in self._held:
            try:
                found = self._read(name, number)
            except (LingquError, OSError):
                # Feedback is taken whatever has become of the version that it is about.
                return None
            if len(self._held) >= MOST_VERSIONS:
                self._held.clear()
            self._held[key] = found
        return self._held.get(key)

    def _read(self, name: str, number: int) -> dict[str, Any] | None:
        # Loaded where a number is judged, and not by each command that reads feedback.
        from lingqu.registry import Registry

        report = Registry(self.store).get(f"{name}@{number}").lineage.get("report")
        told = self.store.get_json(report) if report else {}
        data = told.get("data", {})
        columns = told.get("profile", {}).get("columns", ())
        found = next((one for one in columns if one["name"] == data.get("target") and "low" in one), None)
        source = data.get("columns", {}).get(data.get("target"), data.get("target"))
        return None if found is None else {"low": found["low"], "high": found["high"], "source": source}
