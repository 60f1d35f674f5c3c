"""The user's own files, from which data versions were read: lingqu never writes in them, and says which rows hold it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lingqu.data.forgotten import Rules
from lingqu.data.sources import named_sources, raw_rows
from lingqu.errors import LingquError
from lingqu.registry import Registry, Version
from lingqu.spec import DataSettings
from lingqu.spec.addresses import called, scheme, sheet_of
from lingqu.store import Store

SHOWN = 100


@dataclass(frozen=True, slots=True)
class Origin:
    """A source of rows and those of its rows that go, counted from 1 without the header; or why it was not looked into."""

    source: str
    count: int
    rows: tuple[int, ...]
    columns: tuple[str, ...] = ()
    why: str = ""
    places: frozenset[int] = frozenset()
    """All of these rows, where `rows` are the first of them."""
    within: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """By column, those of these rows that could be read and of which that column says so."""
    path: str = ""
    """The source as the settings name it, where `source` is what people are told: two folders may hold files of one name."""

    def to_json(self) -> dict[str, Any]:
        """What is told of it as JSON values."""
        return {"source": self.source, "count": self.count, "rows": self.rows, "why": self.why}


def located(store: Store, version: Version) -> DataSettings | None:
    """Where a version's rows were read from, and how; None where its spec says no more what is understood."""
    try:
        # A spec lies beside its store unless somebody keeps the store elsewhere.
        return DataSettings(**version.spec.get("data", {})).at(store.folder.parent)
    except (ValueError, LingquError):
        return None


def origins(store: Store, rules: Rules) -> list[Origin]:
    """Every source that registered versions were read from, each once."""
    found: dict[str, Origin] = {}
    for version in reversed(Registry(store).versions()):
        settings = located(store, version)
        if settings is None:
            continue
        listed = named_sources(settings)
        away = [source for source in listed.values() if scheme(source) or not Path(sheet_of(source)[0]).exists()]
        for source in away:
            why = "an address, which is not looked into" if scheme(source) else "not found; look through it yourself"
            found.setdefault(source, Origin(called(source), 0, (), (), why, path=source))
        if not away and not all(source in found for source in listed.values()):
            for origin in _read(settings, [*listed.values()], rules):
                found.setdefault(origin.path, origin)
    return [*found.values()]


def _read(settings: DataSettings, listed: Sequence[str], rules: Rules) -> list[Origin]:
    rows: dict[str, list[int]] = {source: [] for source in listed}
    within: dict[str, dict[str, set[int]]] = {source: {} for source in listed}
    try:
        for raw in raw_rows(settings, sought=rules):
            held = {*raw.held}
            for name in raw.rows.names:
                mine = {raw.numbers[place] for place in rules.places(raw.rows.select([name]))}
                within[raw.source].setdefault(name, set()).update(mine)
                held |= mine
            rows[raw.source] += sorted(held)
    except (LingquError, OSError) as error:
        return [Origin(called(source), 0, (), (), f"it cannot be read: {error}", path=source) for source in listed]
    return [_origin(source, found, within[source]) for source, found in rows.items()]


def _origin(source: str, rows: Sequence[int], within: Mapping[str, set[int]]) -> Origin:
    columns = {name: frozenset(mine) for name, mine in within.items()}
    return Origin(called(source), len(rows), tuple(rows[:SHOWN]), tuple(columns), "", frozenset(rows), columns, source)
