"""Occlusion: take a part of the input away, ask the bundle again, and see what its score loses.

It needs nothing but the bundle, so it is faithful to what is shipped whatever is inside: eight-bit weights, trees, a
cascade. Words are left out; patches of pictures are blurred; a column's value is replaced by those of other rows.
Sources: Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks" (pictures); Li et al. 2016,
arXiv 1612.08220 (words); Robnik-Sikonja and Kononenko 2008, "Explaining Classifications For Individual Instances" (columns).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageFilter

from lingqu.contract import Rows
from lingqu.data.pictures import encode_png, open_picture
from lingqu.data.text import WORD

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle

MOST_UNITS = 96
"""A longer text is taken apart in runs of neighbouring words, so that an answer within a second stays possible."""
CELLS = 8
REACH = 2
"""Windows are so many cells wide and overlap: each cell's weight is the mean over the windows that cover it."""
MOST_SIDE = 160
DRAWS = 16
MOST_STAND_INS = 8


@dataclass(frozen=True, slots=True)
class Unit:
    """A part that can be taken away: its name, where it is, and the rows with it gone (their scores are averaged)."""

    column: str
    what: Any
    place: tuple[float, ...]
    without: tuple[Mapping[str, Any], ...]


Remove = Callable[[Sequence[int]], Mapping[str, Any]]
"""The row without the units of these numbers, for taking away several at once."""


@dataclass(frozen=True, slots=True)
class Apart:
    """One column of a row, taken apart.

    `row` is what the units are compared with: a large picture is made smaller first. `spread` turns the losses of the
    units into the weights of the parts that are shown; `shown` are those parts.
    """

    row: Mapping[str, Any]
    units: tuple[Unit, ...]
    shown: tuple[Unit, ...]
    remove: Remove
    spread: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]] = lambda losses: losses


def take_apart(
    bundle: Bundle, row: Mapping[str, Any], background: Rows | None = None, *, most: int | None = None
) -> list[Apart]:
    """Each column of an accepted row, taken apart as its kind allows; into at most `most` rows, but one for each column.

    Units are coarser then: longer runs of words, larger patches, fewer stand-ins for a value.
    """
    found: list[Apart] = []
    share = None if most is None else max(1, most // len(bundle.manifest["columns"]))
    values: list[Unit] = []
    for column in bundle.manifest["columns"]:
        name, kind = column["name"], column["kind"]
        if row[name] is None and kind in ("text", "image"):
            continue
        if kind == "text":
            found.append(_words(row, name, min(MOST_UNITS, share or MOST_UNITS)))
        elif kind == "image":
            found.append(_patches(row, name, _cells(share)))
        else:
            others = stand_ins(bundle, column, background)[:share]
            away = tuple({**row, name: other} for other in others)
            if away:
                values.append(Unit(column["source"], row[name], (), away))
    if values:
        units = tuple(values)
        found.append(Apart(row, units, units, lambda gone: _replaced(row, [units[i] for i in gone])))
    return found


def _replaced(row: Mapping[str, Any], gone: Sequence[Unit]) -> Mapping[str, Any]:
    """The row with the first stand-in of each of these columns."""
    changed = dict(row)
    for unit in gone:
        changed |= {name: value for name, value in unit.without[0].items() if value != row[name]}
    return changed


# --- words ----------------------------------------------------------------------------------------------------------


def _words(row: Mapping[str, Any], name: str, most: int) -> Apart:
    text = str(row[name])
    spans = [match.span() for match in WORD.finditer(text) if not match.group().isspace()]
    size = max(1, math.ceil(len(spans) / most))
    runs = [(part[0][0], part[-1][1]) for part in (spans[i : i + size] for i in range(0, len(spans), size))]
    units = tuple(
        Unit(name, text[start:end], (start, end), ({**row, name: text[:start] + text[end:]},)) for start, end in runs
    )

    def remove(gone: Sequence[int]) -> Mapping[str, Any]:
        kept = text
        for start, end in sorted((runs[i] for i in gone), reverse=True):
            kept = kept[:start] + kept[end:]
        return {**row, name: kept}

    return Apart(row, units, units, remove)


# --- pictures -------------------------------------------------------------------------------------------------------


def _cells(most: int | None) -> int:
    """How many cells a side may have so that there are at most so many windows.

    >>> _cells(None), _cells(64), _cells(10), _cells(1)
    (8, 7, 2, 1)
    """
    return CELLS if most is None else min(CELLS, max(1, math.isqrt(most) - REACH + 1))


def _patches(row: Mapping[str, Any], name: str, size: int) -> Apart:
    picture = open_picture(row[name])
    picture = picture.convert("L" if picture.mode in ("1", "L", "I;16") else "RGB")
    # What the model reads is smaller still; the picture that is taken apart is also the one that is compared with.
    picture.thumbnail((MOST_SIDE, MOST_SIDE), Pillow.Resampling.BILINEAR)
    sharp = np.asarray(picture)
    blurred = np.asarray(picture.filter(ImageFilter.GaussianBlur(max(picture.size) / size)))
    base = {**row, name: encode_png(np.ascontiguousarray(sharp))}
    edges = [np.round(np.linspace(0, side, size + 1)).astype(int) for side in sharp.shape[:2]]

    def without(boxes: Sequence[tuple[int, int, int, int]]) -> Mapping[str, Any]:
        changed = sharp.copy()
        for top, bottom, left, right in boxes:
            where = slice(edges[0][top], edges[0][bottom]), slice(edges[1][left], edges[1][right])
            changed[where] = blurred[where]
        return {**row, name: encode_png(changed)}

    corners = [(i, j) for i in range(1 - REACH, size) for j in range(1 - REACH, size)]
    boxes = [(max(i, 0), min(i + REACH, size), max(j, 0), min(j + REACH, size)) for i, j in corners]
    cells = [(i, i + 1, j, j + 1) for i in range(size) for j in range(size)]
    cover = np.array([[t <= c[0] < b and left <= c[2] < r for t, b, left, r in boxes] for c in cells], float)
    # A window's loss is shared by its cells; a cell's weight is the mean of its shares, so that edges count alike.
    shares = cover / cover.sum(axis=0) / cover.sum(axis=1, keepdims=True)

    def unit(box: tuple[int, int, int, int], *, made: bool) -> Unit:
        top, bottom, left, right = (value / size for value in box)
        what = f"{round(100 * (left + right) / 2)} %, {round(100 * (top + bottom) / 2)} %"
        return Unit(name, what, (left, top, right, bottom), (without([box]),) if made else ())

    return Apart(
        base,
        tuple(unit(box, made=True) for box in boxes),
        tuple(unit(cell, made=False) for cell in cells),
        lambda gone: without([cells[i] for i in gone]),
        lambda losses: shares @ losses,
    )


# --- columns --------------------------------------------------------------------------------------------------------


def stand_ins(bundle: Bundle, column: Mapping[str, Any], background: Rows | None) -> list[Any]:
    """Values to put in a column's place: those of background rows, or the usual ones that the bundle remembers."""
    name = column["name"]
    if background is not None and name in background and len(background):
        values = background[name]
        return [values[i] for i in np.linspace(0, len(values) - 1, min(DRAWS, len(values))).astype(int)]
    front = bundle.memory.get("front", {})
    if column["kind"] == "number":
        means = [number["mean"] for number in front.get("numbers", []) if number["name"] == name]
        usual = means or ([(column["low"] + column["high"]) / 2] if "low" in column else [])
    else:
        usual = list(column.get("values", []))[:MOST_STAND_INS]
    return usual or ([None] if column["missing"] else [])
