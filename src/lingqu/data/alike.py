"""Which rows are nearly the same, by what they hold: texts, pictures or cells; found while the rows pass by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lingqu.contract import Rows, Task
from lingqu.data.findings import Finding
from lingqu.data.groups import digests, places, row_digests, table_groups
from lingqu.data.near_duplicates import TextGroups, same_groups, text_groups
from lingqu.data.prepare import Typed
from lingqu.data.similar_images import SIDE, image_groups, thumbnail

Array = np.ndarray[Any, np.dtype[Any]]
COINCIDENCES = "coincidences"
"""The code of the finding that says that equal rows of a table tell nothing about each other."""


class Alike(Protocol):
    """Looks at every row, then tells which belong together."""

    def add(self, typed: Typed) -> None:
        """Look at some more rows."""
        ...

    def groups(self, rows: int, found: Callable[[], Array]) -> tuple[Array, list[Finding]]:
        """The number of each row's group, int32 (rows,), and what is worth telling; `found` reads the rows' digests."""
        ...


def looking_for(
    kinds: Mapping[str, str], task: Task, opened: ExitStack, *, near: bool, identity: list[str], folder: Path | None
) -> Alike:
    """What looks for rows of a task that are alike: those of one `identity`, or `near` ones; it may write to the folder."""
    if identity:
        return _Cells(identity, coincide=False)
    if not near:
        return _Nothing()
    if "text" in kinds and not task.takes_features:
        return _Texts(opened.enter_context(TextGroups(folder)))
    if "image" in kinds.values():
        return _Pictures()
    used = [name for name, kind in kinds.items() if kind in ("number", "category", "label")]
    return _Cells([] if len(used) == len(kinds) else used)


class _Nothing:
    def add(self, typed: Typed) -> None:
        del typed

    def groups(self, rows: int, found: Callable[[], Array]) -> tuple[Array, list[Finding]]:
        del found
        return np.arange(rows, dtype=np.int32), []


class _Texts:
    def __init__(self, texts: TextGroups) -> None:
        self._texts = texts

    def add(self, typed: Typed) -> None:
        self._texts.add(typed.rows["text"])

    def groups(self, rows: int, found: Callable[[], Array]) -> tuple[Array, list[Finding]]:
        del rows, found
        return self._texts.numbers(), []


class _Pictures:
    def __init__(self) -> None:
        self._thumbnails = bytearray()
        self._contents: list[str] = []

    def add(self, typed: Typed) -> None:
        for picture in typed.thumbnails or []:
            self._thumbnails += picture.tobytes()
        self._contents += row_digests(typed.rows, ["image"])

    def groups(self, rows: int, found: Callable[[], Array]) -> tuple[Array, list[Finding]]:
        del found
        grey = np.frombuffer(self._thumbnails, np.uint8).reshape(rows, SIDE, SIDE)
        return np.array(image_groups(grey, self._contents), np.int32), []


class _Cells:
    """Rows with the same cells in some columns, or in all; rows that are few-valued `coincide` and are not kept together."""

    def __init__(self, names: list[str], *, coincide: bool = True) -> None:
        self._names, self._coincide = names, coincide
        self._digests = bytearray()

    def add(self, typed: Typed) -> None:
        if self._names:
            self._digests += b"".join(digests(typed.rows, self._names))

    def groups(self, rows: int, found: Callable[[], Array]) -> tuple[Array, list[Finding]]:
        same = places(np.frombuffer(self._digests, np.uint8).reshape(rows, -1)) if self._names else places(found())
        if not self._coincide:
            return same, []
        near, coincidences = table_groups(same)
        message = "Most rows repeat others exactly; with so few different rows they are not kept together."
        return near, [Finding("note", COINCIDENCES, message)] if coincidences else []


def nearly_same(rows: Rows, kinds: Mapping[str, str], task: Task, *, near: bool = True) -> list[int]:
    """For each of a few rows the first that asks nearly the same: texts, pictures, or equal cells; not `near`: equal ones.

    >>> from lingqu.tasks import find_task
    >>> rows = Rows({"text": ["Where is my parcel?", "where is my  parcel", "It broke."]})
    >>> nearly_same(rows, {"text": "text"}, find_task("text-classification"))
    [0, 0, 2]
    """
    if near and "text" in kinds and not task.takes_features:
        return text_groups(rows["text"])
    asked = row_digests(rows, kinds)
    if near and set(kinds.values()) == {"image"}:
        return image_groups(np.stack([thumbnail(picture) for picture in rows[next(iter(kinds))]]), asked)
    return same_groups(asked)
