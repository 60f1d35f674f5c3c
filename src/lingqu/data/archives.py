"""Whether a zip archive (.npz, .xlsx) may be opened: looked through before anything of it is unpacked.

Nothing is ever unpacked to the disk, so names that lead elsewhere, links and devices have no effect. What an archive can
still do is fill the memory: by a million entries, by data that grows a thousandfold, by entries that share their bytes
(https://www.bamsoftware.com/hacks/zipbomb/). All three show in its table of contents.
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import BinaryIO

from lingqu.errors import DataError, Problem

CONTENTS_CAP = 2 << 20
"""The longest table of contents, in bytes: some twenty thousand entries."""
UNPACKED_CAP = 10 << 30
GROWTH_CAP, GROWTH_FREE = 100, 64 << 20
"""An archive may unpack to so many times its size, and to so many bytes whatever its size."""

_END, _END64, _LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"


def check_archive(raw: BinaryIO, path: Path) -> None:
    """DataError for an archive that would fill the memory; BadZipFile for what is no archive. The file is at its start afterwards."""
    size = raw.seek(0, 2)
    contents = _contents_size(raw, size)
    if contents > CONTENTS_CAP:
        raise _refused(path, f"a table of contents of {contents:,} bytes")
    with zipfile.ZipFile(raw) as archive:
        entries = sorted(archive.infolist(), key=lambda entry: entry.header_offset)
    whole = sum(entry.file_size for entry in entries)
    if whole > UNPACKED_CAP or whole > max(GROWTH_FREE, GROWTH_CAP * size):
        raise _refused(path, f"{size:,} bytes that unpack to {whole:,}")
    ends = [entry.header_offset + entry.compress_size for entry in entries]
    if any(end > entry.header_offset for end, entry in zip(ends, entries[1:], strict=False)) or any(
        end > size for end in ends
    ):
        raise _refused(path, "entries that share their bytes")
    raw.seek(0)


def _refused(path: Path, found: str) -> DataError:
    return DataError(Problem(f"an archive {path.name} that can be unpacked", found, "Write it again, or split it."))


def _contents_size(raw: BinaryIO, size: int) -> int:
    """How long the table of contents is, as the end of the archive says."""
    tail_at = max(0, size - 65_557 - 20)
    raw.seek(tail_at)
    tail = raw.read()
    end = tail.rfind(_END)
    if end < 0 or len(tail) < end + 22:
        raise zipfile.BadZipFile("File is not a zip file")
    (contents,) = struct.unpack_from("<I", tail, end + 12)
    if end >= 20 and tail[end - 20 : end - 16] == _LOCATOR64:
        raw.seek(min(struct.unpack_from("<Q", tail, end - 12)[0], size))
        record = raw.read(56)
        if len(record) < 56 or record[:4] != _END64:
            raise zipfile.BadZipFile("File is not a zip file")
        contents = max(contents if contents != 0xFFFFFFFF else 0, struct.unpack_from("<Q", record, 40)[0])
    return contents
