"""All rows that the settings name, from one source or from one per split, end to end."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lingqu.contract import Rows, Task
from lingqu.data.findings import Finding
from lingqu.data.image_folder import stray_files
from lingqu.data.pictures import SUFFIXES as PICTURES
from lingqu.data.quarantine import Quarantined
from lingqu.data.readers import append_rows, fingerprint, read
from lingqu.data.roles import check_named, roles_of
from lingqu.errors import DataError, Problem
from lingqu.spec.addresses import called, scheme
from lingqu.spec.settings import DataSettings


@dataclass(frozen=True, slots=True)
class Gathered:
    """Raw rows with where each came from: `origins` are positions in `sources`, `numbers` count rows of the source."""

    rows: Rows
    splits: list[str]
    origins: list[int]
    numbers: list[int]
    sources: list[str]
    quarantined: list[Quarantined]
    findings: list[Finding] = field(default_factory=list)

    def quarantine(self, i: int, reason: str) -> Quarantined:
        """Row `i` set aside, with as much of it as helps to find it."""
        raw = ", ".join(f"{name}={_short(value)}" for name, value in self.rows.row(i).items() if value is not None)
        return Quarantined(called(self.sources[self.origins[i]]), self.numbers[i], reason, raw[:500])


def _short(value: Any) -> str:
    return f"<{len(value):,} bytes>" if isinstance(value, bytes) else str(value)[:100]


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


def gather(settings: DataSettings, task: Task) -> Gathered:
    """Every row of every source; DataError when the sources do not fit together."""
    columns: dict[str, list[Any]] = {}
    splits: list[str] = []
    origins: list[int] = []
    numbers: list[int] = []
    quarantined: list[Quarantined] = []
    problems: list[Problem] = []
    named = named_sources(settings)
    first: tuple[str, ...] = ()
    for origin, (split, source) in enumerate(named.items()):
        table = read(source, encoding=settings.encoding, delimiter=settings.delimiter)
        if origin:
            problems += _missing(first, table.rows.names, task, settings, source)
        first = first or table.rows.names
        append_rows(columns, table.rows, len(splits))
        splits += [split] * len(table.splits) if split else table.splits
        origins += [origin] * len(table.splits)
        numbers += table.numbers
        quarantined += table.quarantined
    if problems:
        raise DataError(problems)
    findings = [one for source in named.values() if not scheme(source) for one in stray_files(Path(source))]
    return Gathered(Rows(columns), splits, origins, numbers, list(named.values()), quarantined, findings)


def _missing(
    first: tuple[str, ...], names: tuple[str, ...], task: Task, settings: DataSettings, source: str
) -> list[Problem]:
    """What a later source lacks: the columns of the roles, and for a table every column of the first."""
    given = {settings.columns.get(role, role) for role in roles_of(task)}
    wanted = [name for name in first if task.takes_features or name in given]
    ignored = {name for name, kind in settings.types.items() if kind == "ignore"}
    where = called(source)
    missing = [name for name in wanted if name not in ignored and name not in names]
    return [problem for name in missing for problem in check_named(names, {f"the rows of {where}": name})]
