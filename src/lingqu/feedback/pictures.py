"""Pictures of rows that people bring in a file, which names them: read as `lingqu predict` reads them.

A label of a picture that nobody can look at would be taken and never learned, so it is refused with its row.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lingqu.data.accept import picture
from lingqu.data.pictures import PictureFault
from lingqu.data.values import CellFault, to_image
from lingqu.errors import DataError, Problem
from lingqu.feedback.labels import MOST_TOLD, Wanted


def with_pictures(
    rows: Mapping[int, Mapping[str, Any]], asked: Wanted, root: Path | None
) -> dict[int, Mapping[str, Any]]:
    """These numbered rows with bytes where they name files below `root`; DataError for what is no picture.

    >>> with_pictures({3: {"photo": "7.png", "label": "a"}}, Wanted(pictures=(("photo", "image"),)), Path("photos"))
    Traceback (most recent call last):
    lingqu.errors.DataError: row 3: Expected a picture in 'photo', found no file '7.png' in the folder photos. Leave the row out, or say where it is.
    """
    found: dict[int, Mapping[str, Any]] = {}
    problems: list[Problem] = []
    for place, row in rows.items():
        read: dict[str, bytes] = {}
        for names in asked.pictures:
            name = next((name for name in names if name in row), names[0])
            try:
                read[name] = _read(row.get(name), root)
            except (CellFault, PictureFault) as fault:
                advice = "Leave the row out, or say where it is."
                problems.append(Problem(f"a picture in '{name}'", str(fault), advice, f"row {place}"))
        found[place] = {**row, **read}
    if problems:
        raise DataError(problems[:MOST_TOLD])
    return found


def _read(cell: Any, root: Path | None) -> bytes:
    data = picture(to_image(cell), root)
    if data is None:
        raise PictureFault("none")
    return data
