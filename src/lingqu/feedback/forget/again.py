"""What a data version was read from, read again: the digest of each row's content, and whose it is."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lingqu.contract import Task
from lingqu.data.forgotten import Rules
from lingqu.data.groups import digests, places
from lingqu.data.prepare import prepare
from lingqu.data.readers import stream
from lingqu.data.sources import named_sources, raw_rows
from lingqu.data.split import SPLITS
from lingqu.data.version import DataVersion
from lingqu.spec import DataSettings
from lingqu.spec.addresses import called
from lingqu.store import Store, canonical_json
from lingqu.store.canonical import digest_of

Array = np.ndarray[Any, np.dtype[Any]]

_OTHERS, _THEIRS, _BEFORE = range(3)
_FREE = 0
"""Rows that were given no split, or train, of which some may be put into other splits."""
_GIVEN = {"validation": 1, "test": 2}
_COUNT = re.compile(r"([\d,]+) of the training rows came as feedback")


@dataclass(frozen=True, slots=True)
class Found:
    """The places of the rows that are theirs, by split; and how many rows are in the source no more."""

    source: str
    places: dict[str, set[int]] = field(default_factory=dict)
    strange: int = 0


class Reading:
    """All good rows of some settings: those that rules `theirs` hold of, those of other requests `before`, and the rest."""

    def __init__(self, settings: DataSettings, task: Task, theirs: Rules, before: Rules) -> None:
        self._source = ", ".join(map(called, named_sources(settings).values()))
        held: dict[str, dict[int, int]] = {source: {} for source in named_sources(settings).values()}
        for raw in raw_rows(settings):
            for whose, rules in ((_BEFORE, before), (_THEIRS, theirs)):
                held[raw.source] |= {raw.numbers[place]: whose for place in rules.places(raw.rows)}
        found, given, whose_is = bytearray(), bytearray(), bytearray()
        for typed in prepare(task, settings):
            found += b"".join(digests(typed.rows))
            given += bytes([_GIVEN.get(typed.split, _FREE)]) * len(typed.rows)
            whose_is += bytes(held[typed.source].get(number, _OTHERS) for number in typed.numbers)
        self._digests = np.frombuffer(bytes(found), np.uint8).reshape(-1, 32)
        self._given, self._whose = np.frombuffer(bytes(given), np.uint8), np.frombuffer(bytes(whose_is), np.uint8)

    def compared(self, data: DataVersion, store: Store) -> Found:
        """Which rows of a data version are theirs: of equal ones as many as others do not have, the first ones."""
        stored = {split: base_rows(data, split, store) for split in SPLITS}
        there = np.concatenate([self._digests, *stored.values()])
        given = np.concatenate([self._given, *(np.full(len(stored[s]), self._class(s), np.uint8) for s in SPLITS)])
        if not len(there):
            return Found(self._source)
        # Equal rows that were given different splits are not the same row.
        codes = places(there).astype(np.int64) * len(SPLITS) + given
        mine, held = codes[: len(self._digests)], codes[len(self._digests) :]
        most = int(codes.max()) + 1
        counts = {whose: np.bincount(mine[self._whose == whose], minlength=most) for whose in range(3)}
        are, theirs = np.bincount(held, minlength=most), counts[_THEIRS] > 0
        out = np.where(theirs, np.maximum(are - counts[_OTHERS], 0), 0)
        strange = np.where(theirs, 0, np.maximum(are - sum(counts.values()), 0))
        gone: dict[str, set[int]] = {}
        ends = np.cumsum([len(stored[split]) for split in SPLITS])
        for row in np.flatnonzero(out[held] > 0).tolist():
            if out[held[row]]:
                out[held[row]] -= 1
                at = int(np.searchsorted(ends, row, side="right"))
                gone.setdefault(SPLITS[at], set()).add(row - (int(ends[at - 1]) if at else 0))
        return Found(self._source, gone, int(strange.sum()))

    def _class(self, split: str) -> int:
        """How the rows of a split were given, if any of the source was given so."""
        whose = _GIVEN.get(split, _FREE)
        return whose if (self._given == whose).any() else _FREE


def base_rows(data: DataVersion, split: str, store: Store) -> Array:
    """The digest of each row of a split, uint8 (rows, 32), without what feedback brought."""
    path = store.folder_path(data.folder) / f"{split}.parquet"
    found = b"".join(digest for part in stream(path) for digest in digests(part.rows, data.kinds))
    rows = np.frombuffer(found, np.uint8).reshape(-1, 32)
    return rows[: _before_feedback(data, rows)] if split == "train" else rows


def _before_feedback(data: DataVersion, train: Array) -> int:
    """How many training rows were there before feedback came behind them, in the order of its digests."""
    if "feedback" not in data.sources:
        return len(train)
    told = next((one.message for one in data.findings if one.code == "feedback"), "")
    count = _COUNT.match(told)
    first = max(0, len(train) - int(count[1].replace(",", ""))) if count else 0
    behind = [row.tobytes().hex() for row in train[first:]]
    if digest_of(canonical_json(sorted(behind))) == data.sources["feedback"]:
        return first
    # Some of it was cut out since: what is left of it begins where the order of the digests does for the last time.
    falls = (place for place in range(len(train) - 1, max(first, 1) - 1, -1) if _falls(train, place))
    return next(falls, len(train))


def _falls(rows: Array, place: int) -> bool:
    return rows[place].tobytes() < rows[place - 1].tobytes()
