"""Files that were damaged at random are read or refused by a typed error; nothing else ever comes out."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from lingqu.data.pictures import fault
from lingqu.data.readers import read
from lingqu.errors import DataError

ROWS = [(f'text {n}, "quoted" 房间', n * 1.5, "ab"[n % 2]) for n in range(60)]
CSV = "text,n,label\n" + "".join('"{}",{},{}\n'.format(text.replace('"', '""'), n, label) for text, n, label in ROWS)
OBJECTS = [{"text": text, "n": n, "label": label} for text, n, label in ROWS]
PIECES = [b'"', b"\0", b"\r", b"\n", b"\xff", b"{", b"[" * 50, b"\\u", b"1e999", b",,,,"]


def parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"text": [text for text, *_ in ROWS], "image": [b"abc"] * len(ROWS)}), file)
    return file.getvalue()


def npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, x_train=np.zeros((20, 4, 4), np.uint8), y_train=np.arange(20))
    return file.getvalue()


FILES = {
    "a.csv": CSV.encode(),
    "b.csv": CSV.encode("gb18030"),
    "c.csv": CSV.encode("utf-16"),
    "d.jsonl": "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in OBJECTS).encode(),
    "e.json": json.dumps(OBJECTS).encode(),
    "f.parquet": parquet(),
    "g.npz": npz(),
}


def damaged(data: bytes, draw: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(draw.choice([1, 1, 2, 5, 20])):
        place = draw.randrange(len(out) + 1)
        way = draw.randrange(5)
        if way == 0:
            out[place : place + 1] = bytes([draw.randrange(256)])
        elif way == 1:
            del out[place : place + draw.choice([1, 2, 10, 200])]
        elif way == 2:
            out[place:place] = draw.choice(PIECES)
        elif way == 3:
            out[place:place] = out[draw.randrange(len(out) + 1) :][:40]
        elif draw.random() < 0.3:
            del out[place:]
    return bytes(out)


def hold(name: str, count: int, folder: Path) -> None:
    draw = random.Random(name)
    for _ in range(count):
        (folder / name).write_bytes(damaged(FILES[name], draw))
        try:
            found = read(folder / name)
        except DataError:
            continue
        assert all(len(found.rows[column]) == len(found.rows) for column in found.rows.names)


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_read_or_refused(name: str, tmp_path: Path) -> None:
    hold(name, 60, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_thousands_of_damaged_files_are_read_or_refused(name: str, tmp_path: Path) -> None:
    hold(name, 7200, tmp_path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP"])
def test_damaged_pictures_have_a_reason(kind: str) -> None:
    draw = random.Random(kind)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    for _ in range(100):
        assert isinstance(fault(damaged(file.getvalue(), draw)), str)
