"""From what the settings name to a data version: read, typed, grouped, split, checked and written.

>>> from lingqu.spec import DataSettings
>>> from lingqu.store import Store
>>> from lingqu.tasks import find_task
>>> store = Store.open(getfixture("tmp_path"))
>>> version = ingest(DataSettings(source="sklearn:iris"), find_task("tabular-classification"), store)
>>> version.rows_in_all, version.target, version.labels
(150, 'label', {'setosa': 50, 'versicolor': 50, 'virginica': 50})
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lingqu.contract import Rows, Task
from lingqu.data.check import review
from lingqu.data.divide import Divided, divide
from lingqu.data.findings import PARTS, Finding
from lingqu.data.forgotten import remembered
from lingqu.data.labels import label_names
from lingqu.data.marks import Coded, Marks
from lingqu.data.overview import Held, look_over, profile_of
from lingqu.data.parquet import Parts, from_parquet, row_at
from lingqu.data.prepare import Prepared, prepare
from lingqu.data.profile import SAMPLE
from lingqu.data.quarantine import Quarantined
from lingqu.data.roles import roles_of
from lingqu.data.sources import fingerprints, named_sources
from lingqu.data.split import SPLITS
from lingqu.data.version import GROUP, ROW, DataVersion, version_id
from lingqu.errors import DataError, Problem
from lingqu.spec.addresses import DATABASES, called, scheme
from lingqu.spec.settings import DataSettings
from lingqu.store import Store, open_output

Array = np.ndarray[Any, np.dtype[Any]]


def ingest(
    settings: DataSettings, task: Task, store: Store, progress: Callable[[float, str], None] | None = None
) -> DataVersion:
    """The data version of what the settings name, written to the store.

    Paths in the settings are taken as they are (`settings.at(folder)` makes them absolute). `progress` hears the share
    that is done and what is being done. The same content gives the same version, whatever the order of its rows.
    The rows are read twice and are never all in memory: what is kept of each is about a hundred bytes. Rows that this
    store was told to forget are left out as if the source did not hold them.
    """
    tell = progress or (lambda share, message: None)
    tell(0.0, "reading")
    sources = fingerprints(settings)
    prepared = prepare(task, settings, remembered(store))
    scratch = store.folder / "work"
    with Marks(prepared, task, settings, scratch) as marks, Parts(prepared.kinds, scratch) as parts:
        tell(0.2, "finding types")
        for typed in prepared:
            marks.add(typed)
            parts.add(typed.rows)
        _unchanged(settings, sources)
        quarantine = _quarantine(prepared, settings, store)
        _two_classes(marks.targets.values, prepared, task)
        tell(0.4, "finding near-duplicates")
        divided = divide(marks, task, settings)
        tell(0.7, "writing")
        identity = version_id(task.name, prepared.kinds, divided.lines())
        asked = marks.asked() if settings.identity else divided.identities
        folder = _write(parts, divided, asked, store, identity)
        del asked
        divided.forget_digests()
        tell(0.9, "checking")
        held = _held(store.folder_path(folder, verify=False), prepared, marks, divided)
    findings, counts = [*prepared.findings, *divided.findings], divided.counts
    del marks, parts, divided
    findings += review(held.heads, prepared.kinds, task)
    profile = profile_of(held, prepared.kinds, task, findings)
    return DataVersion(
        id=identity,
        task=task.name,
        target=task.target.name,
        columns=prepared.columns,
        kinds=prepared.kinds,
        counts=counts,
        folder=folder,
        labels={one["label"]: sum(one[split] for split in SPLITS) for one in _by_label(profile["labels"])},
        quarantined=len(prepared.quarantined),
        quarantine=quarantine,
        sources=sources,
        findings=tuple(Finding(**{part: one[part] for part in PARTS}) for one in profile["findings"]),
        profile=store.put_json(profile),
    )


def _by_label(told: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(told, key=lambda one: one["label"])


def _held(folder: Path, prepared: Prepared, marks: Marks, divided: Divided) -> Held:
    """What a look at a version needs, of which the first rows are read back from its files."""
    names = list(prepared.kinds)
    files = {split: folder / f"{split}.parquet" for split in SPLITS}
    asked, codes = divided.asked, marks.targets.codes
    rows = {split: divided.places(split) for split in SPLITS}
    return Held(
        heads={split: from_parquet(file, names, SAMPLE) for split, file in files.items()},
        asked={split: asked[chosen] for split, chosen in rows.items()},
        targets={split: codes[chosen] for split, chosen in rows.items()} if len(codes) else {},
        answers=marks.targets.values,
        row=lambda split, place: row_at(files[split], place, names),
    )


def _unchanged(settings: DataSettings, sources: Mapping[str, str]) -> None:
    """DataError when a table of a database was not the same before and after it was read; files are left as they are."""
    living = [source for source in named_sources(settings).values() if scheme(source) in DATABASES]
    if living and fingerprints(settings) != sources:
        advice = "Bound the query (WHERE day < '2026-01-01', say), or run again."
        found = f"others in {', '.join(map(called, living))} a moment later"
        raise DataError(Problem("rows that stay the same while they are read", found, advice))


@dataclass(frozen=True, slots=True)
class Preview:
    """What a first look at the data shows: rows, the kind of each column, which plays which role, and example cells."""

    rows: int
    kinds: dict[str, str]
    roles: dict[str, str]
    examples: dict[str, str]
    quarantined: int
    findings: tuple[Finding, ...]


def preview(settings: DataSettings, task: Task) -> Preview:
    """What `ingest` would read, without grouping, splitting or writing; the same errors for what cannot be read.

    >>> from lingqu.tasks import find_task
    >>> found = preview(DataSettings(source="sklearn:iris"), find_task("tabular-classification"))
    >>> found.rows, found.roles, found.examples["label"]
    (150, {'label': 'label'}, 'setosa')
    """
    prepared = prepare(task, settings)
    count = 0
    examples: dict[str, str] = {}
    labels = Coded()
    for typed in prepared:
        count += len(typed.rows)
        _exemplify(typed.rows, examples)
        if prepared.kinds[task.target.name] in ("label", "labels"):
            labels.add(typed.rows[task.target.name])
    _enough(prepared, settings)
    _two_classes(labels.values, prepared, task)
    return _preview(prepared, task, count, examples)


@dataclass(frozen=True, slots=True)
class Examined:
    """What `ingest` would store, in memory: the preview, the profile, the rows of each split and the keys of their groups."""

    preview: Preview
    profile: dict[str, Any]
    splits: dict[str, Rows]
    keys: dict[str, list[str]]


def examine(settings: DataSettings, task: Task) -> Examined:
    """All that `ingest` finds out, with nothing written.

    >>> from lingqu.tasks import find_task
    >>> found = examine(DataSettings(source="sklearn:iris"), find_task("tabular-classification"))
    >>> len(found.profile["labels"]), sum(found.profile["rows"].values())
    (3, 150)
    """
    prepared = prepare(task, settings)
    columns: dict[str, list[Any]] = {name: [] for name in prepared.kinds}
    examples: dict[str, str] = {}
    with Marks(prepared, task, settings) as marks:
        for typed in prepared:
            marks.add(typed)
            _exemplify(typed.rows, examples)
            for name, cells in columns.items():
                cells += typed.rows[name]
        _enough(prepared, settings)
        _two_classes(marks.targets.values, prepared, task)
        divided = divide(marks, task, settings)
    rows = Rows(columns)
    splits = {split: rows.take(divided.places(split).tolist()) for split in SPLITS}
    keys = {split: divided.keys(divided.places(split)) for split in SPLITS}
    findings = [*prepared.findings, *divided.findings, *review(splits, prepared.kinds, task)]
    profile = look_over(splits, prepared.kinds, task, findings)
    return Examined(_preview(prepared, task, len(rows), examples), profile, splits, keys)


def _enough(prepared: Prepared, settings: DataSettings) -> None:
    """DataError when too many rows are broken, or there is none."""
    broken = prepared.quarantined
    if len(broken) > settings.max_bad * prepared.seen or not prepared.seen:
        raise DataError(too_many(broken, prepared.seen, settings.max_bad))


def _exemplify(rows: Rows, examples: dict[str, str]) -> None:
    """The first cell of each column that has one yet, as people look at it."""
    for name in rows.names:
        value = next((value for value in rows[name] if value is not None), None) if not examples.get(name) else None
        if value is not None:
            examples[name] = f"{len(value):,} bytes" if isinstance(value, bytes) else str(value)[:60]


def _preview(prepared: Prepared, task: Task, rows: int, examples: dict[str, str]) -> Preview:
    roles = {role: column for role, column in prepared.columns.items() if role in roles_of(task)}
    shown = {name: examples.get(name, "") for name in prepared.kinds}
    return Preview(rows, prepared.kinds, roles, shown, len(prepared.quarantined), tuple(prepared.findings))


def _two_classes(targets: Sequence[Any], prepared: Prepared, task: Task) -> None:
    """DataError when all rows have one label, before anything is trained on them."""
    kind = prepared.kinds[task.target.name]
    labels = {name for found in label_names(targets, kind) or [] for name in found}
    if kind in ("label", "labels") and len(labels) < 2:
        advice = f"Check data.columns.{task.target.name}, or add rows of another class."
        raise DataError(Problem("at least two different labels", f"{sorted(labels)} in every row", advice))


def _quarantine(prepared: Prepared, settings: DataSettings, store: Store) -> str:
    """The digest of the rows set aside, as a blob; DataError when there are too many of them."""
    broken = prepared.quarantined
    if not prepared.seen:
        raise DataError(too_many(broken, 0, settings.max_bad))
    if not broken:
        return ""
    digest = store.put_json([one.as_dict() for one in broken])
    if len(broken) > settings.max_bad * prepared.seen:
        raise DataError(too_many(broken, prepared.seen, settings.max_bad, store.path(digest)))
    return digest


def too_many(broken: Sequence[Quarantined], seen: int, max_bad: float, path: Path | None = None) -> list[Problem]:
    """What is told when more rows are broken than `data.max_bad` allows: how many, where they all are, the first five.

    >>> print(too_many([Quarantined("a.csv", 7, "no label")], 10, 0.01, Path("q.json"))[0])
    Expected at most 1% broken rows (data.max_bad), found 1 of 10 (10%). All of them, with reasons, are in q.json.
    """
    if not seen:
        return [Problem("rows", "none", "Check data.source.")]
    share = f"{len(broken):,} of {seen:,} ({100 * len(broken) / seen:.3g}%)"
    where = f"All of them, with reasons, are in {path}." if path else "`lingqu run` writes all of them with reasons."
    first = Problem(f"at most {100 * max_bad:.3g}% broken rows (data.max_bad)", share, where)
    rest = [
        Problem(
            "a whole row", one.reason, f"It reads: {one.raw[:80]}" if one.raw else "", f"{one.source} row {one.row}"
        )
        for one in broken[:5]
    ]
    return [first, *rest]


def _write(parts: Parts, divided: Divided, asked: Array, store: Store, identity: str) -> str:
    """One Parquet file per split, as a folder blob; its digest."""

    def beside(rows: Array) -> dict[str, list[str]]:
        return {ROW: [digest.tobytes().hex() for digest in asked[rows]], GROUP: divided.keys(rows)}

    work = store.work(f"data-{identity}")
    for split in SPLITS:
        with open_output(work / f"{split}.parquet") as file:
            parts.write(file, divided.places(split), beside)
    folder = store.put_folder(work)
    store.clear_work(f"data-{identity}")
    return folder
