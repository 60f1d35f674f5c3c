"""From raw rows to typed rows under the task's names: roles found, kinds inferred, cells converted, pictures looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lingqu.contract import Rows, Task
from lingqu.data.cells import plain_cell
from lingqu.data.findings import Finding
from lingqu.data.pictures import PictureFault, read_named
from lingqu.data.quarantine import Quarantined
from lingqu.data.roles import check_named, find_roles, new_names
from lingqu.data.similar_images import thumbnail
from lingqu.data.sources import Gathered
from lingqu.data.types import convert, infer
from lingqu.errors import DataError, Problem
from lingqu.spec.settings import DataSettings

if TYPE_CHECKING:
    from lingqu.contract.task import Array

PER_COLUMN = {
    "id": "holds names of things (ids), which no model may learn from",
    "time": "holds times, which are not used as a feature",
    "text": "holds free text, which a table's model cannot use",
    "image": "holds pictures, which this task does not use",
    "ignore": "has no value in any row",
}


@dataclass(frozen=True, slots=True)
class Prepared:
    """Good rows under the task's names with the kind of each column, and all that was set aside on the way."""

    rows: Rows
    kinds: dict[str, str]
    columns: dict[str, str]
    splits: list[str]
    quarantined: list[Quarantined]
    thumbnails: list[Array] | None
    findings: list[Finding]
    seen: int


def prepare(raw: Gathered, task: Task, settings: DataSettings) -> Prepared:
    """Typed rows; DataError for roles that no column plays and columns that do not exist."""
    roles = find_roles(task, settings.columns, raw.rows.names)
    found = _kinds(raw, task, settings, roles)
    used = set(roles.values())
    kinds = {name: "ignore" if kind == "image" and name not in used else kind for name, kind in found.items()}
    typed, faults = convert(_parted(raw.rows, kinds, settings), kinds)
    names = new_names(roles, raw.rows.names)
    typed, thumbnails = _look(typed, kinds, raw, settings, faults)
    typed = typed.rename(names)
    held = {names[column]: kind for column, kind in kinds.items() if kind != "ignore"}
    _require(typed, task, held, roles, faults)
    good = [i for i in range(len(typed)) if i not in faults]
    order = [*roles, *(name for name in typed.names if name not in roles)]
    return Prepared(
        rows=typed.take(good).select(order),
        kinds={name: held[name] for name in order},
        columns=dict(roles) | {new: old for old, new in names.items() if new != old and new not in roles},
        splits=[raw.splits[i] for i in good],
        quarantined=raw.quarantined + [raw.quarantine(i, faults[i]) for i in sorted(faults)],
        thumbnails=None if thumbnails is None else [thumbnails[i] for i in good],
        findings=[*raw.findings, *_ignored(found, roles, task)],
        seen=len(typed) + len(raw.quarantined),
    )


def _parted(rows: Rows, kinds: Mapping[str, str], settings: DataSettings) -> Rows:
    """Cells of several labels as lists, where the settings say what stands between them."""
    if settings.label_delimiter == "auto":
        return rows
    parted = {
        name: [value.split(settings.label_delimiter) if isinstance(value, str) else value for value in rows[name]]
        for name, kind in kinds.items()
        if kind == "labels"
    }
    return rows.with_columns({name: list(map(plain_cell, values)) for name, values in parted.items()})


def _kinds(raw: Gathered, task: Task, settings: DataSettings, roles: Mapping[str, str]) -> dict[str, str]:
    """The kind of each source column; what plays a role has the kind that the task says."""
    by_task = {column.name: column.kind for column in (*task.columns, task.target)}
    given: dict[str, str] = {column: by_task[role] for role, column in roles.items()}
    problems = check_named(raw.rows.names, {f"data.types.{name}": name for name in settings.types})
    named = {"data.group": settings.group, "data.time": settings.time}
    problems += check_named(raw.rows.names, {setting: name for setting, name in named.items() if name})
    for name, kind in settings.types.items():
        if name in given and kind != given[name] and not (kind == "category" and given[name] == "label"):
            found = f"{kind!r} under data.types"
            problems.append(Problem(f"the kind {given[name]!r} for the column {name!r}", found, "Leave it out there."))
    if problems:
        raise DataError(problems)
    if settings.group and settings.group not in given:
        given[settings.group] = settings.types.get(settings.group, "id")
    if settings.time:
        given[settings.time] = "time"
    rows = raw.rows
    if any(split not in ("", "train") for split in raw.splits):
        # What test rows hold must not decide how training rows are read.
        learned = [i for i, split in enumerate(raw.splits) if split in ("", "train")]
        rows = rows.take(learned)
    return infer(rows, {**settings.types, **given})


def _look(
    typed: Rows, kinds: Mapping[str, str], raw: Gathered, settings: DataSettings, faults: dict[int, str]
) -> tuple[Rows, list[Any] | None]:
    """Picture names replaced by the pictures, and a thumbnail of each; those that cannot be read are faults."""
    pictures = [name for name, kind in kinds.items() if kind == "image"]
    if not pictures:
        return typed, None
    thumbs: list[Any] = [None] * len(typed)
    root = Path(settings.root) if settings.root else None
    if root is None and any(isinstance(value, str) for name in pictures for value in typed[name]):
        # Without it nobody could tell that a picture has changed since the last run.
        expected = "the folder of the pictures that the table names"
        raise DataError(Problem(expected, "no data.root", "Name it: data: {root: photos}."))
    for name in pictures:
        cells: list[bytes | None] = []
        for i, value in enumerate(typed[name]):
            cells.append(None)
            if value is None or i in faults:
                continue
            try:
                data: bytes = read_named(value, root or Path()) if isinstance(value, str) else value
                thumbs[i] = thumbnail(data)
                cells[i] = data
            except PictureFault as error:
                faults[i] = str(error)
        typed = typed.with_columns({name: cells})
    return typed, thumbs


def _require(
    typed: Rows, task: Task, kinds: Mapping[str, str], roles: Mapping[str, str], faults: dict[int, str]
) -> None:
    """Rows without what the task needs are set aside: no target, no text or picture, or not one feature."""
    for role, column in roles.items():
        if role not in typed:
            found = f"no value in any row of the column {column!r}"
            raise DataError(Problem(f"rows with {role}", found, "Check data.columns."))
        for i, value in enumerate(typed[role]):
            if value is None and i not in faults:
                faults[i] = f"no {role}"
    if task.takes_features:
        features = [name for name in typed.names if name not in roles and kinds[name] in ("number", "category")]
        if not features:
            raise DataError(
                Problem("at least one column of numbers or categories", "none", "Say their kinds: data.types.")
            )
        for i, cells in enumerate(zip(*(typed[name] for name in features), strict=True)):
            if i not in faults and all(cell is None for cell in cells):
                faults[i] = "no value in any feature"


def _ignored(kinds: Mapping[str, str], roles: Mapping[str, str], task: Task) -> list[Finding]:
    if not task.takes_features:
        return []
    advice = "Say otherwise with data.types."
    return [
        Finding("note", f"not-a-feature-{kind}", f"Column {name!r} {PER_COLUMN[kind]}. {advice}", name)
        for name, kind in kinds.items()
        if kind in PER_COLUMN and name not in roles.values()
    ]
