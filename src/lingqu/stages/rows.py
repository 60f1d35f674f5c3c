"""The first stage: rows are read, checked, typed, grouped and split; what could stop a later stage is found here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lingqu.data.forgotten import remembered
from lingqu.data.sources import fingerprints, named_sources
from lingqu.data.version import DataVersion
from lingqu.errors import DataError, Problem, RequestError, near
from lingqu.spec.addresses import scheme, sheet_of
from lingqu.spec.settings import DataSettings
from lingqu.stages.context import DATA, Context, Say


def data_version(context: Context) -> DataVersion:
    """The data version of the spec's rows; RequestError where gates or champion ask for columns that are not there."""
    spec, task, store = context.spec, context.task, context.store
    settings = spec.located_data()
    before = _states(settings)
    inputs = {
        "task": task.name,
        "settings": settings.model_dump(mode="json", exclude={"source", "root"}),
        "sources": fingerprints(settings),
    }
    if forgotten := remembered(store):
        inputs["forgotten"] = forgotten.digest()

    def work(_: Path, say: Say) -> dict[str, Any]:
        from lingqu.data.ingest import ingest

        version = ingest(settings, task, store, say)
        # The version is found again by what its sources held before they were read.
        if changed := [source for source, state in _states(settings).items() if state != before.get(source)]:
            found = f"{', '.join(Path(source).name for source in changed)} changed meanwhile"
            advice = "Run again when nobody writes there any more, or read a copy."
            raise DataError(Problem("sources that stay as they are while they are read", found, advice))
        return version.as_dict()

    told = context.once("data", inputs, DATA, work)
    data = DataVersion.from_dict(told)
    _check_slices(context, data)
    _check_champion(context, data)
    return data


def _states(settings: DataSettings) -> dict[str, tuple[int, ...] | None]:
    """What tells a file of rows that was written to from one that was not; folders and databases are not watched."""
    states: dict[str, tuple[int, ...] | None] = {}
    for source in named_sources(settings).values():
        path = Path(sheet_of(source)[0])
        if not scheme(source) and path.is_file():
            state = path.stat()
            states[source] = (state.st_ino, state.st_size, state.st_mtime_ns)
    return states


def _check_champion(context: Context, data: DataVersion) -> None:
    """RequestError for columns that the champion reads and these rows lack: no gate could compare the two."""
    from lingqu.bundle.trust import read_manifest
    from lingqu.registry import Registry

    spec, store = context.spec, context.store
    registry = Registry(store)
    champion = registry.alias(spec.name, "champion")
    if champion is None:
        return
    version = registry.get(f"{spec.name}@{champion[0]}")
    columns = read_manifest(store.folder_path(version.bundle, verify=False))["columns"]
    gone = [column["name"] for column in columns if column["name"] not in data.kinds and not column["missing"]]
    if gone:
        advice = "Bring it back, or give the spec another name: a model of its own needs no comparison."
        raise RequestError(
            Problem(f"the column {name!r} that the champion {version.reference} reads", "no such column", advice)
            for name in gone
        )


def _check_slices(context: Context, data: DataVersion) -> None:
    """RequestError for a column under gates.slices that cannot part the test rows, before anything is trained."""
    slices = context.spec.gates.slices
    if not slices:
        return
    from lingqu.evaluate.slices import slice_columns

    known = slice_columns(context.task, data.rows("test", context.store))
    unknown = [column for column in slices if column not in known]
    if unknown:
        expected = "a column under gates.slices that parts the test rows"
        raise RequestError(Problem(expected, repr(column), near(column, known)) for column in unknown)
