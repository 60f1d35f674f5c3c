"""Rows that are theirs by what their data version leaves out: found by reading again what it was read from.

A data version keeps neither the columns that the spec leaves out (`types: {user: ignore}`) nor the names of pictures. So
its source is read once more, each row typed as it was for this version, with what the source says of whose it is; and the
rows of the version are told by the digests of their content. Of rows with the same content as many go as nobody else has,
those that train first. No more is held of a row than its digest, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from lingqu.data.forgotten import Rules, remembered
from lingqu.data.roles import roles_of
from lingqu.data.sources import fingerprints, named_sources
from lingqu.data.version import DataVersion
from lingqu.errors import LingquError
from lingqu.feedback.forget.again import Found, Reading
from lingqu.feedback.forget.origins import Origin, located
from lingqu.feedback.forget.rows import Touched
from lingqu.feedback.forget.wanted import Wanted
from lingqu.registry import Registry
from lingqu.spec import DataSettings
from lingqu.store import Store, canonical_json
from lingqu.tasks import find_task


@dataclass(frozen=True, slots=True)
class Unsure:
    """A data version of which some rows may be theirs, and nobody can tell any more: how many, and why."""

    data: str
    models: tuple[str, ...]
    rows: int
    why: str

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)


class _Place:
    """Where rows were read from, by the specs of some registered versions, and how; `origins` say what is there now."""

    def __init__(self, settings: DataSettings, known: Mapping[str, Origin]) -> None:
        self.settings = settings
        self.origins = [known[source] for source in named_sources(settings).values() if source in known]
        self.data: set[str] = set()
        """The data versions of these versions."""

    @property
    def away(self) -> str:
        """Why it cannot be read, or nothing."""
        whys = (f"{origin.source}: {origin.why.partition(';')[0]}" for origin in self.origins if origin.why)
        return next(whys, "")

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 of what is there now."""
        try:
            return {} if self.away else fingerprints(self.settings)
        except (LingquError, OSError):
            return {}

    def hides(self, data: DataVersion) -> bool:
        """Whether a row of it is theirs, and none of the columns that this version keeps says so."""
        kept = {data.columns.get(name, name) for name, kind in data.kinds.items() if kind != "image"}
        for origin in self.origins:
            shown = frozenset[int]().union(*(rows for name, rows in origin.within.items() if name in kept))
            if any(rows - shown for rows in origin.within.values()):
                return True
        return False

    def as_for(self, data: DataVersion) -> DataSettings:
        """The settings that read it as this version holds it: the columns that it has, each of the kind that it has."""
        roles = {role: data.columns[role] for role in roles_of(find_task(data.task)) if role in data.columns}
        types = {name: "ignore" for origin in self.origins for name in origin.columns}
        types |= {data.columns.get(name, name): kind for name, kind in data.kinds.items()}
        types = {name: kind for name, kind in types.items() if name not in roles.values()}
        update = {"columns": roles, "types": types, "group": None, "time": None, "identity": []}
        return self.settings.model_copy(update=update)


class _Search:
    """Every data version of a store, compared with what is there now of the sources that it was read from."""

    def __init__(self, store: Store, wanted: Wanted, origins: Iterable[Origin]) -> None:
        self.store, self.wanted = store, wanted
        told = remembered(store)
        mine = set(wanted.rules.rules)
        self.before = Rules([rule for rule in told.rules if rule not in mine] if told else [], wanted.rules.secret)
        """What other requests let go: a version may hold it no more, or, of an older lingqu, still."""
        self._ignored = ignored(store)
        self._models: dict[str, list[str]] = {}
        self._places: dict[bytes, _Place] = {}
        self._readings: dict[bytes, Reading] = {}
        known = {origin.path: origin for origin in origins}
        for version in Registry(store).versions():
            self._models.setdefault(version.data_version, []).append(version.reference)
            settings = located(store, version)
            if settings is not None:
                self._places.setdefault(_key(settings), _Place(settings, known)).data.add(version.data_version)

    def of(self, data: DataVersion) -> tuple[Touched | None, Unsure | None]:
        """What goes of a version, and what nobody can tell of it."""
        best: Found | None = None
        hidden, why = self._may_hide(data), "no spec names its source"
        if not hidden and not any(place.hides(data) for place in self._places.values()):
            return None, None
        for place in self._candidates(data):
            if place.away:
                why = place.away
                continue
            hides = place.hides(data)
            if not hides and place.digests and place.digests == _sources(data):
                return None, None
            if hides or hidden:
                found = self._compared(place, data)
                if isinstance(found, str):
                    why = found
                elif best is None or found.strange < best.strange:
                    best = found
            if best is not None and not best.strange:
                break
        if best is None:
            return None, self._unsure(data, data.rows_in_all, why) if hidden else None
        unsure = self._unsure(data, best.strange, f"{best.source}: not there any more") if best.strange else None
        return Touched(data, best.places) if best.places else None, unsure

    def _unsure(self, data: DataVersion, rows: int, why: str) -> Unsure:
        return Unsure(data.id, tuple(self._models.get(data.id, ())), rows, why)

    def _may_hide(self, data: DataVersion) -> bool:
        """Whether this version leaves something out that may say whose a row is."""
        names = set(self._ignored.get(data.id, ()))
        if "root" in data.sources:
            names |= {data.columns.get(name, name) for name, kind in data.kinds.items() if kind == "image"}
        return bool(names if self.wanted.column is None else names & self.wanted.columns)

    def _candidates(self, data: DataVersion) -> Iterator[_Place]:
        """Where its rows may be: what is the same as it was read, what its spec names, and else all that there is."""
        places, sources = [*self._places.values()], _sources(data)
        ranked = [place for place in places if place.digests == sources]
        ranked += [place for place in places if data.id in place.data and place not in ranked]
        yield from ranked
        if all(place.away for place in ranked):
            yield from (place for place in places if place not in ranked and not place.away)

    def _compared(self, place: _Place, data: DataVersion) -> Found | str:
        """What a place says of a version's rows; why it says nothing when it cannot be read as this version was."""
        try:
            settings = place.as_for(data)
            key = canonical_json([settings.model_dump(mode="json"), data.task])
            if key not in self._readings:
                self._readings[key] = Reading(settings, find_task(data.task), self.wanted.rules, self.before)
            return self._readings[key].compared(data, self.store)
        except (LingquError, OSError) as error:
            return f"{place.origins[0].source}: it is read otherwise now: {error}"


def left_out(
    store: Store, wanted: Wanted, known: Iterable[DataVersion], origins: Iterable[Origin]
) -> tuple[list[Touched], list[Unsure]]:
    """The data versions that hold rows which are theirs by what these versions leave out; and those that may hold some."""
    search = _Search(store, wanted, origins)
    found = [search.of(data) for data in known]
    return [touched for touched, _ in found if touched], [*dict.fromkeys(unsure for _, unsure in found if unsure)]


def ignored(store: Store) -> dict[str, set[str]]:
    """By data version, the columns that its spec left out."""
    told = [(version.data_version, version.spec.get("data", {})) for version in Registry(store).versions()]
    stages = [stage for stage in store.records.stages() if stage["name"] == "data"]
    told += [(stage["result"]["id"], stage["inputs"].get("settings", {})) for stage in stages]
    found: dict[str, set[str]] = {}
    for data, settings in told:
        names = {name for name, kind in settings.get("types", {}).items() if kind == "ignore"}
        found.setdefault(data, set()).update(names)
    return found


def _sources(data: DataVersion) -> dict[str, str]:
    """What its rows were read from, without what feedback brought."""
    return {name: digest for name, digest in data.sources.items() if name != "feedback"}


def _key(settings: DataSettings) -> bytes:
    names = {"source", "root", "encoding", "delimiter", "label_delimiter"}
    return canonical_json(settings.model_dump(mode="json", include=names))
