"""All rows that the settings name, from one source or from one per split, as often as they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lingqu.contract import Rows, Task
from lingqu.data.findings import Finding
from lingqu.data.forgotten import Rules
from lingqu.data.image_folder import stray_files
from lingqu.data.pictures import SUFFIXES as PICTURES
from lingqu.data.quarantine import RAW_CAP, Quarantined, cut
from lingqu.data.readers import fingerprint, stream
from lingqu.data.roles import check_named, roles_of
from lingqu.data.types import Inference
from lingqu.errors import DataError, Problem
from lingqu.spec.addresses import called, scheme
from lingqu.spec.settings import DataSettings


@dataclass(frozen=True, slots=True)
class Raw:
    """Some rows of a source that could be read, with the number of each, and beside them those that could not."""

    rows: Rows
    numbers: list[int]
    split: str
    source: str
    quarantined: list[Quarantined]
    held: frozenset[int] = frozenset()
    """The numbers of the rows that could not be read and hold what `raw_rows` was asked to look for."""

    def quarantine(self, i: int, reason: str, names: tuple[str, ...]) -> Quarantined:
        """Row `i` set aside, with as much of these columns as helps to find it."""
        cells = ((name, self.rows[name][i]) for name in names if name in self.rows)
        raw = ", ".join(f"{name}={_short(value)}" for name, value in cells if value is not None)
        return Quarantined(called(self.source), self.numbers[i], reason, cut(raw, RAW_CAP))


def _short(value: Any) -> str:
    return f"<{len(value):,} bytes>" if isinstance(value, bytes) else cut(str(value), 100)


def raw_rows(settings: DataSettings, forgotten: Rules | None = None, sought: Rules | None = None) -> Iterator[Raw]:
    """Every row of every source in order, a batch at a time; without those that were forgotten, as if they were not there.

    Broken rows that hold what is `sought` are told by their numbers, also where what is kept of them is too short to show it.

    >>> sum(len(raw.rows) for raw in raw_rows(DataSettings(source="sklearn:iris")))
    150
    """
    for split, source in named_sources(settings).items():
        for part in stream(source, encoding=settings.encoding, delimiter=settings.delimiter):
            rows = part.good().rows
            # The reader of JSON calls a column "" when not one object of a batch could be read.
            rows = rows.select(name for name in rows.names if name)
            numbers = [part.first + i for i in range(len(part.rows)) if i not in part.faults]
            broken = part.quarantined(called(str(source)))
            if forgotten:
                gone = forgotten.places(rows)
                kept = [i for i in range(len(rows)) if i not in gone]
                rows, numbers = rows.take(kept), [numbers[i] for i in kept]
                broken = [one for one in broken if not forgotten.in_broken(part.raw.get(one.row - part.first, ""))]
            lines = part.raw.items() if sought else ()
            held = frozenset(part.first + i for i, line in lines if sought and sought.in_broken(line))
            yield Raw(rows, numbers, split or part.split, source, broken, held)


@dataclass(frozen=True, slots=True)
class Survey:
    """What a first reading of all rows has shown: the columns in order, their kinds, and what is worth telling."""

    names: tuple[str, ...]
    seen: Inference
    findings: list[Finding]


def survey(settings: DataSettings, task: Task, forgotten: Rules | None = None) -> Survey:
    """Read every row of every source once; DataError when the sources do not fit together.

    >>> from lingqu.tasks import find_task
    >>> survey(DataSettings(source="sklearn:iris"), find_task("tabular-classification")).names[-1]
    'label'
    """
    named = {name for name in (settings.group, settings.time) if name}
    seen = Inference({*settings.types, *settings.columns.values(), *named})
    columns: dict[str, dict[str, None]] = {source: {} for source in named_sources(settings).values()}
    for raw in raw_rows(settings, forgotten):
        columns[raw.source] |= dict.fromkeys(raw.rows.names)
        # What test rows hold must not decide how training rows are read.
        if raw.split in ("", "train"):
            seen.add(raw.rows)
    first, *later = columns.items()
    problems = [one for source, names in later for one in _missing([*first[1]], [*names], task, settings, source)]
    if problems:
        raise DataError(problems)
    findings = [one for source in columns if not scheme(source) for one in stray_files(Path(source))]
    return Survey(tuple({name: None for names in columns.values() for name in names}), seen, findings)


def named_sources(settings: DataSettings) -> dict[str, str]:
    """The source of each given split, or of "" when there is one for all.

    >>> named_sources(DataSettings(source={"train": "a.csv", "test": "b.csv"}))
    {'train': 'a.csv', 'test': 'b.csv'}
    """
    if isinstance(settings.source, str):
        return {"": settings.source}
    given = {"train": settings.source.train, "validation": settings.source.validation, "test": settings.source.test}
    return {split: source for split, source in given.items() if source}


def fingerprints(settings: DataSettings) -> dict[str, str]:
    """SHA-256 of every source, and of the folder of images if there is one, by its name in the settings.

    >>> sorted(fingerprints(DataSettings(source="sklearn:iris")))
    ['source']
    """
    digests = {split or "source": fingerprint(source) for split, source in named_sources(settings).items()}
    return digests | ({"root": fingerprint(settings.root, PICTURES)} if settings.root else {})


def _missing(first: list[str], names: list[str], task: Task, settings: DataSettings, source: str) -> list[Problem]:
    """What a later source lacks: the columns of the roles, and for a table every column of the first."""
    given = {settings.columns.get(role, role) for role in roles_of(task)}
    wanted = [name for name in first if task.takes_features or name in given]
    ignored = {name for name, kind in settings.types.items() if kind == "ignore"}
    where = called(source)
    missing = [name for name in wanted if name not in ignored and name not in names]
    return [problem for name in missing for problem in check_named(names, {f"the rows of {where}": name})]
