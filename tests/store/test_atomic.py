from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lingqu.errors import StoreError
from lingqu.store.atomic import (
    TEMPORARY,
    copy_folder,
    make_folder,
    not_written,
    open_output,
    replace_folder,
    write_bytes,
    write_json,
)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.name.startswith(TEMPORARY))


def test_a_failed_block_leaves_the_old_file(tmp_path):
    path = tmp_path / "out.csv"
    write_bytes(path, b"old")
    with pytest.raises(KeyError), open_output(path, "w") as file:
        file.write("new")
        raise KeyError
    assert path.read_bytes() == b"old"
    assert left(tmp_path) == []


def test_the_block_s_own_file_errors_stay_its_own(tmp_path):
    with pytest.raises(FileNotFoundError), open_output(tmp_path / "out") as file:
        file.write((tmp_path / "input").read_bytes())
    assert list(tmp_path.iterdir()) == []


def test_permissions(tmp_path):
    path = tmp_path / "x"
    write_bytes(path, b"", permissions=0o400)
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    write_bytes(path, b"again")
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    umask = os.umask(0o027)
    try:
        write_json(tmp_path / "report.json", {})
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "report.json").stat().st_mode) == 0o640


def test_what_a_link_points_to_is_written_and_the_link_stays(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_bytes(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new"


def test_a_device_is_written_straight_through():
    with open_output(Path("/dev/null"), "w") as file:
        file.write("gone")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_text_is_utf_8_and_keeps_its_line_ends(tmp_path):
    with open_output(tmp_path / "x", "w") as file:
        file.write("灵渠\r\n")
    assert (tmp_path / "x").read_bytes() == "灵渠\r\n".encode()


def test_a_folder_in_the_way_is_told(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(StoreError) as error:
        write_bytes(tmp_path / "out", b"")
    assert str(error.value) == f"Expected to write {tmp_path}/out, found is a directory. Choose another name."


def test_a_file_above_is_told(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(StoreError) as error:
        write_bytes(tmp_path / "a" / "b" / "c", b"")
    assert str(error.value) == f"Expected to write {tmp_path}/a, found file exists. Choose another name."


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (
            errno.ENOSPC,
            "Expected room to write /d/x, found the disk full. Free some space, then run the same command again.",
        ),
        (
            errno.EROFS,
            "Expected to write /d/x, found read-only file system. Choose another place, or change who may write there.",
        ),
        (errno.EIO, "Expected to write /d/x, found input/output error. Look at the disk."),
    ],
)
def test_what_the_disk_refuses_is_told(number, message):
    assert str(not_written(OSError(number, os.strerror(number)), Path("/d/x"))) == message


def test_a_full_disk_is_told_with_the_bytes_and_leaves_nothing(tmp_path):
    # A limit on the size of a file is the one full disk that every machine has.
    script = f"""
        import resource, signal, sys
        from pathlib import Path
        from lingqu.errors import StoreError
        from lingqu.store import write_bytes
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        try:
            write_bytes(Path({str(tmp_path)!r}) / "x", bytes(5000))
        except StoreError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        f"Expected room to write {tmp_path}/x (5,000 bytes), found the disk full. "
        "Free some space, then run the same command again."
    )
    assert list(tmp_path.iterdir()) == []


def test_a_kill_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "x"
    write_bytes(path, b"old")
    script = f"""
        import os, signal
        from pathlib import Path
        from lingqu.store import open_output
        with open_output(Path({str(path)!r})) as file:
            file.write(b"half")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert len(left(tmp_path)) == 1


def test_a_folder_replaces_another_whole(tmp_path):
    write_bytes(tmp_path / "old" / "gone", b"")
    write_bytes(tmp_path / "draft" / "sub" / "x", b"new")
    replace_folder(tmp_path / "draft", tmp_path / "old")
    assert [p.name for p in sorted((tmp_path / "old").rglob("*"))] == ["sub", "x"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["old"]


def test_a_folder_that_cannot_be_put_there_leaves_the_old_one(tmp_path):
    write_bytes(tmp_path / "old" / "kept", b"")
    with pytest.raises(StoreError, match="no such file or directory"):
        replace_folder(tmp_path / "never-made", tmp_path / "old")
    assert [p.name for p in (tmp_path / "old").iterdir()] == ["kept"]


def test_a_copy_of_a_read_only_folder_may_be_written(tmp_path):
    write_bytes(tmp_path / "a" / "sub" / "x", b"1", permissions=0o400)
    copy_folder(tmp_path / "a", tmp_path / "out" / "b")
    copied = tmp_path / "out" / "b" / "sub" / "x"
    assert copied.read_bytes() == b"1" and stat.S_IMODE(copied.stat().st_mode) & 0o600 == 0o600
    assert left(tmp_path) == []


def test_made_folders_are_private(tmp_path):
    make_folder(tmp_path / "a" / "b")
    assert {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b")} == {0o700}
