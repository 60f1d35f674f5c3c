"""A store that may not be written: looking goes on, and what would write says so in three parts, with nothing changed."""

from __future__ import annotations

import ctypes
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select

from lingqu.errors import StoreError
from lingqu.store import Store
from lingqu.store.history import now
from lingqu.store.tables import RUNS

PR_CAPBSET_DROP, DAC_OVERRIDE, DAC_READ_SEARCH = 24, 1, 2
CHILD = """
import contextlib, io, json, os, sys
from lingqu.cli import call
told = []
for arguments in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = call([*arguments, "--json"])
    told.append([status, json.loads(out.getvalue())])
print(json.dumps([os.access(".lingqu", os.W_OK), told]))
"""
READ = [
    ["status"], ["status", "kinds"], ["history"], ["versions"], ["show"], ["fsck"], ["keys"], ["keys", "usage"], ["feedback"],
    ["feedback", "queue"], ["feedback", "queue", "--disputed"], ["forget", "anna@example.org", "--dry-run"],
    ["predict", "kinds", "rows.csv", "-o", "out/answers.csv"],
]  # fmt: skip
WRITTEN = [
    ["freeze", "kinds"], ["keys", "new", "anna"], ["run"], ["improve"], ["feedback", "queue", "--audit"],
    ["forget", "anna@example.org", "--yes"],
]  # fmt: skip


def obey_permissions() -> None:
    """What root would need to pass over permissions is given up, in the child before it is another program."""
    if os.getuid() == 0:
        for right in (DAC_OVERRIDE, DAC_READ_SEARCH):
            ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, right, 0, 0, 0)


def called(folder: Path, commands: list[list[str]]) -> list[tuple[int, dict[str, Any]]]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(commands)],
        cwd=folder, preexec_fn=obey_permissions, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    writable, told = json.loads(done.stdout.splitlines()[-1])
    if writable:
        pytest.skip("this machine lets nobody give up the right to write everywhere")
    return told


def shut(store: Path) -> list[Path]:
    """Take the right to write from the whole store; gives what had it."""
    paths = [path for path in (store, *store.rglob("*")) if path.stat().st_mode & stat.S_IWUSR]
    for path in paths:
        path.chmod(path.stat().st_mode & 0o555)
    return paths


def listed(store: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(store.rglob("*")) if path.is_file()}


@pytest.mark.heavy
def test_reads_go_on_and_writes_fail_typed(finished: Path) -> None:
    (finished / "out").mkdir()
    store = Store.open(finished / ".lingqu")
    shut(store.folder)
    before = listed(store.folder)
    told = called(finished, [*READ, *WRITTEN])
    assert [status for status, _ in told[: len(READ)]] == [0] * len(READ), told
    [note] = [one for one in told[0][1]["models"][0]["notes"] if "may not be written" in one]
    assert note.startswith("This store may not be written by you: what was seen is not remembered")
    for status, value in told[len(READ) :]:
        assert status == 1
        [problem] = value["error"]["problems"]
        assert problem["expected"].startswith(("to write ", "the database "))
        assert problem["found"] in ("permission denied", "attempt to write a readonly database")
        assert problem["next"].startswith("Choose another place")
    assert listed(store.folder) == before


@pytest.mark.heavy
def test_a_store_that_another_process_writes_is_read_with_its_newest_rows(finished: Path) -> None:
    store = Store.open(finished / ".lingqu")
    kept = store.database.keep_writing()
    try:
        with store.database.writing(kept) as connection:
            connection.execute(insert(RUNS).values(id="r", name="new", spec="{}", started=now()))
        store.database.path.with_name("lingqu.db-wal").stat()  # type: ignore[union-attr]
        opened = shut(store.folder)
        [(status, found)] = called(finished, [["status"]])
        assert (status, found["models"][0]["name"]) == (0, "kinds")
        for path in opened:
            path.chmod(path.stat().st_mode | stat.S_IWUSR)
    finally:
        kept.close()


def test_what_changed_while_it_was_read_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = Store.open(tmp_path / "store")
    owner.records.start_run("a", name="router", spec={})
    monkeypatch.setattr("os.access", lambda path, mode: False)
    guest = Store.open(tmp_path / "store")
    assert not guest.writable
    assert [run["id"] for run in guest.records.runs()] == ["a"]
    with pytest.raises(StoreError) as refused, guest.database.reading() as connection:
        connection.execute(select(RUNS)).all()
        owner.records.start_run("b", name="router", spec={})
    assert str(refused.value) == (
        f"Expected {tmp_path}/store/lingqu.db to stay as it is while it is read, found that another process wrote in it. "
        "Run the same command again."
    )
    assert [run["id"] for run in guest.records.runs()] == ["a", "b"]


def test_a_lock_is_held_on_a_full_disk(tmp_path: Path) -> None:
    import resource
    import signal

    store = Store.open(tmp_path / "store")
    with store.lock("run-a"):
        pass
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with store.lock("run-a"):
            held = True
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert held
