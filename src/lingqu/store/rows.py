"""Arrays kept row by row under the hash of what each row was computed from: new rows are computed, old ones are read.

A cache belongs to one computation, named by plain values (which encoder, which layers, which precision). It is a folder
of chunks: `<hash>.npy` holds rows end to end, `<hash>.rows.npy` their keys and lengths. A chunk counts once both files
are there and have that hash, so whatever a kill interrupts is computed again and nothing else is; a damaged chunk counts as absent.

>>> cache = RowCache(getfixture("tmp_path"), {"encoder": "abc", "layer": 3})
>>> keys = [row_key(np.array([1])), row_key(np.array([1, 2]))]
>>> cache.missing(keys)
[0, 1]
>>> cache.add(keys, np.array([1, 2]), np.array([[0.5], [0.25], [0.75]]))
>>> values, lengths = RowCache(getfixture("tmp_path"), {"encoder": "abc", "layer": 3}).read(keys[::-1])
>>> lengths.tolist(), values[:, 0].tolist()
([2, 1], [0.25, 0.75, 0.5])
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lingqu.store.atomic import write_bytes
from lingqu.store.canonical import canonical_json, digest_of

Array = np.ndarray[Any, np.dtype[Any]]

_ROW = np.dtype([("key", "S16"), ("length", "<i8")])


def row_key(row: Array) -> bytes:
    """The key of a row: 16 bytes of the hash of its type, shape and content.

    >>> row_key(np.array([1, 2])) == row_key(np.array([1, 2])), len(row_key(np.array([0])))
    (True, 16)
    """
    spelled = f"{row.dtype.str}{row.shape}".encode()
    # NumPy strips zero bytes off the end of a bytes cell, so no key may end in one.
    return hashlib.blake2b(spelled + np.ascontiguousarray(row).tobytes(), digest_size=15).digest() + b"k"


class RowCache:
    """The rows of one computation, in a folder below `folder` that is named by the hash of `what`."""

    def __init__(self, folder: Path, what: Mapping[str, Any]) -> None:
        self.folder = folder / digest_of(canonical_json(dict(what)))[:32]
        self._chunks: dict[str, Array] = {}
        self._places: dict[bytes, tuple[str, int, int]] = {}
        for path in sorted(self.folder.glob("*.rows.npy")):
            self._open(path)

    def missing(self, keys: Sequence[bytes]) -> list[int]:
        """The places of the keys that are not held, each key once."""
        first = {key: place for place, key in reversed(list(enumerate(keys))) if key not in self._places}
        return sorted(first.values())

    def add(self, keys: Sequence[bytes], lengths: Array, values: Array) -> None:
        """Keep one chunk: `values` (all entries, …) holds so many entries a row as `lengths` says."""
        rows = _npy(np.array(list(zip(keys, lengths.tolist(), strict=True)), _ROW))
        held = _npy(values)
        name = hashlib.sha256(rows + held).hexdigest()[:32]
        write_bytes(self.folder / f"{name}.npy", held)
        path = self.folder / f"{name}.rows.npy"
        write_bytes(path, rows)
        self._open(path)

    def read(self, keys: Sequence[bytes]) -> tuple[Array, Array]:
        """The values of these rows end to end, and their lengths; KeyError for one that is not held."""
        places = [self._places[key] for key in keys]
        lengths = np.array([length for _, _, length in places], np.int64)
        starts = np.cumsum(lengths) - lengths
        values: Array | None = None
        for (name, start, length), to in zip(places, starts.tolist(), strict=True):
            chunk = self._chunks[name]
            if values is None:
                values = np.empty((int(lengths.sum()), *chunk.shape[1:]), chunk.dtype)
            values[to : to + length] = chunk[start : start + length]
        return values if values is not None else np.empty(0, np.float32), lengths

    def _open(self, path: Path) -> None:
        """Take up a chunk; one whose two files are not those that were written is left out."""
        name = path.name.removesuffix(".rows.npy")
        values = self.folder / f"{name}.npy"
        try:
            with values.open("rb") as file:
                whole = hashlib.sha256(path.read_bytes())
                while part := file.read(1 << 20):
                    whole.update(part)
            if whole.hexdigest()[:32] != name:
                return
            rows = np.load(path, allow_pickle=False)
            chunk = np.load(values, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError):
            return
        starts = np.cumsum(rows["length"]) - rows["length"]
        self._chunks[name] = chunk
        for key, start, length in zip(rows["key"].tolist(), starts.tolist(), rows["length"].tolist(), strict=True):
            self._places[key] = (name, start, length)


def _npy(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
