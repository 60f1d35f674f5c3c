"""Folders in the temporary directory that killed services left are removed by the next one, and no others."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lingqu.serve.shared import PREFIX, orphans, remove_abandoned, shared_folder


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left(temporary: Path, name: str = "left") -> Path:
    """A folder as a killed service leaves it."""
    folder = temporary / f"{PREFIX}{name}"
    (folder / "metrics").mkdir(parents=True)
    (folder / "metrics" / "counter_1.db").write_bytes(b"1")
    return folder


def test_what_a_service_shares_goes_with_it_and_what_it_left_when_killed_goes_with_the_next(temporary: Path) -> None:
    left(temporary)
    with shared_folder() as shared:
        assert shared.path.stat().st_mode & 0o777 == 0o700
        remove_abandoned()
        assert list(temporary.iterdir()) == [shared.path]
    assert list(temporary.iterdir()) == []


SERVICE = """
import os, subprocess, sys
from lingqu.serve.shared import shared_folder
with shared_folder() as shared:
    worker = subprocess.Popen([sys.executable, "-S", "-c", "input()"], pass_fds=[shared.lock])
    print(shared.path, flush=True)
    os.kill(os.getpid(), 9)
"""


def test_a_folder_is_abandoned_when_the_last_process_of_its_service_has_ended(temporary: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(temporary)}
    with subprocess.Popen(
        [sys.executable, "-S", "-c", SERVICE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as service:
        assert service.stdout is not None
        assert service.stdin is not None
        folder = Path(service.stdout.readline().strip())
        assert service.wait(60) == -9
        remove_abandoned()
        # Its worker still answers what it was asked.
        assert folder.exists()
        assert orphans()
        service.stdin.write("\n")
        service.stdin.close()
        assert service.stdout.read() == ""
    while folder.exists():
        remove_abandoned()
    with shared_folder():
        assert not orphans()


def test_links_files_folders_of_others_and_what_has_another_name_stay(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = left(temporary).rename(temporary / "mine")
    link = temporary / f"{PREFIX}link"
    link.symlink_to(elsewhere)
    file = temporary / f"{PREFIX}file"
    file.touch()
    remove_abandoned()
    assert set(temporary.iterdir()) == {elsewhere, link, file}

    theirs = left(temporary)
    monkeypatch.setattr(os, "geteuid", lambda: theirs.stat().st_uid + 1)
    remove_abandoned()
    assert (theirs / "metrics" / "counter_1.db").exists()
    assert (elsewhere / "metrics" / "counter_1.db").exists()


def test_a_service_whose_folder_is_removed_or_being_removed_as_it_begins_makes_another(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed, held = temporary / "removed", left(temporary, "held")
    make, first = tempfile.mkdtemp, [str(held), str(removed)]
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **given: first.pop() if first else make(**given))
    remover = os.open(held, os.O_RDONLY)
    fcntl.flock(remover, fcntl.LOCK_EX)
    with shared_folder() as shared:
        assert (first, shared.path.is_dir()) == ([], True)
        assert shared.path not in (removed, held)
    os.close(remover)


def test_services_that_begin_and_end_at_the_same_moment_lose_no_folder(temporary: Path) -> None:
    def begin_and_end(_: int) -> bool:
        with shared_folder() as shared:
            remove_abandoned()
            (shared.path / "metrics").mkdir()
            remove_abandoned()
            return (shared.path / "metrics").exists()

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(begin_and_end, range(100)))
    assert list(temporary.iterdir()) == []
