"""A data version: typed rows, each in one split for ever, immutable and named by their content (`ingest` makes them)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lingqu.contract import Rows
from lingqu.data.findings import Finding
from lingqu.data.parquet import from_parquet
from lingqu.data.split import SPLITS
from lingqu.store import Store

ROW, GROUP = "lingqu.row", "lingqu.group"
"""Columns of the stored files beside the user's: the digest of what is asked and the key of the row's group."""


@dataclass(frozen=True)
class DataVersion:
    """What is known of a data version; the rows themselves lie in the store.

    `columns` names the source column of each role; `kinds` the kind of every column that is kept, under the name that it
    has inside lingqu; `labels` counts the labels of all rows; `sources` are the SHA-256 of what was read; `profile` is the
    digest of what `lingqu.data.overview` says of the rows, which shows some of them.

    >>> DataVersion("v", "t", "label", {}, {"x": "number", "day": "time", "label": "label"}, {"train": 1}, "").features
    {'x': 'number'}
    """

    id: str
    task: str
    target: str
    columns: dict[str, str]
    kinds: dict[str, str]
    counts: dict[str, int]
    folder: str
    labels: dict[str, int] = field(default_factory=dict)
    quarantined: int = 0
    quarantine: str = ""
    sources: dict[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    profile: str = ""

    @property
    def features(self) -> dict[str, str]:
        """The columns that a table's model may use, with their kinds: numbers and categories, never the target."""
        return {
            name: kind for name, kind in self.kinds.items() if kind in ("number", "category") and name != self.target
        }

    @property
    def rows_in_all(self) -> int:
        """How many rows there are in all splits."""
        return sum(self.counts.values())

    def rows(self, split: str, store: Store) -> Rows:
        """The rows of a split in their fixed order, roles first."""
        return from_parquet(self._file(split, store), list(self.kinds))

    def row_ids(self, split: str, store: Store) -> list[str]:
        """The SHA-256 of what a request would hold of each row, in the order of `rows`; labels have no part in it."""
        return from_parquet(self._file(split, store), [ROW])[ROW]

    def groups(self, split: str, store: Store) -> list[str]:
        """The key of each row's group, in the order of `rows`: rows of one group are not independent."""
        return from_parquet(self._file(split, store), [GROUP])[GROUP]

    def set_aside(self, store: Store) -> list[dict[str, Any]]:
        """The rows that were quarantined: source, row, reason and how they looked."""
        return store.get_json(self.quarantine) if self.quarantine else []

    def look(self, store: Store) -> dict[str, Any]:
        """The profile of the rows, and with it every finding."""
        return store.get_json(self.profile) if self.profile else {}

    def _file(self, split: str, store: Store) -> Path:
        if split not in SPLITS:
            raise ValueError(f"one of {', '.join(SPLITS)} expected, found {split!r}")
        return store.folder_path(self.folder) / f"{split}.parquet"

    def as_dict(self) -> dict[str, Any]:
        """The same as plain JSON values; the columns as pairs, since what is kept forgets the order of names.

        >>> version = DataVersion("v", "t", "label", {}, {}, {}, "")
        >>> DataVersion.from_dict(version.as_dict()) == version
        True
        """
        findings = [asdict(finding) for finding in self.findings]
        return {**asdict(self), "kinds": [list(kind) for kind in self.kinds.items()], "findings": findings}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> DataVersion:
        """The version that `as_dict` wrote, today or when the columns were still a mapping."""
        findings = tuple(Finding(**finding) for finding in value.get("findings", ()))
        # Kept JSON has its keys sorted; people read train, validation, test.
        counts = {split: value["counts"][split] for split in SPLITS if split in value["counts"]}
        return cls(**{**value, "kinds": dict(value["kinds"]), "counts": counts, "findings": findings})


def version_id(task: str, kinds: Mapping[str, str], lines: Iterable[tuple[str, str, str]]) -> str:
    """The name of a data version: SHA-256 over its columns in order and the digest, split and key of every row, sorted.

    >>> one, other = (version_id("t", {"x": "number"}, [("1", split, "1")]) for split in ("train", "test"))
    >>> len(one), one == other
    (64, False)
    """
    whole = hashlib.sha256(repr((1, task, list(kinds.items()))).encode())
    for line in lines:
        whole.update(("\t".join(line) + "\n").encode())
    return whole.hexdigest()
