"""Everything in a store that is not as it was written.

>>> from lingqu.store import Store
>>> store = Store.open(getfixture("tmp_path"))
>>> digest = store.put_bytes(b"channel")
>>> store.fsck()
[]
>>> store.path(digest).chmod(0o600)
>>> _ = store.path(digest).write_bytes(b"canal")
>>> print(store.fsck()[0].found)
other bytes (SHA-256 1501284e7c84…)
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, create_engine, func, or_, select, text

from lingqu.errors import Problem, StoreError
from lingqu.store.atomic import TEMPORARY
from lingqu.store.audit import verify
from lingqu.store.blobs import REPAIR, damaged, remove_first
from lingqu.store.canonical import is_digest
from lingqu.store.database import Database
from lingqu.store.folders import Folders
from lingqu.store.history import row_hash
from lingqu.store.locks import hold
from lingqu.store.tables import DATA_VERSIONS, FEEDBACK, KEYS, STAGES, USAGE, VERSIONS
from lingqu.store.upgrades import upgrade

LOOKS = 2
LEFTOVER_SECONDS = 24 * 3600
_RESTORE = "Restore the database from a backup."
_LOST = "Restore it from a backup, or roll back to a version whose bundle is there."


def fsck(folder: Path, folders: Folders, database: Database) -> list[Problem]:
    """Every problem of the store in this folder, nothing when there is none."""
    return [*_blobs(folders), *_database(folders, database), *_leftovers(folder)]


def _blobs(folders: Folders) -> Iterator[Problem]:
    for path in folders.blobs.paths():
        digest = path.name.removesuffix(".d")
        if path.name.startswith(TEMPORARY):
            continue
        if not is_digest(digest) or path.parent.name != digest[:2]:
            yield Problem(f"only blobs in {folders.blobs.folder}", str(path), "Remove it.")
        elif path.is_dir() and path.name.endswith(".d"):
            yield from _folder(folders, path, digest)
        else:
            yield from _blob(path, digest)


def _folder(folders: Folders, path: Path, digest: str) -> list[Problem]:
    """What is wrong with a folder; nothing when it was let go meanwhile, for what still refers to it is told of elsewhere."""
    found: list[Problem] = []
    for _ in range(LOOKS):
        try:
            found = folders.check(digest)
        except FileNotFoundError:
            # A file went between the look at its name and the look into it.
            found = [Problem(f"to read the folder {path}", "files that come and go", "Look at the disk.")]
        if not found or not path.is_dir():
            return []
        # Whoever lets a folder go, file by file, holds the lock until all of it is gone.
        with suppress(StoreError), hold(folders.lock):
            pass
    return found


def _blob(path: Path, digest: str) -> Iterator[Problem]:
    try:
        with path.open("rb", buffering=0) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        # Let go since it was listed; what still refers to it is told of elsewhere.
        return
    except OSError as error:
        yield Problem(f"to read the blob {path}", str(error.strerror).lower(), remove_first(path))
        return
    if found != digest:
        yield damaged(path, found)


def _database(folders: Folders, database: Database) -> list[Problem]:
    problems: list[Problem] = []
    try:
        with database.reading() as connection:
            if database.is_sqlite and (problems := _structure(connection)):
                return problems
            problems += _rows(connection, folders)
            problems += _of_the_service(connection)
            problems += verify(connection)
    except StoreError as error:
        problems += error.problems
    return problems


def _structure(connection: Connection) -> list[Problem]:
    """What SQLite itself finds, and tables that are not the ones that lingqu makes."""
    found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check(20)") if row[0] != "ok"]
    found += [
        f"{row[0]} refers to a missing row of {row[2]}"
        for row in connection.exec_driver_sql("PRAGMA foreign_key_check")
    ]
    schema = text("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
    fresh = create_engine("sqlite://")
    with fresh.begin() as blank:
        upgrade(blank)
        wanted = {tuple(row) for row in blank.execute(schema)}
    fresh.dispose()
    for name, _ in sorted(wanted ^ {tuple(row) for row in connection.execute(schema)}, key=repr):
        found.append(f"{name!r} is not as lingqu makes it")
    return [Problem("a sound database", reason, _RESTORE) for reason in found]


def _rows(connection: Connection, folders: Folders) -> Iterator[Problem]:
    blobs = folders.blobs
    for row in connection.execute(select(STAGES)).mappings():
        what = f"the result of stage {row['name']} ({str(row['key'])[:12]}…)"
        if row["hash"] != row_hash(row):
            yield Problem(f"{what} as it was written", "other content", _RESTORE)
            continue
        for digest in json.loads(row["blobs"]):
            if not blobs.path(digest).is_file() and not folders.final(digest).is_dir():
                yield Problem(f"the blob {digest[:12]}… of {what}", "no such blob", REPAIR)
    for row in connection.execute(select(DATA_VERSIONS)).mappings():
        what = f"data version {str(row['id'])[:12]}…"
        if row["hash"] != row_hash(row):
            yield Problem(f"{what} as it was written", "other content", _RESTORE)
        elif not folders.final(row["folder"]).is_dir():
            yield Problem(f"the folder of {what}", "no such folder", REPAIR)
    # Versions are checked against the history; here only that their bundles are there.
    for row in connection.execute(select(VERSIONS)).mappings():
        if is_digest(row["bundle"]) and not folders.final(row["bundle"]).is_dir():
            expected = f"the bundle of version {row['number']} of {row['name']}"
            yield Problem(expected, f"no folder {folders.final(row['bundle'])}", _LOST)


def _of_the_service(connection: Connection) -> Iterator[Problem]:
    """Keys and feedback that cannot be read, and counts that cannot be."""
    for row in connection.execute(select(KEYS)).mappings():
        whole = is_digest(row["hash"]) and _is_list(row["scopes"])
        if not whole or any(
            row[name] is not None and not str(row[name]).isprintable() for name in ("rate", "quota", "price")
        ):
            advice = f"Revoke it: lingqu keys revoke {row['id']}"
            yield Problem(f"the key {row['id']} as it was written", "other content", advice)
    unknown = FEEDBACK.c.status.not_in(("quarantined", "accepted", "rejected"))
    for identity in connection.execute(select(FEEDBACK.c.id).where(unknown)).scalars():
        yield Problem(f"the feedback {str(identity)[:12]}… as it was written", "an unknown status", _RESTORE)
    counts = [USAGE.c[name] < 0 for name in ("requests", "rows", "compute_us", "cost_nano")]
    if connection.execute(select(func.count()).where(or_(*counts))).scalar_one():
        yield Problem("counts of usage as they were written", "some below zero", _RESTORE)


def _is_list(text: str) -> bool:
    try:
        return isinstance(json.loads(text), list)
    except ValueError:
        return False


def _leftovers(folder: Path) -> Iterator[Problem]:
    """What a kill has left, once it is older than a day; younger ones may belong to a run that goes on."""
    work = folder / "work"
    for path in sorted({*work.glob("*"), *folder.rglob(f"{TEMPORARY}*")}):
        try:
            age = time.time() - path.stat().st_mtime
        except FileNotFoundError:
            # Whoever wrote it has finished meanwhile.
            continue
        if age > LEFTOVER_SECONDS:
            advice = "Run the same spec again to go on from it, or remove it." if path.parent == work else "Remove it."
            yield Problem(f"nothing left over in {folder}", f"{path}, {age / 86400:.0f} days old", advice)
