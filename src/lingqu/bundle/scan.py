"""What an ONNX file holds, looked through before ONNX Runtime sees it: nothing in it may lead out of it.

A tensor may keep its numbers in another file ("external data"), which ONNX Runtime opens for whoever names it, and has
opened through `..`, links and attributes (CVE-2022-25882, CVE-2024-27318, CVE-2026-27489, CVE-2026-34445). A bundle
holds its numbers itself, so any tensor that points elsewhere is refused, wherever it hides: in a graph, a graph inside a
node, an attribute, a function, a sparse tensor. So are operators outside the standard ones, parts for training, and
shapes that no machine holds. The walk follows the wire format of protobuf (https://protobuf.dev/programming-guides/encoding)
and the field numbers of onnx.proto3, and needs no package.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lingqu.bundle.trust import NOT_TRUSTED
from lingqu.errors import BundleError, Problem

DOMAINS = (b"", b"ai.onnx", b"ai.onnx.ml")
# ONNX Runtime's own: what an LSTM with 8-bit weights becomes.
BESIDE = ((b"com.microsoft", b"DynamicQuantizeLSTM"),)
MOST_NUMBERS = 1 << 31
"""The most numbers that one tensor may claim to hold."""
DEEPEST = 32
"""How many messages may lie within each other; a branch within a branch needs three more."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

# Which fields of a message hold messages that may hold a tensor (onnx.proto3); other fields are only stepped over.
INSIDE: dict[str, dict[int, str]] = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
TRAINING, OPERATOR, DOMAIN = 20, 4, 7
DIMENSIONS, EXTERNAL_DATA, DATA_LOCATION = 1, 13, 14

# A forest has its numbers one by one in `ints` (field 8) and `floats` (field 7) of an attribute: stepped over at once.
_NUMBERS = re.compile(rb"(?:\x40[\x80-\xff]{0,9}[\x00-\x7f])+|(?:\x3d.{4})+", re.DOTALL)


class _UnreadableError(ValueError):
    """Not the wire format of protobuf."""


class _RefusedError(ValueError):
    """What was found and may not be there."""


def refuse_outside(model: bytes, name: str) -> None:
    r"""BundleError when the ONNX model in the file `name` leads out of itself, or cannot be read that far.

    >>> refuse_outside(b"", "model.onnx")
    >>> refuse_outside(b"\x3a\x06\x2a\x04\x70\x01\x08\x05", "model.onnx")
    Traceback (most recent call last):
    lingqu.errors.BundleError: Expected a model that is whole in model.onnx, found a tensor in another file. Do not use this bundle.
    """
    try:
        _walk(model, 0, len(model), "model", 0)
    except _RefusedError as refused:
        raise BundleError(Problem(f"a model that is whole in {name}", str(refused), NOT_TRUSTED)) from None
    except _UnreadableError:
        found = "bytes that are no protobuf"
        raise BundleError(Problem(f"an ONNX model in {name}", found, "Export the bundle again.")) from None


def _walk(data: bytes, at: int, end: int, kind: str, depth: int) -> None:
    if depth > DEEPEST:
        raise _RefusedError(f"parts nested more than {DEEPEST} deep")
    inside, numbers = INSIDE[kind], 1
    named: dict[int, set[bytes]] = {OPERATOR: set(), DOMAIN: set()}
    for number, wire, first, second in _fields(data, at, end, runs=kind == "attribute"):
        if wire == BYTES and number in inside:
            _walk(data, first, second, inside[number], depth + 1)
        elif kind == "tensor":
            if number == EXTERNAL_DATA or (number == DATA_LOCATION and first):
                raise _RefusedError("a tensor in another file")
            if number == DIMENSIONS:
                # Several in one field, or each in its own: both are allowed to say the same.
                for size in [first] if wire == VARINT else _varints(data, first, second):
                    numbers *= max(size, 1)
                if numbers > MOST_NUMBERS:
                    raise _RefusedError(f"a tensor of more than {MOST_NUMBERS:,} numbers")
        elif kind == "model" and number == TRAINING:
            raise _RefusedError("a part for training")
        elif kind == "node" and number in named and wire == BYTES:
            named[number].add(data[first:second])
    # A field that is there twice counts by its last value, or by its first: every one must do.
    for domain in named[DOMAIN].difference(DOMAINS):
        if any((domain, operator) not in BESIDE for operator in named[OPERATOR] or [b""]):
            raise _RefusedError(f"an operator of '{domain.decode('utf-8', 'replace')[:100]}'")


def _fields(data: bytes, at: int, end: int, *, runs: bool) -> Iterator[tuple[int, int, int, int]]:
    """Each field between two places: its number, its wire type, and its value (or where it begins) and where it ends."""
    while at < end:
        if runs and (run := _NUMBERS.match(data, at, end)):
            at = run.end()
            continue
        tag, at = _varint(data, at, end)
        number, wire = tag >> 3, tag & 7
        if wire == VARINT:
            value, at = _varint(data, at, end)
            yield number, wire, value, at
            continue
        if wire == BYTES:
            length, at = _varint(data, at, end)
        elif wire in (FIXED64, FIXED32):
            length = 8 if wire == FIXED64 else 4
        else:
            raise _UnreadableError
        if number == 0 or at + length > end:
            raise _UnreadableError
        yield number, wire, at, at + length
        at += length


def _varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """A number of seven bits a byte, the lowest first, and where it ends."""
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    raise _UnreadableError


def _varints(data: bytes, at: int, end: int) -> Iterator[int]:
    while at < end:
        value, at = _varint(data, at, end)
        yield value
