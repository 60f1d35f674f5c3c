"""From raw rows to typed rows under the task's names: roles found, kinds inferred, cells converted, pictures looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lingqu.contract import Rows, Task
from lingqu.data.cells import plain_cell
from lingqu.data.findings import Finding
from lingqu.data.forgotten import Rules
from lingqu.data.pictures import PictureFault, read_named
from lingqu.data.quarantine import Quarantined
from lingqu.data.roles import check_named, find_roles, new_names
from lingqu.data.similar_images import thumbnail
from lingqu.data.sources import Raw, Survey, raw_rows, survey
from lingqu.data.types import convert
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

LARGEST = 1e100
"""The square of a number that is far larger is infinite, and so is the variance of its column."""


@dataclass(frozen=True, slots=True)
class Typed:
    """Some good rows under the task's names, a thumbnail of each where there are pictures, and where each stands in its source."""

    rows: Rows
    split: str
    thumbnails: list[Array] | None
    source: str
    numbers: list[int]


def prepare(task: Task, settings: DataSettings, forgotten: Rules | None = None) -> Prepared:
    """What the settings name, read once so that the kinds of its columns are known; forgotten rows are never seen.

    >>> from lingqu.tasks import find_task
    >>> prepared = prepare(find_task("tabular-classification"), DataSettings(source="sklearn:iris"))
    >>> sum(len(typed.rows) for typed in prepared), prepared.seen, prepared.kinds["label"]
    (150, 150, 'label')
    """
    return Prepared(task, settings, forgotten)


class Prepared:
    """Typed rows, a batch at a time, with the kind of each column; what is set aside on the way is kept beside.

    To make it reads all rows once, to find the kinds; each turn through it reads them again. `quarantined` and `seen`
    are those of the last whole turn. DataError for roles that no column plays and columns that do not exist.
    """

    def __init__(self, task: Task, settings: DataSettings, forgotten: Rules | None = None) -> None:
        self._forgotten = forgotten
        found = survey(settings, task, forgotten)
        roles = find_roles(task, settings.columns, found.names)
        kinds = _kinds(found, task, settings, roles)
        used = set(roles.values())
        self._task, self._settings, self._names, self._roles = task, settings, found.names, roles
        self._kinds = {name: "ignore" if kind == "image" and name not in used else kind for name, kind in kinds.items()}
        names = new_names(roles, found.names)
        held = {names[column]: kind for column, kind in self._kinds.items() if kind != "ignore"}
        order = [*roles, *(name for name in held if name not in roles)]
        if gone := [name for name in settings.identity if self._kinds[name] == "ignore"]:
            expected = "columns under data.identity that tell rows apart"
            raise DataError(Problem(expected, f"{name!r}, which is left out", "Leave it out there.") for name in gone)
        self._inside = names
        self.kinds = {name: held[name] for name in order}
        self.columns = dict(roles) | {new: old for old, new in names.items() if new != old and new not in roles}
        self._features = [name for name in order if name not in roles and held[name] in ("number", "category")]
        if task.takes_features and not self._features:
            expected = "at least one column of numbers or categories"
            raise DataError(Problem(expected, "none", "Say their kinds: data.types."))
        # What the settings leave out was seen by who wrote them.
        seen = {name: kind for name, kind in kinds.items() if settings.types.get(name) != "ignore"}
        self.findings = [*found.findings, *_ignored(seen, roles, task)]
        self.quarantined: list[Quarantined] = []
        self.seen = 0

    def __iter__(self) -> Iterator[Typed]:
        unread: list[Quarantined] = []
        unfit: list[Quarantined] = []
        good = 0
        for raw in raw_rows(self._settings, self._forgotten):
            unread += raw.quarantined
            found, faults = self._typed(raw)
            unfit += [raw.quarantine(i, faults[i], self._names) for i in sorted(faults)]
            good += len(found.rows)
            yield found
        self.quarantined = unread + unfit
        self.seen = good + len(self.quarantined)

    def _typed(self, raw: Raw) -> tuple[Typed, dict[int, str]]:
        """The good ones of some rows, and by position why the others are not."""
        lacking = {name: [None] * len(raw.rows) for name in self._kinds if name not in raw.rows}
        typed, faults = convert(_parted(raw.rows.with_columns(lacking), self._kinds, self._settings), self._kinds)
        typed, thumbnails = _look(typed, self._kinds, self._settings, faults)
        typed = typed.rename(self._inside).select(self.kinds)
        self._require(typed, faults)
        good = [i for i in range(len(typed)) if i not in faults]
        shown = None if thumbnails is None else [thumbnails[i] for i in good]
        numbers = [raw.numbers[i] for i in good]
        return Typed(typed.take(good) if faults else typed, raw.split, shown, raw.source, numbers), faults

    def _require(self, typed: Rows, faults: dict[int, str]) -> None:
        """Rows without what the task needs are set aside: no target, no text or picture, or not one feature."""
        for role in self._roles:
            for i, value in enumerate(typed[role]):
                if value is None:
                    faults.setdefault(i, f"no {role}")
        for name in (name for name, kind in self.kinds.items() if kind == "number"):
            _refuse_large(name, typed[name], faults)
        if self._task.takes_features:
            for i, cells in enumerate(zip(*(typed[name] for name in self._features), strict=True)):
                if all(cell is None for cell in cells):
                    faults.setdefault(i, "no value in any feature")


def _refuse_large(name: str, values: Sequence[float | None], faults: dict[int, str]) -> None:
    numbers = [value for value in values if value is not None]
    if numbers and not -LARGEST <= min(numbers) <= max(numbers) <= LARGEST:
        for i, value in enumerate(values):
            if value is not None and abs(value) > LARGEST:
                faults.setdefault(i, f"column {name!r}: {value:g} is too large a number to learn from")


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


def _kinds(found: Survey, task: Task, settings: DataSettings, roles: Mapping[str, str]) -> dict[str, str]:
    """The kind of each source column; what plays a role has the kind that the task says."""
    by_task = {column.name: column.kind for column in (*task.columns, task.target)}
    given: dict[str, str] = {column: by_task[role] for role, column in roles.items()}
    problems = check_named(found.names, {f"data.types.{name}": name for name in settings.types})
    named = {"data.group": settings.group, "data.time": settings.time}
    problems += check_named(found.names, {setting: name for setting, name in named.items() if name})
    problems += _identity(found, task, settings, roles)
    for name, kind in settings.types.items():
        if name in given and kind != given[name] and not (kind == "category" and given[name] == "label"):
            told = f"{kind!r} under data.types"
            problems.append(Problem(f"the kind {given[name]!r} for the column {name!r}", told, "Leave it out there."))
    if problems:
        raise DataError(problems)
    if settings.group and settings.group not in given:
        given[settings.group] = settings.types.get(settings.group, "id")
    if settings.time:
        given[settings.time] = "time"
    return found.seen.kinds(found.names, {**settings.types, **given})


def _identity(found: Survey, task: Task, settings: DataSettings, roles: Mapping[str, str]) -> list[Problem]:
    """What is wrong with the columns that tell a row from others."""
    if not settings.identity:
        return []
    if not task.takes_features:
        told = f"it for {task.name}, whose rows go by their {task.columns[0].name}"
        return [Problem("data.identity for tables only", told, "Leave it out.")]
    problems = check_named(found.names, {f"data.identity.{at}": name for at, name in enumerate(settings.identity, 1)})
    if roles[task.target.name] in settings.identity:
        told = f"{roles[task.target.name]!r}, the target, which may be corrected"
        problems.append(Problem("columns under data.identity that stay as they are", told, "Leave it out there."))
    return problems


def _look(
    typed: Rows, kinds: Mapping[str, str], settings: DataSettings, faults: dict[int, str]
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


def _ignored(kinds: Mapping[str, str], roles: Mapping[str, str], task: Task) -> list[Finding]:
    if not task.takes_features:
        return []
    advice = "Say otherwise with data.types."
    return [
        Finding("note", f"not-a-feature-{kind}", f"Column {name!r} {PER_COLUMN[kind]}. {advice}", name)
        for name, kind in kinds.items()
        if kind in PER_COLUMN and name not in roles.values()
    ]
