"""Labels as the rows of a file, and such a file come back: what this store knows stays what it is.

Each row holds the columns of the request, and beside them the label, the id of the feedback and its standing; a rating or
a reward says no right answer, and makes no row. Id and standing say of a file that it is an export. They are no cells of
a row, or equal rows would differ by them; what they name has been decided on already, so it is not brought anew by
whoever brings the file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lingqu.data.values import CellFault
from lingqu.errors import DataError, Problem
from lingqu.feedback.labels import MOST_TOLD, Wanted, cell_of, label_for
from lingqu.feedback.voice import ACCEPTED, LABEL, STANDINGS, Voice, voices
from lingqu.serve.journal import moment_of
from lingqu.store import Store

BEFORE = "feedback_"


@dataclass(frozen=True, slots=True)
class Marks:
    """The columns of an export that tell which feedback a row is, and where it stands."""

    id: str
    status: str | None

    def without(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row as it was before it was exported."""
        return {name: cell for name, cell in row.items() if name not in (self.id, self.status)}


@dataclass(frozen=True, slots=True)
class Returned:
    """The rows of a file without the marks of an export, and by their numbers, from 1, those that are not to be taken."""

    rows: list[dict[str, Any]]
    known: Collection[int] = ()
    """Feedback of this store."""
    unaccepted: Collection[int] = ()
    """Feedback of another store, or forgotten here, that was not accepted."""

    def taken(self) -> dict[int, dict[str, Any]]:
        """The others, by their numbers."""
        left = {*self.known, *self.unaccepted}
        return {place: row for place, row in enumerate(self.rows, 1) if place not in left}


def rows_of(given: Sequence[Voice], asked: Wanted) -> list[dict[str, Any]]:
    """Labels as rows of a file; no column of a request gives way to one of ours."""
    taken = {column for voice in given for column in voice.input or ()} | asked.inputs
    label = next((word for word in ("label", *asked.columns) if word not in taken), free("label", taken, BEFORE))
    id, status = (free(word, {*taken, *asked.columns}, BEFORE) for word in ("id", "status"))
    return [{**(voice.input or {}), label: cell_of(voice.label), id: voice.id, status: voice.status} for voice in given]


def free(name: str, taken: Collection[str], before: str) -> str:
    """A name that is not taken: this one, or one with these letters before it.

    >>> free("id", {"text"}, "feedback_"), free("id", {"id", "feedback_id"}, "feedback_")
    ('id', 'feedback_feedback_id')
    """
    while name in taken:
        name = before + name
    return name


def marks_of(rows: Sequence[Mapping[str, Any]], asked: Wanted) -> Marks | None:
    """The marks of an export; None where these rows are none.

    >>> rows = [{"text": "a", "label": "b", "id": 32 * "0", "status": "rejected"}]
    >>> marks_of(rows, Wanted()), marks_of([{**rows[0], "id": "17"}], Wanted())
    (Marks(id='id', status='status'), None)
    """
    id = _mark("id", rows, asked, lambda cell: moment_of(str(cell)) is not None)
    return None if id is None else Marks(id, _mark("status", rows, asked, lambda cell: cell in STANDINGS))


def _mark(word: str, rows: Sequence[Mapping[str, Any]], asked: Wanted, fits: Callable[[Any], bool]) -> str | None:
    """The column that an export has called by this word; the longest such name, for that is the one that gave way.

    One cell that fits is enough: people add rows of their own to such a file, and spreadsheets spoil an id.
    """
    names = [name for name in (rows[0] if rows else ()) if re.fullmatch(f"({BEFORE})*{word}", name)]
    own = [name for name in names if name not in asked.inputs and name not in asked.columns]
    return next((name for name in sorted(own, key=len, reverse=True) if any(fits(row.get(name)) for row in rows)), None)


def returned(store: Store, name: str, rows: Sequence[Mapping[str, Any]], target: str, asked: Wanted) -> Returned:
    """The rows of a file, and which of them were exported and may not be brought anew.

    DataError for feedback of this store that has another label in the file: which of the two is meant, nobody knows.
    """
    marks = marks_of(rows, asked)
    if marks is None:
        return Returned([dict(row) for row in rows])
    here = {voice.id: voice for voice in voices(store, name)}
    known, unaccepted, problems = set[int](), set[int](), list[Problem]()
    for place, row in enumerate(rows, 1):
        voice = here.get(str(row.get(marks.id)))
        if voice is not None:
            known.add(place)
        elif marks.status is not None and row.get(marks.status) not in (None, "", ACCEPTED):
            unaccepted.add(place)
        if voice is not None and not _same(voice, row.get(target), asked):
            expected = f"{cell_of(voice.label)!r}, as this feedback says here"
            named = " and ".join(f"'{one}'" for one in (marks.id, marks.status) if one)
            advice = f"To say otherwise: lingqu feedback reject {voice.id}, and bring the row without {named}."
            problems.append(Problem(expected, repr(row.get(target)), advice, f"row {place}"))
    if problems:
        raise DataError(problems[:MOST_TOLD])
    return Returned([marks.without(row) for row in rows], known, unaccepted)


def _same(voice: Voice, told: Any, asked: Wanted) -> bool:
    """Whether a cell says what the feedback does, as far as it says anything."""
    if voice.kind != LABEL or told in (None, "", cell_of(voice.label)):
        return True
    try:
        here, there = (label_for(voice.answer, one, asked) for one in (cell_of(voice.label), told))
    except CellFault:
        return False
    # A spreadsheet keeps 15 digits of a number.
    return (
        math.isclose(here, there, rel_tol=1e-12)
        if isinstance(here, float) and isinstance(there, float)
        else here == there
    )
