"""Pictures of rows as files beside the table that names them: no cell can show one to whoever labels it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from rich.text import Text

from lingqu.data.accept import KEEP
from lingqu.data.values import left_out
from lingqu.store import write_bytes

_BEGINS = {b"\x89PNG": ".png", b"\xff\xd8": ".jpg", b"RIFF": ".webp", b"BM": ".bmp"}


def beside(table: Path, rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    r"""The rows with names of files in the place of pictures, and nothing in the place of those that were not kept.

    >>> table = getfixture("tmp_path") / "audit.csv"
    >>> beside(table, [{"image": b"\x89PNG...", "age": 3}, {"image": {"$omitted": 190}, "age": 4}])
    [{'image': 'audit-pictures/20bb52267be33654.png', 'age': 3}, {'image': '', 'age': 4}]
    >>> (table.parent / "audit-pictures/20bb52267be33654.png").read_bytes()
    b'\x89PNG...'
    """
    folder = table.with_name(f"{table.stem}-pictures")
    return [{name: _named(table.parent, cell) for name, cell in opened(folder, row).items()} for row in rows]


def opened(folder: Path, row: Mapping[str, Any]) -> dict[str, Any]:
    """The row with whole paths of files, which it writes into this folder, in the place of pictures."""
    return {name: _written(folder, cell) if isinstance(cell, bytes) else cell for name, cell in row.items()}


def lacking(rows: Iterable[Mapping[str, Any]]) -> list[Text]:
    """What is said of rows whose picture nobody can look at.

    >>> print(*lacking([{"image": {"$omitted": 190}}, {"image": b"..."}]))
    Note: 1 of 2 rows came without its picture, which the journal left out. It keeps pictures under serve.journal.inputs: plain, up to 256 KiB each.
    """
    found = [any(map(left_out, row.values())) for row in rows]
    count, whose = sum(found), "its" if sum(found) == 1 else "their"
    told = f" {count:,} of {len(found):,} rows came without {whose} picture, which the journal left out. {KEEP}"
    return [Text.assemble(("Note:", "dim"), told)] if count else []


def said(cell: Any) -> str:
    """A cell in a line of words.

    >>> said(b"..."), said({"$omitted": 190}), said(3.5)
    ('3 bytes', 'not kept', '3.5')
    """
    if left_out(cell):
        return "not kept"
    return f"{len(cell):,} bytes" if isinstance(cell, bytes) else str(cell)


def _named(folder: Path, cell: Any) -> Any:
    if left_out(cell):
        return ""
    return cell.relative_to(folder).as_posix() if isinstance(cell, Path) else cell


def _written(folder: Path, picture: bytes) -> Path:
    # The name says nothing of the row, and equal pictures are one file.
    ends = next((suffix for begin, suffix in _BEGINS.items() if picture.startswith(begin)), ".bin")
    file = folder / f"{sha256(picture).hexdigest()[:16]}{ends}"
    write_bytes(file, picture)
    return file
