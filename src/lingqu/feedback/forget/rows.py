"""The rows of data versions: which of them go, and each version written anew without them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from lingqu.contract import Rows
from lingqu.data.findings import Finding
from lingqu.data.groups import row_digests
from lingqu.data.labels import label_names
from lingqu.data.overview import look_over
from lingqu.data.parquet import from_parquet, to_parquet
from lingqu.data.split import SPLITS
from lingqu.data.version import GROUP, ROW, DataVersion
from lingqu.evaluate.unseen import data_of
from lingqu.feedback.forget.wanted import GONE, Wanted
from lingqu.registry import Registry
from lingqu.store import Store, canonical_json, write_bytes
from lingqu.store.canonical import digest_of
from lingqu.tasks import find_task


@dataclass(frozen=True)
class Touched:
    """A data version that holds rows that go: their places by split, and source and number of broken rows that were set aside."""

    data: DataVersion
    places: Mapping[str, set[int]] = field(default_factory=dict)
    broken: frozenset[tuple[str, int]] = frozenset()

    @property
    def rows(self) -> int:
        """How many rows go."""
        return sum(map(len, self.places.values()))


def known_versions(store: Store) -> list[DataVersion]:
    """Every data version whose rows lie in the store, each once."""
    found: dict[str, DataVersion] = {}
    told = [stage["result"] for stage in store.records.stages() if stage["name"] == "data"]
    listed = [DataVersion.from_dict(one) for one in told]
    listed += [data_of(version, store) for version in Registry(store).versions() if store.holds(_report(version))]
    for data in listed:
        if store.folders.final(data.folder).is_dir():
            # Two stages may have made the same rows from files of other names: each is a version of its own.
            found.setdefault(f"{data.folder} {data.id} {data.quarantine} {data.profile}", data)
    return [*found.values()]


def _report(version: Any) -> str:
    return version.lineage.get("report") or "0" * 64


def by_person(
    store: Store, wanted: Wanted, versions: Iterable[DataVersion], known: Mapping[str, frozenset[int]]
) -> list[Touched]:
    """The data versions that hold a person's rows; `known` are the rows of the user's own files that do."""
    found = []
    for data in versions:
        places = {split: wanted.rules.places(rows, data.columns) for split, rows in _searched(store, data)}
        told = data.set_aside(store) if _kept(store, data.quarantine) else []
        broken = frozenset((one["source"], one["row"]) for one in told if _broken(wanted, one, known))
        named = wanted.in_value(data.as_dict()["findings"])
        shown = _kept(store, data.profile) and wanted.in_value(store.get_json(data.profile))
        if any(places.values()) or broken or named or shown:
            found.append(Touched(data, places, broken))
    return found


def by_rows(store: Store, gone: Mapping[str, Rows]) -> list[Touched]:
    """The data versions, by id, that feedback has grown, with the places of these rows behind those of their base."""
    found = []
    for data in known_versions(store):
        if data.id not in gone:
            continue
        held = from_parquet(store.folder_path(data.folder) / "train.parquet", list(data.kinds))
        wanted = Counter(row_digests(gone[data.id]))
        places: set[int] = set()
        digests = row_digests(held)
        # Feedback stands behind the rows that were there before it.
        for place in range(len(digests) - 1, -1, -1):
            if wanted[digests[place]] > 0:
                wanted[digests[place]] -= 1
                places.add(place)
        if places:
            found.append(Touched(data, {"train": places}))
    return found


def together(found: Iterable[Touched], more: Iterable[Touched]) -> list[Touched]:
    """Both, each data version once."""
    told = [*found]
    for one in more:
        place = next((place for place, known in enumerate(told) if known.data == one.data), None)
        if place is None:
            told.append(one)
            continue
        known = told[place]
        splits = dict.fromkeys((*known.places, *one.places))
        both = {split: known.places.get(split, set()) | one.places.get(split, set()) for split in splits}
        told[place] = Touched(one.data, both, known.broken | one.broken)
    return told


def _searched(store: Store, data: DataVersion) -> Iterator[tuple[str, Rows]]:
    """What can be searched of a version, split by split: every column but pictures, and the names of groups."""
    names = [name for name, kind in data.kinds.items() if kind != "image"]
    folder = store.folder_path(data.folder)
    for split in SPLITS:
        yield split, from_parquet(folder / f"{split}.parquet", names)


def _broken(wanted: Wanted, one: Mapping[str, Any], known: Mapping[str, frozenset[int]]) -> bool:
    """Whether a broken row is the person's: by what is kept of it, or by its number in a file that tells the whole of it."""
    if one["row"] in known.get(one["source"], ()):
        return True
    return wanted.in_value(one["reason"]) or wanted.in_broken(one["raw"])


def _kept(store: Store, digest: str) -> bool:
    return bool(digest) and store.holds(digest)


def without(store: Store, touched: Touched, wanted: Wanted | None) -> DataVersion:
    """The data version without the rows that go, written to the store under a name of its own."""
    data = touched.data
    work = store.work(f"forget-{data.id}")
    folder = store.folder_path(data.folder)
    splits: dict[str, Rows] = {}
    for split in SPLITS:
        rows = from_parquet(folder / f"{split}.parquet")
        gone = touched.places.get(split, set())
        rows = rows.take(place for place in range(len(rows)) if place not in gone)
        if wanted is not None:
            # A group that was named after a person keeps its rows together under another name.
            rows = rows.with_columns({GROUP: [_key(wanted, key) for key in rows[GROUP]]})
        write_bytes(work / f"{split}.parquet", to_parquet(rows, data.kinds))
        splits[split] = rows.select(data.kinds)
    kept = store.put_folder(work)
    store.clear_work(f"forget-{data.id}")
    task = find_task(data.task)
    findings = [_finding(wanted, finding) for finding in data.findings]
    names = [label_names(rows[task.target.name], task.target.kind) or [] for rows in splits.values()]
    profile = look_over(splits, data.kinds, task, findings) if _kept(store, data.profile) else None
    aside = (
        [one for one in data.set_aside(store) if (one["source"], one["row"]) not in touched.broken]
        if data.quarantine
        else []
    )
    return replace(
        data,
        id=digest_of(canonical_json(["without", data.id, kept])),
        folder=kept,
        counts={split: len(rows) for split, rows in splits.items()},
        labels=dict(sorted(Counter(label for rows in names for row in rows for label in row).items())),
        findings=tuple(findings),
        quarantined=len(aside),
        quarantine=store.put_json(aside) if aside else "",
        profile=store.put_json(profile) if profile is not None else "",
    )


def _finding(wanted: Wanted | None, finding: Finding) -> Finding:
    return finding if wanted is None else Finding(**wanted.cleared(asdict(finding)))


def _key(wanted: Wanted, key: str) -> str:
    return (
        f"{GONE} {digest_of(wanted.rules.secret + key.encode())[:16]}"
        if wanted.is_one(key) or wanted.in_value(key)
        else key
    )


__all__ = ["ROW", "Touched", "by_person", "by_rows", "known_versions", "together", "without"]
