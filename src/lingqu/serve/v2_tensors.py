r"""Tensors of the Open Inference Protocol v2, as JSON and as bytes behind it (the binary extension).

A column is one tensor of shape [rows] or [rows, 1]; BYTES holds UTF-8 text, or the bytes of a picture. Behind JSON,
numbers are little-endian and each element of BYTES has its length before it, four bytes.

>>> read_tensor({"name": "age", "shape": [2], "datatype": "INT64", "data": [30, 31]}, None)
[30, 31]
>>> write_bytes(["a", "é"])
b'\x01\x00\x00\x00a\x02\x00\x00\x00\xc3\xa9'
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from lingqu.errors import DataError, Problem, near
from lingqu.serve.rows import MOST_ROWS

NUMPY = {
    "BOOL": "?",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
}
DATATYPES = (*NUMPY, "BYTES")
_LENGTHS = "Write the length of each element before it, in four bytes, little-endian."


def read_tensor(tensor: dict[str, Any], raw: bytes | None) -> list[Any]:
    """The values of a tensor, one a row: numbers, booleans, text or bytes; DataError when it is not one a row.

    `raw` is what stands behind the JSON for it, None when its `data` does.
    """
    name, datatype = str(tensor["name"])[:100], tensor.get("datatype")
    if datatype not in DATATYPES:
        raise wrong("a datatype of the protocol", repr(datatype)[:40], name, near(str(datatype), DATATYPES))
    _check_shape(tensor.get("shape"), name)
    if raw is not None and datatype != "BYTES":
        return _raw_numbers(raw, datatype, tensor["shape"], name)
    values = _json_values(tensor, name) if raw is None else read_bytes(raw, name)
    _agree(len(values), tensor["shape"], name)
    return values if raw is not None else [_of_json(value, datatype, name) for value in values]


def _agree(found: int, shape: list[int], name: str) -> None:
    if found != shape[0]:
        advice = "Let the shape and the values agree."
        raise wrong(f"{shape[0]} values for the shape {shape}", f"{found:,}", name, advice)


def _check_shape(shape: Any, name: str) -> None:
    whole = isinstance(shape, list) and shape and all(type(size) is int and size >= 0 for size in shape)
    if not whole or len(shape) > 2 or (len(shape) == 2 and shape[1] != 1):
        raise wrong("the shape [rows] or [rows, 1]", repr(shape)[:60], name, "Send each column as a tensor of its own.")
    if not 1 <= shape[0] <= MOST_ROWS:
        raise wrong(f"1 to {MOST_ROWS:,} rows", f"{shape[0]:,}", name, "Send several requests, none of them empty.")


def _json_values(tensor: dict[str, Any], name: str) -> list[Any]:
    data = tensor.get("data")
    if not isinstance(data, list):
        raise wrong("its values as 'data'", "none", name, "Send them in a list, or behind the JSON.")
    return [part[0] if isinstance(part, list) and len(part) == 1 else part for part in data]


def _of_json(value: Any, datatype: str, name: str) -> Any:
    if datatype == "BYTES":
        allowed: tuple[type, ...] = (str,)
    elif datatype == "BOOL":
        allowed = (bool,)
    else:
        allowed = (int, float) if datatype.startswith("FP") else (int,)
    if not isinstance(value, allowed) or (isinstance(value, bool) and datatype != "BOOL"):
        raise wrong(f"values of {datatype}", type(value).__name__, name, "Send such values, or name another datatype.")
    return value


def _raw_numbers(raw: bytes, datatype: str, shape: list[int], name: str) -> list[Any]:
    """The numbers of these bytes, counted before they become objects of thirty times their size."""
    kind = np.dtype(NUMPY[datatype])
    if len(raw) % kind.itemsize:
        raise wrong(f"a whole number of {datatype}", f"{len(raw):,} bytes", name, f"Each takes {kind.itemsize}.")
    _agree(len(raw) // kind.itemsize, shape, name)
    return np.frombuffer(raw, kind).tolist()


def read_bytes(raw: bytes, name: str) -> list[bytes]:
    """The elements of a BYTES tensor.

    >>> read_bytes(write_bytes(["a", ""]), "x")
    [b'a', b'']
    """
    values: list[bytes] = []
    place = 0
    while place < len(raw):
        if place + 4 > len(raw) or len(values) >= MOST_ROWS:
            raise wrong("elements with their length before them", f"{len(raw):,} bytes that are none", name, _LENGTHS)
        length = struct.unpack_from("<I", raw, place)[0]
        if place + 4 + length > len(raw):
            raise wrong(f"an element of {length:,} bytes", f"{len(raw) - place - 4:,}", name, _LENGTHS)
        values.append(raw[place + 4 : place + 4 + length])
        place += 4 + length
    return values


def write_bytes(values: Sequence[str]) -> bytes:
    """The elements of a BYTES tensor as bytes."""
    encoded = [value.encode() for value in values]
    return b"".join(struct.pack("<I", len(value)) + value for value in encoded)


def write_raw(values: Sequence[Any], datatype: str) -> bytes:
    """Values as the bytes that stand behind the JSON."""
    return write_bytes(values) if datatype == "BYTES" else np.array(values, NUMPY[datatype]).tobytes()


def wrong(expected: str, found: str, name: str, advice: str) -> DataError:
    """What is wrong with a tensor of this name."""
    return DataError(Problem(expected, found, advice, where=f"inputs.{name}"))
