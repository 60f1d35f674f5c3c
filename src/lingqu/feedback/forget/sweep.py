"""The store's files: which hold something, packed or not, and which nothing refers to any more."""

from __future__ import annotations

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from sqlalchemy import select

from lingqu.data.parquet import from_parquet
from lingqu.errors import LingquError
from lingqu.feedback.forget.tables import as_json
from lingqu.feedback.forget.wanted import Wanted
from lingqu.store import Store
from lingqu.store.atomic import TEMPORARY, remove_folder
from lingqu.store.canonical import is_digest
from lingqu.store.tables import DATA_VERSIONS, RUNS, STAGES, VERSIONS

_DIGEST = re.compile(rb"\b[0-9a-f]{64}\b")
_CHUNK, _OVERLAP = 16 << 20, 4096
_LARGEST_JSON = 256 << 20
_NEVER = ("locks", "secrets")


def files_with(store: Store, wanted: Wanted) -> list[Path]:
    """The files of the store that hold it, in themselves or in what is packed in them."""
    return [path for path in _files(store) if _holds(path, wanted)]


def affected_stages(store: Store, digests: Iterable[str], known: Iterable[str], wanted: Wanted | None) -> list[str]:
    """The keys of the stages whose inputs or results name one of these digests, of those that name theirs, and so on.

    So are stages of data versions that are not `known`: those of rounds that were broken off.
    """
    tainted, held = set(digests), {*known}
    left, found = store.records.stages(), []
    while True:
        mine = [stage for stage in left if _names(stage) & tainted or _stray(stage, held) or _says(stage, wanted)]
        if not mine:
            return found
        found += [stage["key"] for stage in mine]
        for stage in mine:
            tainted |= _digests(stage["result"]) | set(stage["blobs"])
        tainted -= held - set(digests)
        keys = set(found)
        left = [stage for stage in left if stage["key"] not in keys]


def _names(stage: dict) -> set[str]:
    return _digests(stage["inputs"]) | _digests(stage["result"])


def _stray(stage: dict, known: set[str]) -> bool:
    data = stage["inputs"].get("data")
    return isinstance(data, str) and data not in known


def _says(stage: dict, wanted: Wanted | None) -> bool:
    return wanted is not None and (wanted.in_value(stage["inputs"]) or wanted.in_value(stage["result"]))


def _digests(value: object) -> set[str]:
    return {found.decode() for found in _DIGEST.findall(repr(value).encode("utf-8", "replace"))}


def collect(store: Store, before: float) -> int:
    """Remove the blobs and folders that were there `before` this moment and that nothing refers to; how many."""
    live = _live(store)
    gone = 0
    for path in list(store.blobs.paths()):
        digest = path.name.removesuffix(".d")
        # What is named otherwise is none of lingqu's: a file manager's, or that of a network file system.
        if not is_digest(digest) or digest in live or not path.exists() or path.stat().st_mtime >= before:
            continue
        if path.is_dir():
            store.folders.remove(digest)
        else:
            store.blobs.remove(digest)
        gone += 1
    return gone


def _live(store: Store) -> set[str]:
    """Every digest that a table names, and those that their JSON blobs name."""
    found: set[str] = set()
    with store.database.reading() as connection:
        for table in (STAGES, VERSIONS, DATA_VERSIONS, RUNS):
            for row in connection.execute(select(table)).mappings():
                found |= _digests([value for name, value in row.items() if name not in ("key", "hash")])
    waiting = list(found)
    while waiting:
        path = store.path(waiting.pop())
        if not path.is_file() or path.stat().st_size > _LARGEST_JSON:
            continue
        data = path.read_bytes()
        if data[:1] in (b"{", b"["):
            new = {one.decode() for one in _DIGEST.findall(data)} - found
            found |= new
            waiting += new
    return found


def clear_caches(store: Store, before: float) -> None:
    """Remove what is computed again when it is needed: encoded rows, and the folders of stages that were broken off.

    So goes every half-written file that a kill has left `before` this moment.
    """
    for name in ("rows", "work"):
        remove_folder(store.folder / name)
    for path in list(store.folder.rglob(f"{TEMPORARY}*")):
        if not path.exists() or path.stat().st_mtime >= before:
            continue
        if path.is_dir():
            remove_folder(path)
        else:
            path.unlink(missing_ok=True)


def _files(store: Store) -> Iterator[Path]:
    for path in sorted(store.folder.rglob("*")):
        if path.is_file() and path.relative_to(store.folder).parts[0] not in _NEVER:
            yield path
    database = store.database.path
    if database is not None and store.folder not in database.parents:
        yield from (path for path in (database, Path(f"{database}-wal")) if path.is_file())


def _holds(path: Path, wanted: Wanted) -> bool:
    with path.open("rb") as file:
        head, kept = file.read(4), b""
        file.seek(0)
        while chunk := file.read(_CHUNK):
            if wanted.in_bytes(kept + chunk):
                return not _only_counts(path, wanted)
            kept = chunk[-_OVERLAP:]
    if head == b"PAR1":
        return _in_parquet(path, wanted)
    if head[:2] == b"\x1f\x8b" or head == b"PK\x03\x04":
        return any(wanted.in_bytes(part) for part in _unpacked(path.read_bytes()))
    return False


def _only_counts(path: Path, wanted: Wanted) -> bool:
    """Whether a blob of JSON holds nothing but a number that was counted or measured and looks the same."""
    if path.stat().st_size > _LARGEST_JSON:
        return False
    found = as_json(path.read_bytes().decode("utf-8", "replace"))
    return not isinstance(found, str) and not wanted.in_record(found)


def _in_parquet(path: Path, wanted: Wanted) -> bool:
    try:
        rows = from_parquet(path)
    except (LingquError, OSError):
        return False
    if wanted.column is None:
        return bool(wanted.rules.places(rows)) or any(
            wanted.in_bytes(cell) for name in rows.names for cell in rows[name] if isinstance(cell, bytes)
        )
    return bool(wanted.rules.places(rows) or wanted.everywhere.places(rows))


def _unpacked(data: bytes) -> Iterator[bytes]:
    try:
        if data[:2] == b"\x1f\x8b":
            yield gzip.decompress(data)
            return
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield archive.read(name)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile):
        return
