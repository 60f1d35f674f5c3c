"""Content-addressed blobs: bytes under the name of their own SHA-256, read-only, checked whenever they are read.

>>> blobs = Blobs(getfixture("tmp_path"))
>>> digest = blobs.put(b"channel")
>>> blobs.get(digest)
b'channel'
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from lingqu.errors import Problem, StoreError
from lingqu.store.atomic import make_folder, write_bytes
from lingqu.store.canonical import check_digest, digest_of

READ_ONLY = 0o400
REPAIR = "Run the same command again to make it anew, or restore it from a backup."


class Blobs:
    """The files below one folder, `ab/abcd…`, two digits and then the whole digest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: str) -> Path:
        """Where the blob of this digest is, or would be."""
        return self.folder / check_digest(digest)[:2] / digest

    def put(self, data: bytes) -> str:
        """Keep bytes and give their digest; a blob that is there but damaged is put right."""
        digest = digest_of(data)
        path = self.path(digest)
        if not self.intact(digest):
            make_folder(path.parent)
            write_bytes(path, data, permissions=READ_ONLY)
        return digest

    def get(self, digest: str) -> bytes:
        """The bytes of this digest; StoreError when they are missing or no longer the ones that were put."""
        path = self.path(digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise StoreError(Problem(f"the blob {path}", "no such file", REPAIR)) from None
        except OSError as error:
            raise StoreError(Problem(f"to read the blob {path}", str(error.strerror).lower())) from error
        if (found := digest_of(data)) != digest:
            raise StoreError(damaged(path, found))
        return data

    def intact(self, digest: str) -> bool:
        """Whether the blob is there, with the bytes that its name promises."""
        try:
            return digest_of(self.path(digest).read_bytes()) == digest
        except OSError:
            return False

    def remove(self, digest: str) -> None:
        """Let go of a blob; nothing when it is not there."""
        self.path(digest).unlink(missing_ok=True)

    def paths(self) -> Iterator[Path]:
        """Everything that lies where blobs lie, in order: blobs, folders, and what a kill left."""
        for shelf in sorted(self.folder.iterdir()) if self.folder.is_dir() else []:
            yield from sorted(shelf.iterdir()) if shelf.is_dir() and len(shelf.name) == 2 else [shelf]


def remove_first(path: Path) -> str:
    """The advice for what is damaged: while it lies there, the stage that made it counts as done.

    >>> remove_first(Path("blobs/ab/ab12.d"))
    'Remove blobs/ab/ab12.d and run the same command again to make it anew, or restore it from a backup.'
    """
    return f"Remove {path} and run the same command again to make it anew, or restore it from a backup."


def damaged(path: Path, found: str) -> Problem:
    """What is told of a file whose bytes are not those of its name."""
    return Problem(f"the blob {path} as it was written", f"other bytes (SHA-256 {found[:12]}…)", remove_first(path))
