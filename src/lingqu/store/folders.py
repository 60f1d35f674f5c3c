"""Folder blobs: a folder of plain files under the SHA-256 of its listing.

The listing is the canonical JSON of the sorted [relative path, SHA-256, size] of every file. It is kept as a blob of
its own beside the folder, and its digest is by construction the folder's, so that damage can be told file by file.

>>> root = getfixture("tmp_path")
>>> (root / "bundle").mkdir()
>>> _ = (root / "bundle" / "model.onnx").write_bytes(b"weights")
>>> folders = Folders(Blobs(root / "blobs"))
>>> digest = folders.put(root / "bundle")
>>> sorted(path.name for path in folders.path(digest).iterdir())
['model.onnx']
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from lingqu.errors import Problem, StoreError
from lingqu.store.atomic import TEMPORARY, make_folder, open_output, remove_folder, replace_folder, temporary_beside
from lingqu.store.blobs import READ_ONLY, REPAIR, Blobs, remove_first
from lingqu.store.canonical import canonical_json, check_digest, digest_of
from lingqu.store.locks import hold

Listing = list[tuple[str, str, int]]
"""[relative path, SHA-256, size] of every file, sorted by path."""

_CHUNK = 1 << 20


class Folders:
    """The folder blobs that lie among blobs, `ab/abcd….d/`."""

    def __init__(self, blobs: Blobs) -> None:
        self.blobs = blobs
        self.lock = blobs.folder.with_name("locks") / "folders.lock"

    def final(self, digest: str) -> Path:
        """Where the folder of this digest is, or would be."""
        return self.blobs.folder / check_digest(digest)[:2] / f"{digest}.d"

    def put(self, source: Path) -> str:
        """Copy a folder in and give its digest; what is there but damaged is put right.

        What is hashed is what is copied, byte by byte, so a file that changes meanwhile cannot give a wrong digest.
        """
        make_folder(self.blobs.folder)
        staging = temporary_beside(self.blobs.folder / "folder")
        try:
            make_folder(staging)
            # What a kill left of a write that was never finished is no part of what was made.
            whole = [(name, path) for name, path in plain_files(source) if not path.name.startswith(TEMPORARY)]
            listing = sorted(_copy(path, name, staging) for name, path in whole)
            spelled = canonical_json(listing)
            digest = self.blobs.put(spelled)
            final = self.final(digest)
            # Two processes may bring the same folder at once; the second finds it there and leaves it.
            with hold(self.lock):
                if not final.is_dir() or self.check(digest):
                    replace_folder(staging, final)
        finally:
            remove_folder(staging)
        return digest

    def path(self, digest: str, *, verify: bool = True) -> Path:
        """The folder of this digest; StoreError when it is missing or a file in it is not what was put."""
        final = self.final(digest)
        if not final.is_dir():
            raise StoreError(Problem(f"the folder {final}", "no such folder", REPAIR))
        if verify and (problems := self.check(digest)):
            raise StoreError(problems)
        return final

    def remove(self, digest: str) -> None:
        """Let go of a folder and its listing; nothing when it is not there. A kill in between leaves what can be removed."""
        with hold(self.lock):
            remove_folder(self.final(digest))
            self.blobs.remove(digest)

    def check(self, digest: str) -> list[Problem]:
        """What is wrong with a folder, file by file; nothing when it is as it was put."""
        final = self.final(digest)
        try:
            found = listing_of(final)
        except StoreError as error:
            return list(error.problems)
        if digest_of(canonical_json(found)) == digest:
            return []
        advice = remove_first(final)
        if not self.blobs.intact(digest):
            return [Problem(f"the folder {final} as it was written", "other files, and no listing", advice)]
        wanted = {name: (sha256, size) for name, sha256, size in json.loads(self.blobs.get(digest))}
        return _differences(final, wanted, {name: (sha256, size) for name, sha256, size in found})


def plain_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Relative name and path of each file below a folder; StoreError for a link, a device, or a name that is no UTF-8.

    >>> root = getfixture("tmp_path")
    >>> (root / "a").mkdir()
    >>> (root / "a" / "b.txt").touch()
    >>> [name for name, _ in plain_files(root)]
    ['a/b.txt']
    """
    problems: list[Problem] = []
    found: list[tuple[str, Path]] = []
    for top, folders, names in os.walk(folder, onerror=_raise):
        for name in (*folders, *names):
            path = Path(top, name)
            mode = path.lstat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                kind = "a link" if stat.S_ISLNK(mode) else "a device, a pipe or a socket"
                problems.append(Problem(f"only plain files in {folder}", f"{kind}, {path}", "Put a copy in its place."))
            elif not _is_utf8(str(path.relative_to(folder))):
                problems.append(Problem(f"file names in UTF-8 in {folder}", repr(name), "Rename it."))
            elif stat.S_ISREG(mode):
                found.append((path.relative_to(folder).as_posix(), path))
    if problems:
        raise StoreError(problems)
    return iter(sorted(found))


def listing_of(folder: Path) -> Listing:
    """The listing of a folder as it is now.

    >>> root = getfixture("tmp_path")
    >>> _ = (root / "x").write_bytes(b"12")
    >>> [(name, size) for name, _, size in listing_of(root)]
    [('x', 2)]
    """
    listing: Listing = []
    for name, path in plain_files(folder):
        with path.open("rb", buffering=0) as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            listing.append((name, sha256, file.tell()))
    return listing


def _copy(source: Path, name: str, staging: Path) -> tuple[str, str, int]:
    target = staging / name
    make_folder(target.parent)
    hasher, size = hashlib.sha256(), 0
    # NOFOLLOW: between the look and the copy somebody may have put a link in the file's place.
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as incoming, open_output(target, permissions=READ_ONLY) as outgoing:
        while chunk := incoming.read(_CHUNK):
            hasher.update(chunk)
            outgoing.write(chunk)
            size += len(chunk)
    return name, hasher.hexdigest(), size


def _differences(folder: Path, wanted: dict[str, tuple[str, int]], found: dict[str, tuple[str, int]]) -> list[Problem]:
    problems: list[Problem] = []
    advice = remove_first(folder)
    for name in sorted(wanted.keys() | found.keys()):
        path = folder / name
        if name not in found:
            problems.append(Problem(f"the file {path}", "no such file", advice))
        elif name not in wanted:
            problems.append(Problem(f"no file {path}", "one that was not put there", "Remove it."))
        elif wanted[name] != found[name]:
            sha256, size = found[name]
            what = f"other bytes ({size:,}, SHA-256 {sha256[:12]}…)"
            problems.append(Problem(f"the file {path} as it was written", what, advice))
    return problems


def _is_utf8(name: str) -> bool:
    # Names that are not UTF-8 come from the system with lone surrogates in them, which no JSON can hold.
    return not any("\ud800" <= character <= "\udfff" for character in name)


def _raise(error: OSError) -> None:
    reason = "no such folder" if error.errno in (errno.ENOENT, errno.ENOTDIR) else str(error.strerror).lower()
    raise StoreError(Problem(f"to read the folder {error.filename}", reason)) from error
