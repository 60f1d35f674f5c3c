"""Files that are whole or not there: the only place of lingqu that opens files for writing.

Each write goes to a temporary file in the same folder, is flushed to the disk, renamed over its final name, and the
folder is flushed too. A kill or a power cut at any moment leaves the old file or the new one, never half of one.

>>> folder = getfixture("tmp_path")
>>> write_json(folder / "a.json", {"b": 1})
>>> (folder / "a.json").read_text()
'{"b":1}'
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Literal, overload

from lingqu.errors import Problem, StoreError
from lingqu.store.canonical import canonical_json

TEMPORARY = ".lingqu-"
"""How the name of every temporary file and folder begins, so that what a kill leaves can be told from the rest."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_WRITING = _FULL | {errno.EIO, errno.EROFS}
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def write_bytes(path: Path, data: bytes, *, permissions: int | None = None) -> None:
    """Write a whole file, or nothing; missing folders above it are made.

    `permissions` default to those of the file that is replaced, or to what the umask gives.

    >>> path = getfixture("tmp_path") / "new" / "x.bin"
    >>> write_bytes(path, b"123")
    >>> path.read_bytes()
    b'123'
    """
    with _output(path, "wb", permissions, size=len(data)) as file:
        file.write(data)


def write_json(path: Path, value: Any, *, permissions: int | None = None) -> None:
    """Write a JSON value in its canonical spelling, whole or not at all.

    >>> path = getfixture("tmp_path") / "x.json"
    >>> write_json(path, {"b": 1, "a": ["x"]})
    >>> path.read_text("utf-8")
    '{"a":["x"],"b":1}'
    """
    write_bytes(path, canonical_json(value), permissions=permissions)


@overload
def open_output(
    path: Path, mode: Literal["wb"] = "wb", *, permissions: int | None = None
) -> AbstractContextManager[IO[bytes]]: ...


@overload
def open_output(
    path: Path, mode: Literal["w"], *, permissions: int | None = None
) -> AbstractContextManager[IO[str]]: ...


def open_output(
    path: Path, mode: Literal["wb", "w"] = "wb", *, permissions: int | None = None
) -> AbstractContextManager[IO[Any]]:
    r"""Open a file to be written piece by piece; it appears under its name when the block ends without an error.

    Mode "w" is UTF-8 and leaves line ends as they are. A device or a pipe is written straight through.

    >>> path = getfixture("tmp_path") / "out.csv"
    >>> with open_output(path, "w") as file:
    ...     _ = file.write("a,b\r\n")
    >>> path.read_bytes()
    b'a,b\r\n'
    """
    return _output(Path(path), mode, permissions)


def _output(
    path: Path, mode: Literal["wb", "w"], permissions: int | None, *, size: int | None = None
) -> AbstractContextManager[IO[Any]]:
    try:
        # Somebody who points a link somewhere wants the file there to change, not the link to vanish.
        final = path.resolve() if path.is_symlink() else path
        before = final.stat().st_mode if final.exists() else None
    except OSError as error:
        raise not_written(error, path) from error
    if before is not None and not stat.S_ISREG(before):
        return _write_through(final, mode)
    if permissions is None and before is not None:
        permissions = stat.S_IMODE(before)
    return _write_beside(final, mode, permissions, size)


@contextmanager
def _write_beside(
    final: Path, mode: Literal["wb", "w"], permissions: int | None, size: int | None
) -> Iterator[IO[Any]]:
    make_folder(final.parent, permissions=0o777)
    temporary = temporary_beside(final)
    try:
        file = _create(temporary, mode, permissions)
    except OSError as error:
        raise not_written(error, final) from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(final)
        sync_folder(final.parent)
    except OSError as error:
        # The block may fail for reasons of its own (reading its input); only what writing causes is told here.
        if error.errno in _WRITING or size is not None:
            raise not_written(error, final, size=size) from error
        raise
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def _write_through(path: Path, mode: Literal["wb", "w"]) -> Iterator[IO[Any]]:
    try:
        file = path.open(mode, **_text(mode))
    except OSError as error:
        raise not_written(error, path) from error
    with file:
        yield file


def make_folder(path: Path, *, permissions: int = 0o700) -> None:
    """Make a folder and those above it, so that they survive a power cut; nothing when it is there.

    >>> make_folder(getfixture("tmp_path") / "a" / "b")
    """
    if path.is_dir():
        return
    if not path.parent.is_dir():
        make_folder(path.parent, permissions=permissions)
    try:
        path.mkdir(mode=permissions, exist_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise not_written(error, path) from error


def replace_folder(source: Path, final: Path) -> None:
    """Put a finished folder in the place of another, or where none was; both on one disk.

    Everything in it is flushed first. Where a folder was, it steps aside for the blink between two renames, and is
    then removed; a kill in that blink leaves it beside, under a temporary name.

    >>> folder = getfixture("tmp_path")
    >>> write_bytes(folder / "draft" / "x", b"new")
    >>> replace_folder(folder / "draft", folder / "final")
    >>> (folder / "final" / "x").read_bytes()
    b'new'
    """
    try:
        make_folder(final.parent, permissions=0o777)
        sync_tree(source)
        aside = temporary_beside(final)
        stepped = _step_aside(final, aside)
        try:
            source.rename(final)
        except OSError:
            if stepped:
                aside.rename(final)
            raise
        sync_folder(final.parent)
    except OSError as error:
        raise not_written(error, final) from error
    remove_folder(aside)


def copy_folder(source: Path, final: Path) -> None:
    """Copy a folder to a place outside the store, where it appears when it is whole; its files may be written again.

    >>> folder = getfixture("tmp_path")
    >>> write_bytes(folder / "a" / "x", b"1", permissions=0o400)
    >>> copy_folder(folder / "a", folder / "b")
    >>> (folder / "b" / "x").read_bytes()
    b'1'
    """
    staging = temporary_beside(final)
    try:
        make_folder(staging, permissions=0o777)
        for path in sorted(source.rglob("*")):
            target = staging / path.relative_to(source)
            if path.is_dir():
                make_folder(target, permissions=0o777)
            else:
                with path.open("rb") as incoming, open_output(target) as outgoing:
                    shutil.copyfileobj(incoming, outgoing)
        replace_folder(staging, final)
    finally:
        remove_folder(staging)


def remove_folder(path: Path) -> None:
    """Remove a folder and all in it; nothing when it is not there.

    >>> remove_folder(getfixture("tmp_path") / "never-made")
    """
    with suppress(FileNotFoundError):
        shutil.rmtree(path)


def temporary_beside(path: Path) -> Path:
    """A fresh name in the same folder, for what will be renamed to `path`.

    >>> temporary_beside(Path("out/report.html")).parent.name
    'out'
    """
    return path.parent / f"{TEMPORARY}{os.urandom(8).hex()}.tmp"


def sync_folder(path: Path) -> None:
    """Flush the names in a folder to the disk.

    >>> sync_folder(getfixture("tmp_path"))
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network and overlay file systems cannot flush a folder; they say so with EINVAL.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Flush every file and folder below a folder to the disk.

    >>> sync_tree(getfixture("tmp_path"))
    """
    for top, _, names in os.walk(folder):
        for name in names:
            descriptor = os.open(Path(top, name), os.O_RDONLY | os.O_NOFOLLOW)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        sync_folder(Path(top))


def not_written(error: OSError, path: Path, *, size: int | None = None) -> StoreError:
    """What the user is told when the disk refuses a write.

    >>> print(not_written(OSError(errno.ENOSPC, "No space left on device"), Path("/data/x"), size=4096))
    Expected room to write /data/x (4,096 bytes), found the disk full. Free some space, then run the same command again.
    """
    if error.errno in _FULL:
        needed = "" if size is None else f" ({size:,} bytes)"
        return StoreError(
            Problem(
                f"room to write {path}{needed}",
                "the disk full",
                "Free some space, then run the same command again.",
            )
        )
    reason = (error.strerror or type(error).__name__).lower()
    advice = "Look at the disk."
    if error.errno in _FORBIDDEN:
        advice = "Choose another place, or change who may write there."
    elif error.errno in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY):
        advice = "Choose another name."
    return StoreError(Problem(f"to write {path}", reason, advice))


def _create(path: Path, mode: Literal["wb", "w"], permissions: int | None) -> IO[Any]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o666 if permissions is None else 0o600)
    if permissions is not None:
        os.fchmod(descriptor, permissions)
    return os.fdopen(descriptor, mode, **_text(mode))


def _text(mode: str) -> dict[str, Any]:
    return {} if "b" in mode else {"encoding": "utf-8", "newline": ""}


def _step_aside(final: Path, aside: Path) -> bool:
    try:
        final.rename(aside)
    except FileNotFoundError:
        return False
    return True
