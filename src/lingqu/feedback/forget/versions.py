"""Registered versions: the models that learned from rows that go, and all that shows something of them, cleared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from lingqu.bundle.folder import restate
from lingqu.data.overview import shown_row
from lingqu.data.version import DataVersion
from lingqu.evaluate.doubts import pictures
from lingqu.feedback.forget.rows import Touched
from lingqu.feedback.forget.wanted import Wanted
from lingqu.registry import Registry, Version
from lingqu.store import Store, canonical_json

Change = Callable[[Any], Any]


def clear_version(
    store: Store, version: Version, touched: Touched | None, data: DataVersion | None, wanted: Wanted | None
) -> Version | None:
    """The version without what is forgotten, its bundle and report written anew; None when nothing in it is."""
    change: Change = lambda value: value  # noqa: E731 - nothing to clear but rows
    if wanted is not None:
        change = wanted.keeping(_labels(store, version)).cleared
    report = store.get_json(version.lineage["report"])
    before = canonical_json(report)
    if touched is not None and data is not None:
        report = _without_rows(store, report, touched, data)
    report = change(report)
    bundle = _bundle(store, version, change)
    told = {name: change(value) for name, value in version.to_json().items() if name in ("metrics", "decision", "spec")}
    new = replace(version, bundle=bundle, data_version=data.id if data else version.data_version, **told)
    if canonical_json(report) != before:
        digest = store.put_json(report)
        new = replace(new, run=digest, lineage={**report.get("lineage", {}), "report": digest})
    return None if new == version else new


def _labels(store: Store, version: Version) -> list[str]:
    found = store.get_json(version.lineage["report"]).get("labels")
    return [str(label) for label in found] if isinstance(found, list) else []


def _bundle(store: Store, version: Version, change: Change) -> str:
    work = store.work(f"forget-{version.bundle}")
    try:
        if restate(store.folder_path(version.bundle), work, change):
            return store.put_folder(work)
        return version.bundle
    finally:
        store.clear_work(f"forget-{version.bundle}")


def _without_rows(store: Store, report: dict[str, Any], touched: Touched, data: DataVersion) -> dict[str, Any]:
    """The report of a version whose data lost rows: what it shows of them goes, numbers stay as they were measured."""
    gone = touched.places.get("test", set())
    told = {
        name: _renumbered(value, gone) if name in ("mistakes", "explanations") else value
        for name, value in report.items()
    }
    told["data"] = data.as_dict()
    told["profile"] = data.look(store)
    # The network and the bundles on the way to this one learned from the rows; they are gone with their stages.
    told["network"], told["lineage"] = None, {"data": data.id}
    if gone and isinstance(told.get("doubts"), dict):
        rows = touched.data.rows("test", store)
        shown = {canonical_json({**shown_row(rows, place), **pictures(rows.row(place))}) for place in gone}
        kept = [row for row in told["doubts"]["rows"] if canonical_json(_given(row)) not in shown]
        told["doubts"] = {**told["doubts"], "rows": kept}
    return told


def _given(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row that was doubted as it was given, without what the model says of it."""
    return {name: value for name, value in row.items() if name != "probably"}


def _renumbered(value: Any, gone: set[int]) -> Any:
    """A part of a report without the test rows at these places; the others are where they are now."""
    if isinstance(value, list):
        kept = [one for one in value if not (isinstance(one, dict) and one.get("row") in gone)]
        return [_renumbered(one, gone) for one in kept]
    if isinstance(value, dict):
        told = {name: _renumbered(inner, gone) for name, inner in value.items()}
        if isinstance(place := value.get("row"), int):
            told["row"] = place - sum(one < place for one in gone)
        return told
    return value


def concerned(registry: Registry, version: Version, data: DataVersion, rows: int, *, learned: bool) -> dict[str, Any]:
    """What is told of a model that the rows had a part in."""
    return {
        "name": version.name,
        "version": version.number,
        "aliases": aliases(registry, version.name, version.number),
        "rows": rows,
        "learned_from_them": learned,
        "data": data.id,
        "next": "lingqu improve" if "feedback" in data.sources else "lingqu run",
    }


def aliases(registry: Registry, name: str, number: int) -> list[str]:
    """The aliases that mean a version."""
    return sorted(alias for alias, version in registry.aliases(name).items() if version == number)
