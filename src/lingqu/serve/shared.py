"""The folder that the processes of one service share, and those that killed services left behind.

Each of them holds a lock on it, which the kernel lets go when the last of them ends, however it ends: a folder that
nobody holds is nobody's, whichever process has got an old number meanwhile. Cleaners of /tmp leave held ones alone, too.

>>> with shared_folder() as shared:
...     remove_abandoned()
...     shared.path.exists()
True
>>> shared.path.exists()
False
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

PREFIX = "lingqu-service-"
PARENT = "parent"
"""A file that the first process of a service holds alone: where nobody does, it was killed, and its workers are orphans."""
_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
_FOLDER = _FILE | os.O_DIRECTORY


@dataclass(frozen=True, slots=True)
class Shared:
    """A folder and the descriptor that holds it: whoever has a copy of that is one of its service."""

    path: Path
    lock: int


@contextmanager
def shared_folder() -> Iterator[Shared]:
    """A folder of its own for a service, in the temporary directory, as long as the block runs."""
    shared = _made()
    try:
        with os.fdopen(os.open(shared.path / PARENT, _FILE | os.O_CREAT, 0o600)) as parent:
            fcntl.flock(parent, fcntl.LOCK_EX)
            yield shared
    finally:
        shutil.rmtree(shared.path, ignore_errors=True)
        os.close(shared.lock)


def _made() -> Shared:
    """Another service may take a folder for an abandoned one before it is held; then the next one is tried."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX))
        with suppress(FileNotFoundError, BlockingIOError):
            lock = os.open(path, _FOLDER)
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                path.stat()
                return Shared(path, lock)
            except OSError:
                os.close(lock)
                raise


def remove_abandoned() -> None:
    """Remove the folders of this user's services that were killed with all their processes; what is in the way stays."""
    with suppress(OSError):
        for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
            with suppress(OSError), _held_alone(path):
                shutil.rmtree(path)


def orphans() -> bool:
    """Whether workers of a service of this user that was killed still finish what they had begun; they do not for long."""
    return any(_is_orphaned(path) for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"))


def _is_orphaned(path: Path) -> bool:
    try:
        with _held_alone(path):
            return False
    except BlockingIOError:
        with suppress(OSError), _held_alone(path / PARENT, _FILE):
            return True
    except OSError:
        pass
    return False


@contextmanager
def _held_alone(path: Path, flags: int = _FOLDER) -> Iterator[None]:
    """OSError where somebody holds it, or it is no folder of this user."""
    lock = os.open(path, flags)
    try:
        if os.fstat(lock).st_uid != os.geteuid():
            raise PermissionError(path)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(lock)
