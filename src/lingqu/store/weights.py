"""Whether a safetensors file is one, before any library maps it.

The format (https://github.com/huggingface/safetensors) is eight bytes that say how long the header is, the header as
JSON, and then every tensor's bytes, end to end without a gap. Libraries that read it have been made to spend minutes on a
header of 100,000 entries and to read outside the file by shapes that overflow, so all of it is checked here: nothing but the header
is read, and it is at most eight megabytes.

>>> path = getfixture("tmp_path") / "w.safetensors"
>>> header = b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
>>> _ = path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
>>> weights_fault(path)
''
>>> _ = path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(7))
>>> weights_fault(path)
'8 bytes of tensors announced and 7 there'
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HEADER_CAP = 8 << 20
MOST_TENSORS = 20_000
MOST_DIMENSIONS = 8
MOST_NUMBERS = 1 << 40
BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}


class _FaultError(ValueError):
    """What is wrong, in a few words."""


def weights_fault(path: Path) -> str:
    """Why this file must not be read as safetensors, in a few words; nothing when it may be."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            start = file.read(8)
            if len(start) < 8:
                return "a file of less than eight bytes"
            (length,) = struct.unpack("<Q", start)
            if length > min(HEADER_CAP, size - 8):
                return f"a header of {length:,} bytes in a file of {size:,}"
            _check(_header(file.read(length)), size - 8 - length)
    except _FaultError as fault:
        return str(fault)
    except OSError as error:
        return f"not readable: {error.strerror}"
    return ""


def _header(data: bytes) -> dict[str, Any]:
    # Counted before it is parsed: each entry has a word for its type, and millions of them would take a while.
    if data.count(b'"dtype"') > MOST_TENSORS or data.count(b":") > 8 * MOST_TENSORS:
        raise _FaultError(f"a header of more than {MOST_TENSORS:,} tensors")
    try:
        header = json.loads(data.decode("utf-8"), object_pairs_hook=_once)
    except _FaultError:
        raise
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise _FaultError("a header that is no JSON object")
    return header


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _FaultError("a name that stands twice in the header")
    return found


def _check(header: dict[str, Any], held: int) -> None:
    """Every tensor as large as its shape says, one after the other, and nothing left over."""
    about = header.pop("__metadata__", {})
    if not isinstance(about, dict) or not all(isinstance(value, str) for value in about.values()):
        raise _FaultError("metadata that is no text")
    at = 0
    for begin, end, name in sorted(_spans(header)):
        if begin != at:
            raise _FaultError(f"the tensor {name[:60]!r} where another one ends at {at:,} and it begins at {begin:,}")
        at = end
    if at != held:
        raise _FaultError(f"{at:,} bytes of tensors announced and {held:,} there")


def _spans(header: dict[str, Any]) -> Iterator[tuple[int, int, str]]:
    for name, tensor in header.items():
        if not isinstance(tensor, dict) or set(tensor) != {"dtype", "shape", "data_offsets"}:
            raise _FaultError(f"the entry {name[:60]!r} without dtype, shape and data_offsets alone")
        kind, shape, offsets = tensor["dtype"], tensor["shape"], tensor["data_offsets"]
        if not isinstance(kind, str) or kind not in BITS:
            raise _FaultError(f"the type {str(kind)[:20]!r} of {name[:60]!r}")
        if not _counts(shape) or len(shape) > MOST_DIMENSIONS:
            raise _FaultError(f"the shape {str(shape)[:60]} of {name[:60]!r}")
        if not _counts(offsets) or len(offsets) != 2:
            raise _FaultError(f"the place {str(offsets)[:60]} of {name[:60]!r}")
        numbers = 1
        for length in shape:
            numbers *= length
        if offsets[1] - offsets[0] != numbers * BITS[kind] // 8:
            raise _FaultError(f"the tensor {name[:60]!r} of {offsets[1] - offsets[0]:,} bytes for the shape {shape}")
        yield offsets[0], offsets[1], name


def _counts(values: Any) -> bool:
    """Whether these are whole numbers that a file can have so many of."""
    return isinstance(values, list) and all(
        isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_NUMBERS for value in values
    )
