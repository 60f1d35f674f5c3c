"""What decides the split of each row, kept for all rows while the rows themselves pass by.

However wide a row is, it costs some tens of bytes in memory; its digests lie in scratch files until they are asked for.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from lingqu.contract import Task
from lingqu.data.accept import columns_of
from lingqu.data.alike import looking_for
from lingqu.data.findings import Finding
from lingqu.data.groups import digests
from lingqu.data.prepare import Prepared, Typed
from lingqu.data.split import SPLITS
from lingqu.data.values import time_key
from lingqu.spec.settings import DataSettings
from lingqu.store.scratch import Scratch

Array = np.ndarray[Any, np.dtype[Any]]

GIVEN = ("", *SPLITS)
"""The splits that a source may have put a row in, "" for none."""


class Coded:
    """Cells as numbers, in the order in which they first came; None is -1.

    >>> coded = Coded()
    >>> coded.add(["b", None, "a", "b"])
    >>> coded.values, coded.codes.tolist(), coded.in_order().tolist()
    (['b', 'a'], [0, -1, 1, 0], [1, -1, 0, 1])
    """

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self._codes = array("i")

    def add(self, cells: Iterable[Any]) -> None:
        """Some more cells."""
        numbers = self._numbers
        self._codes.extend(-1 if cell is None else numbers.setdefault(cell, len(numbers)) for cell in cells)

    @property
    def values(self) -> list[Any]:
        """The cells that differ."""
        return list(self._numbers)

    @property
    def codes(self) -> Array:
        """The number of each cell, int32."""
        return np.array(self._codes, np.int32)

    def in_order(self) -> Array:
        """The place of each cell among those that differ, sorted; int64."""
        rank = np.full(len(self._numbers) + 1, -1)
        for place, value in enumerate(sorted(self._numbers)):
            rank[self._numbers[value]] = place
        return rank[self.codes]


class Marks:
    """Of each row: digests, the split it came with, its group, time and target, and what it is nearly the same as."""

    def __init__(self, prepared: Prepared, task: Task, settings: DataSettings, folder: Path | None = None) -> None:
        self._open = ExitStack()
        self._columns = prepared.columns
        self.kind = prepared.kinds[task.target.name]
        self._target = task.target.name if self.kind in ("label", "labels") else None
        self._asked = list(columns_of(task, prepared.kinds))
        self._identity = [self._inside(column) for column in settings.identity]
        self._group = self._inside(settings.group) if settings.group else None
        self._time = self._inside(settings.time) if settings.time else None
        near = settings.near_duplicates
        self._alike = looking_for(prepared.kinds, task, self._open, near=near, identity=self._identity, folder=folder)
        self._digests, self._requests, self._keys = (self._open.enter_context(Scratch(folder)) for _ in range(3))
        self._given, self._times = bytearray(), array("d")
        self.targets = Coded()
        self.names = Coded()

    def _inside(self, column: str) -> str:
        """The name inside lingqu of a source column."""
        return next((role for role, source in self._columns.items() if source == column), column)

    def __enter__(self) -> Marks:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def __len__(self) -> int:
        return len(self._given)

    def add(self, typed: Typed) -> None:
        """Mark some more rows."""
        rows = typed.rows
        self._digests.write(b"".join(digests(rows)))
        # Neither a corrected label nor a new column beside the text may move a row to another split.
        self._requests.write(b"".join(digests(rows, self._asked)))
        if self._identity:
            self._keys.write(b"".join(digests(rows, self._identity)))
        self._given += bytes([GIVEN.index(typed.split)]) * len(rows)
        if self._group:
            self.names.add(rows[self._group])
        if self._time:
            self._times.extend(map(time_key, rows[self._time]))
        if self._target:
            self.targets.add(rows[self._target])
        self._alike.add(typed)

    def digests(self) -> Array:
        """SHA-256 of each row, uint8 (rows, 32), read back."""
        return _read(self._digests)

    def asked(self) -> Array:
        """SHA-256 of what a request would hold of each row, uint8 (rows, 32), read back."""
        return _read(self._requests)

    def identities(self) -> Array:
        """SHA-256 of what tells each row from others: that of a request, or of the columns that the settings name."""
        return _read(self._keys if self._identity else self._requests)

    @property
    def given(self) -> Array:
        """Positions in GIVEN, uint8 (rows,)."""
        return np.frombuffer(self._given, np.uint8)

    @property
    def times(self) -> Array | None:
        """The time of each row in seconds, float64 (rows,), where the settings name one."""
        return np.frombuffer(self._times, np.float64) if self._time else None

    def near(self) -> tuple[Array, list[Finding]]:
        """The number of each row's near-duplicate group, int32 (rows,), and what is worth telling about them."""
        return self._alike.groups(len(self), self.digests)


def _read(scratch: Scratch) -> Array:
    return np.frombuffer(scratch.read(), np.uint8).reshape(-1, 32)
