"""Every change of what was written is found, bit by bit."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lingqu.errors import StoreError
from lingqu.store import Store, write_bytes
from lingqu.store.atomic import remove_folder
from lingqu.store.fsck import _blob, _folder
from lingqu.store.history import append
from lingqu.store.locks import hold

pytestmark = pytest.mark.heavy

MORE = pytest.param(60, marks=pytest.mark.heavy)
NIGHTLY = pytest.param(1000, marks=pytest.mark.slow)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store.open(tmp_path / "store")
    blob = store.put_bytes(random.Random(0).randbytes(3000))
    write_bytes(tmp_path / "bundle" / "model.onnx", random.Random(1).randbytes(2000))
    write_bytes(tmp_path / "bundle" / "manifest.json", b'{"task": "text-classification"}')
    folder = store.put_folder(tmp_path / "bundle")
    for number in range(5):
        key = store.stage("train", {"seed": number})
        store.finish_stage(key, {"weights": blob, "loss": 0.1 * number}, 1.5, blobs=[blob, folder])
    store.records.add_data_version("d1", folder=folder, about={"rows": 100})
    with store.database.writing() as connection:
        append(connection, name="router", who="anna", action="freeze", why="holiday", evidence={"until": "Monday"})
    assert store.fsck() == []
    return store


def flipped(path: Path, dice: random.Random) -> None:
    data = bytearray(path.read_bytes())
    bit = dice.randrange(len(data) * 8)
    data[bit // 8] ^= 1 << bit % 8
    path.chmod(0o600)
    path.write_bytes(data)


def test_what_is_let_go_while_it_is_looked_at_is_no_damage(store: Store) -> None:
    gone = store.put_bytes(b"soon gone")
    store.blobs.remove(gone)
    assert [*_blob(store.path(gone), gone)] == []
    assert _folder(store.folders, store.folders.final(gone), gone) == []
    # What the database names is missed all the same.
    key = store.stage("train", {"seed": 9})
    store.finish_stage(key, {}, 1.0, blobs=[gone])
    (problem,) = store.fsck()
    assert problem.found == "no such blob"


def test_a_folder_that_is_half_gone_is_looked_at_again(store: Store, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_bytes(tmp_path / "given" / name, name.encode())
    digest = store.put_folder(tmp_path / "given")
    folders, begun = store.folders, threading.Event()
    final = folders.final(digest)

    def let_go() -> None:
        with hold(folders.lock):
            (final / "a").unlink()
            begun.set()
            time.sleep(0.1)
            remove_folder(final)

    remover = threading.Thread(target=let_go)
    remover.start()
    assert begun.wait(5)
    assert _folder(folders, final, digest) == []
    remover.join()
    # A file that nobody takes away is missed.
    final = folders.final(store.put_folder(tmp_path / "given"))
    (final / "a").unlink()
    (problem,) = _folder(folders, final, digest)
    assert problem.found == "no such file"


@pytest.mark.parametrize("times", [8, MORE, NIGHTLY])
def test_each_flipped_bit_in_a_blob_is_found(store, times):
    dice = random.Random(2)
    files = sorted(path for path in (store.folder / "blobs").rglob("*") if path.is_file())
    found = 0
    for _ in range(times):
        path = dice.choice(files)
        before = path.read_bytes()
        flipped(path, dice)
        problems = [problem for problem in store.fsck() if str(path) in str(problem)]
        found += bool(problems)
        path.write_bytes(before)
    assert found == times
    assert store.fsck() == []


def contents(path: Path) -> list[str]:
    """All that a database says, as SQL; what cannot be read says nothing."""
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    except (sqlite3.DatabaseError, UnicodeDecodeError, ValueError):
        return []
    finally:
        connection.close()


@pytest.mark.parametrize("times", [8, MORE, NIGHTLY])
def test_each_flipped_bit_of_the_database_that_changes_anything_is_found(store, tmp_path, times):
    dice = random.Random(3)
    path = store.folder / "lingqu.db"
    whole = path.read_bytes()
    said = contents(path)
    missed: list[int] = []
    for number in range(times):
        flipped(path, dice)
        try:
            problems = Store.open(store.folder).fsck()
        except StoreError as error:
            problems = list(error.problems)
        shutil.copyfile(path, tmp_path / "copy.db")
        if not problems and contents(tmp_path / "copy.db") != said:
            missed.append(number)
        for side in ("lingqu.db-wal", "lingqu.db-shm"):
            (store.folder / side).unlink(missing_ok=True)
        path.write_bytes(whole)
    assert missed == []


def changes() -> Iterator[tuple[str, str, str]]:
    yield "UPDATE history SET why = 'x'", "row 1 of the history as it was written", "other content"
    yield "UPDATE history SET seq = 5", "row 1 of the history", "row 5"
    yield "UPDATE history SET evidence = x'ff'", "row 1 of the history as it was written", "other content"
    yield "DELETE FROM history", "a history of 1 rows, as its head says", "0 rows"
    yield "UPDATE head SET seq = 2", "a history of 2 rows, as its head says", "1 rows"
    yield "DELETE FROM head", "a history of nothing rows, as its head says", "1 rows"
    yield "DROP INDEX ix_runs_name", "a sound database", "'ix_runs_name' is not as lingqu makes it"
    yield "CREATE TABLE other (x)", "a sound database", "'other' is not as lingqu makes it"
    yield "UPDATE data_versions SET about = '{}'", "data version d1… as it was written", "other content"
    alias = "INSERT INTO aliases VALUES ('router', 'champion', NULL, 1)"
    yield alias, "the alias champion of router where the history put it", "no row of the history that tells of it"


@pytest.mark.parametrize(("sql", "expected", "found"), list(changes()))
def test_what_somebody_changes_by_other_means_is_found(store, sql, expected, found):
    connection = sqlite3.connect(store.folder / "lingqu.db")
    with connection:
        connection.execute(sql)
    connection.close()
    assert [(problem.expected, problem.found) for problem in store.fsck()] == [(expected, found)]


def test_what_does_not_belong_is_told(store):
    (store.folder / "blobs" / "zz").mkdir()
    (store.folder / "blobs" / "zz" / "notes.txt").touch()
    (store.folder / "blobs" / "README").touch()
    blobs = store.folder / "blobs"
    assert [(problem.expected, problem.found) for problem in store.fsck()] == [
        (f"only blobs in {blobs}", f"{blobs}/README"),
        (f"only blobs in {blobs}", f"{blobs}/zz/notes.txt"),
    ]


def test_what_a_kill_left_is_told_after_a_day(store):
    scratch = store.work(store.stage("train", {}))
    half = store.folder / "blobs" / "ab" / ".lingqu-0123.tmp"
    half.parent.mkdir(exist_ok=True)
    half.touch()
    assert store.fsck() == []
    for path in (scratch, half):
        os.utime(path, (0, time.time() - 3 * 86400))
    told = [(problem.expected, problem.found, problem.next) for problem in store.fsck()]
    assert told == [
        (f"nothing left over in {store.folder}", f"{half}, 3 days old", "Remove it."),
        (
            f"nothing left over in {store.folder}",
            f"{scratch}, 3 days old",
            "Run the same spec again to go on from it, or remove it.",
        ),
    ]


def test_a_changed_stage_is_not_believed(store):
    connection = sqlite3.connect(store.folder / "lingqu.db")
    with connection:
        connection.execute("UPDATE stages SET result = '{\"loss\":0}'")
    connection.close()
    key = store.stage("train", {"seed": 0})
    assert store.stage_result(key) is None
    assert [str(problem) for problem in store.fsck() if key.key[:12] in str(problem)] == [
        (
            f"Expected the result of stage train ({key.key[:12]}…) as it was written, found other content. "
            "Restore the database from a backup."
        )
    ]


@pytest.mark.slow
def test_blobs_are_checked_at_200_megabytes_a_second(tmp_path):
    store = Store.open(tmp_path)
    for number in range(4):
        store.put_bytes(bytes([number]) * 100_000_000)
    store.engine  # noqa: B018
    start = time.perf_counter()
    assert store.fsck() == []
    assert 400 / (time.perf_counter() - start) >= 200
