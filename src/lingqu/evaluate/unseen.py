"""Which test rows a version has never seen: only those may judge it."""

from __future__ import annotations

from lingqu.data.version import DataVersion
from lingqu.registry import Version
from lingqu.store import Store


def data_of(version: Version, store: Store) -> DataVersion:
    """The data version that a registered version was made from."""
    return DataVersion.from_dict(store.get_json(version.lineage["report"])["data"])


def unseen_rows(data: DataVersion, version: Version, store: Store) -> list[int]:
    """The places of the test rows of `data` that a version neither trained on nor was chosen by.

    Its own data may have been another version, whose splits were other ones.
    """
    if version.data_version == data.id:
        return [*range(data.counts["test"])]
    before = data_of(version, store)
    seen = {row for split in ("train", "validation") for row in before.row_ids(split, store)}
    return [place for place, row in enumerate(data.row_ids("test", store)) if row not in seen]
