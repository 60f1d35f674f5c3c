"""HARDENING X3: fifty bad safetensors files are refused before a library sees them, at once and in little memory."""

from __future__ import annotations

import json
import struct
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save, save_file

from lingqu.store.weights import HEADER_CAP, MOST_TENSORS, weights_fault

GOOD: dict[str, Any] = {"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}


def whole(header: Any, data: bytes = bytes(16), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def with_(**changes: Any) -> bytes:
    return whole({"w": {**GOOD["w"], **changes}})


def two(first: list[int], second: list[int], data: int) -> bytes:
    def one(place: list[int]) -> dict[str, Any]:
        return {"dtype": "U8", "shape": [place[1] - place[0]], "data_offsets": place}

    return whole({"a": one(first), "b": one(second)}, bytes(data))


def many(count: int) -> bytes:
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    return whole({f"w{i}": empty for i in range(count)}, b"")


BAD: dict[str, bytes] = {
    **{f"{n} bytes": bytes(n) for n in (0, 1, 7)},
    **{f"a header of {n}": whole(GOOD, length=n) for n in (1 << 63, (1 << 64) - 1, 100 << 20, HEADER_CAP + 1, 10_000)},
    "a header cut": whole(GOOD, length=20),
    "no header": whole(b""),
    **{
        f"the header {h[:12]!r}": whole(h)
        for h in (b"[]", b"null", b"1", b'"w"', b"\xff\xfe", b"{" * 9000, b'{"w":' * 9000, b"nonsense", b"\x80\x04N.")
    },
    "a name twice": whole(b'{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},"w":{}}'),
    "a key twice": whole(b'{"w":{"dtype":"F32","dtype":"F64","shape":[4],"data_offsets":[0,16]}}'),
    "100,000 entries": many(100_000),
    "one entry too many": many(MOST_TENSORS + 1),
    "a hundred thousand others": whole({f"k{i}": i for i in range(200_000)}),
    **{f"the type {t}": with_(dtype=t) for t in ("F33", "", "f32", None, 4, ["F32"], "__import__", "F4")},
    **{
        f"the shape {str(s)[:30]}": with_(shape=s)
        for s in (
            [3, 2], [-2, -2], [1 << 62, 1 << 62], [1 << 64], [2.0, 2], ["2", 2], None, {}, [True, 4], [4, 1, 1, 1, 1, 1, 1, 1, 1],
            [[2, 2]], [1 << 32, 1 << 32, 0],
        )
    },
    **{
        f"the place {o}": with_(data_offsets=o)
        for o in ([0, 15], [16, 0], [-16, 0], [0, 1 << 70], [1, 17], [0], [0, 16, 32], None, "0-16", [0.0, 16.0], [16, 32])
    },
    "overlapping": two([0, 8], [4, 12], 12),
    "one in the other": two([0, 12], [4, 8], 12),
    "a hole": two([0, 4], [8, 12], 12),
    "too much": two([0, 4], [4, 8], 9),
    "too little": two([0, 4], [4, 8], 7),
    "no shape": whole({"w": {"dtype": "F32", "data_offsets": [0, 16]}}),
    "more than a tensor": whole({"w": {**GOOD["w"], "code": "os.system"}}),
    "metadata of numbers": whole({"__metadata__": {"a": 1}, **GOOD}),
    "metadata of lists": whole({"__metadata__": [], **GOOD}),
}  # fmt: skip


def test_there_are_fifty() -> None:
    assert len(BAD) >= 50


@pytest.mark.parametrize("name", BAD)
def test_each_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(BAD[name])
    tracemalloc.start()
    started = time.process_time()
    told = weights_fault(path)
    seconds, peak = time.process_time() - started, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert told
    assert "\n" not in told
    assert len(told) < 250
    assert seconds < 1
    assert peak < 64 << 20


def test_what_safetensors_writes_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    kinds = (np.float32, np.float16, np.int64, np.uint8, np.bool_)
    arrays = {f"w/{kind.__name__}": np.ones((3, 2), kind) for kind in kinds} | {"none": np.zeros((0, 4), np.float32)}
    save_file(arrays, path, metadata={"format": "pt"})
    assert weights_fault(path) == ""
    assert set(load_file(path)) == set(arrays)
    path.write_bytes(save({}))
    assert weights_fault(path) == ""
    assert weights_fault(tmp_path / "absent") == "not readable: No such file or directory"
