"""The user's own files, from which data versions were read: lingqu never writes in them, and says which rows hold it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lingqu.data.forgotten import Rules
from lingqu.data.sources import named_sources, raw_rows
from lingqu.errors import LingquError
from lingqu.registry import Registry
from lingqu.spec import DataSettings
from lingqu.spec.addresses import called, scheme
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

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values, without the columns."""
        return {name: value for name, value in asdict(self).items() if name != "columns"}


def origins(store: Store, rules: Rules) -> list[Origin]:
    """Every source that registered versions were read from, each once."""
    found: dict[str, Origin] = {}
    for version in reversed(Registry(store).versions()):
        try:
            # A spec lies beside its store unless somebody keeps the store elsewhere.
            settings = DataSettings(**version.spec.get("data", {})).at(store.folder.parent)
        except (ValueError, LingquError):
            continue
        listed = named_sources(settings)
        away = [source for source in listed.values() if scheme(source) or not Path(source).exists()]
        for source in away:
            why = "an address, which is not looked into" if scheme(source) else "not found; look through it yourself"
            found.setdefault(called(source), Origin(called(source), 0, (), (), why))
        if not away and not all(called(source) in found for source in listed.values()):
            for origin in _read(settings, [*listed.values()], rules):
                found.setdefault(origin.source, origin)
    return [*found.values()]


def _read(settings: DataSettings, listed: Sequence[str], rules: Rules) -> list[Origin]:
    rows: dict[str, list[int]] = {source: [] for source in listed}
    names: dict[str, dict[str, None]] = {source: {} for source in listed}
    try:
        for raw in raw_rows(settings):
            names[raw.source] |= dict.fromkeys(raw.rows.names)
            rows[raw.source] += [raw.numbers[place] for place in sorted(rules.places(raw.rows))]
    except (LingquError, OSError) as error:
        return [Origin(called(source), 0, (), (), f"it cannot be read: {error}") for source in listed]
    return [
        Origin(called(source), len(found), tuple(found[:SHOWN]), tuple(names[source])) for source, found in rows.items()
    ]
