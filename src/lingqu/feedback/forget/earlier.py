"""What earlier requests left in the history, so that one that was killed is gone on with, and told whole."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from sqlalchemy import select

from lingqu.data.forgotten import ACTION
from lingqu.store import Store
from lingqu.store.tables import HISTORY

_REGISTER = "register"


class Earlier:
    """The requests of this store so far, and what they did to registered versions.

    `marks` are what the history knows the present request by: the keyed hashes of its rules, or of its source.
    """

    def __init__(self, store: Store, marks: Collection[str]) -> None:
        self._marks = set(marks)
        self._requests: list[tuple[int, set[str], list[dict[str, Any]]]] = []
        self._learned: dict[str, int] = {}
        self._data: dict[tuple[str, int], list[str]] = {}
        self.out: dict[tuple[str, int], set[str]] = {}
        """By version (name, number), for each that was cleared: the voices whose rows are out of its data already."""
        query = select(HISTORY).where(HISTORY.c.action.in_((ACTION, _REGISTER))).order_by(HISTORY.c.seq)
        with store.database.reading() as connection:
            for row in connection.execute(query).mappings():
                self._take(row["seq"], row["action"], (row["name"], row["version"]), json.loads(row["evidence"]))

    def _take(self, seq: int, action: str, version: tuple[str, int | None], evidence: dict[str, Any]) -> None:
        name, number = version
        if number is None:
            marks = {rule["keyed"] for rule in evidence.get("rules", ())} | {*evidence.get("sources", ())}
            self._requests.append((seq, marks, evidence.get("models", [])))
            return
        self._data.setdefault((name, number), []).append(evidence["data_version"])
        if action == _REGISTER:
            self._learned[name] = seq
        else:
            self.out.setdefault((name, number), set()).update(evidence.get("without", ()))

    @property
    def begun(self) -> bool:
        """Whether all that is asked for was asked for before."""
        known = {mark for _, marks, _ in self._requests for mark in marks}
        return bool(self._marks) and self._marks <= known

    @property
    def models(self) -> list[dict[str, Any]]:
        """The models that earlier requests of the same told of, and of whose name none was learned since."""
        return [
            model
            for seq, marks, models in self._requests
            if marks and marks <= self._marks
            for model in models
            if self._learned.get(model["name"], 0) < seq
        ]

    @property
    def replaced(self) -> set[str]:
        """The data versions that cleared versions had before, and none has now: stages may still name them."""
        before = {one for version in self.out for one in self._data[version]}
        return before - {known[-1] for known in self._data.values()}
