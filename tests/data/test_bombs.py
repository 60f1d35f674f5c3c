"""HARDENING X5, X6, X8: archives, pictures and texts that are made to fill the memory or to take for ever."""

from __future__ import annotations

import io
import resource
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lingqu.contract import Rows
from lingqu.data.accept import MOST_CHARACTERS, accept
from lingqu.data.pictures import PIXEL_CAP, encode_png, fault
from lingqu.data.readers import read
from lingqu.data.text import encode_ngrams, encode_tokens, learn_ngrams, learn_tokens
from lingqu.errors import DataError
from tests.clock import fewest_seconds

# --- X5: archives ------------------------------------------------------------------------------------------------


def packed(*entries: tuple[str | zipfile.ZipInfo, bytes], level: int = 9) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return buffer.getvalue()


def array(shape: tuple[int, ...], data: bytes = b"", kind: str = "|u1") -> bytes:
    """A .npy file that claims this shape."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": kind, "fortran_order": False, "shape": shape})
    return buffer.getvalue() + data


PLAIN = array((4, 2), bytes(8))


def link(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


def end_says(data: bytes, *, entries: int | None = None, size: int | None = None) -> bytes:
    """The archive with other numbers in its last record."""
    spoiled, at = bytearray(data), data.rfind(b"PK\x05\x06")
    if entries is not None:
        struct.pack_into("<HH", spoiled, at + 8, entries, entries)
    if size is not None:
        struct.pack_into("<I", spoiled, at + 12, size)
    return bytes(spoiled)


def contents_say(data: bytes, field: int, form: str, value: int) -> bytes:
    """The archive with another number in the first entry of its table of contents."""
    spoiled = bytearray(data)
    struct.pack_into(form, spoiled, data.index(b"PK\x01\x02") + field, value)
    return bytes(spoiled)


def overlapped(times: int) -> bytes:
    """One megabyte that many entries share."""
    one = packed(("x0.npy", PLAIN + bytes(1 << 20)))
    start = one.index(b"PK\x01\x02")
    entry, local = one[start : one.rfind(b"PK\x05\x06")], one[:start]
    table = b"".join(entry.replace(b"x0.npy", f"x{i % 10}.npy".encode()) for i in range(times))
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, times, times, len(table), len(local), 0)
    return local + table + end


def archives() -> Iterator[tuple[str, bytes]]:
    outside = (
        "../canary",
        "/tmp/lingqu-canary",
        "a/../../canary",
        "..\\canary",
        "C:\\canary",
        "//host/canary",
        "x.npy/../../c",
        "a\0b",
    )
    for name in outside:
        yield f"named {name!r}", packed((name, PLAIN))
        yield f"named {name!r}.npy", packed((f"{name}.npy", PLAIN), ("y.npy", PLAIN))
    for kind, mode in {
        "link": 0o120777,
        "device": 0o060600,
        "terminal": 0o020666,
        "pipe": 0o010600,
        "socket": 0o140777,
    }.items():
        yield f"a {kind}", packed((link("x.npy", mode), b"/etc/passwd"), ("y.npy", PLAIN))
        yield f"a {kind} and what is under it", packed((link("x", mode), b"/etc"), ("x/passwd", PLAIN))
    yield "names that differ by case", packed(("X.npy", PLAIN), ("x.npy", PLAIN), ("x.NPY", b"other"))
    for times in (10, 500, 5000):
        yield (
            f"{times} megabytes of nothing",
            packed(("x.npy", array((times << 20,)) + bytes(times << 20 if times < 500 else 100 << 20))),
        )
    yield "growing a thousandfold", packed(("x.npy", PLAIN), ("y.npy", bytes(200 << 20)))
    nested = packed(("zeros", bytes(50 << 20)))
    for _ in range(3):
        nested = packed(*[(f"{i}.zip", nested) for i in range(10)])
    yield "an archive in an archive in an archive", nested
    for times in (2, 50, 10_000):
        yield f"{times} that share their bytes", overlapped(times)
    yield "a hundred thousand entries", packed(*[(f"{i}", b"") for i in range(100_000)], level=0)
    yield "a long table of contents", end_says(packed(("x.npy", PLAIN)), size=1 << 30)
    yield "an endless table of contents", end_says(packed(("x.npy", PLAIN)), size=0xFFFFFFFF)
    for number in (0, 65_535):
        yield f"{number} entries, it says", end_says(packed(("x.npy", PLAIN)), entries=number)
    good = packed(("x.npy", PLAIN), ("y.npy", PLAIN))
    for value in (0, 1, 1 << 20, 0xFFFFFFFE):
        yield f"a size of {value} that is none", contents_say(good, 24, "<I", value)
        yield f"a packed size of {value} that is none", contents_say(good, 20, "<I", value)
        yield f"a place of {value} that is none", contents_say(good, 42, "<I", value)
    for method in (1, 9, 12, 14, 93, 99):
        yield f"packed by method {method}", contents_say(good, 10, "<H", method)
    yield "encrypted", contents_say(good, 8, "<H", 1)
    for shape in ((1 << 40,), (1 << 62, 4), (-1, 4), (1 << 31, 1 << 31)):
        yield f"an array of {shape}", packed(("x.npy", array(shape)))
    yield "an array of objects", packed(("x.npy", array((1,), b"\x80\x04N.", "|O")))
    yield "half of one", good[: len(good) // 2]
    yield "none", b"PK\x05\x06"
    yield "a tar", b"canary".ljust(100, b"\0") + b"0000644" + bytes(149) + b"ustar" + bytes(512)


LIMITED = """
import resource, sys, time
from lingqu.data.readers import read
from lingqu.data.pictures import fault
from lingqu.errors import LingquError
from pathlib import Path

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

import PIL.Image, numpy, zipfile, openpyxl
fault(b"x")
before, slow, refused = peak(), [], 0
for path in sorted(Path(sys.argv[1]).iterdir()):
    started = time.process_time()
    if path.suffix in (".npz", ".xlsx"):
        try:
            read(path)
        except LingquError:
            refused += 1
    else:
        refused += bool(fault(path.read_bytes()))
    seconds, more = time.process_time() - started, peak() - before
    if seconds > 2 or more > 200:
        slow.append((path.name, round(seconds, 2), more))
        before += more
print(refused)
sys.exit(repr(slow) if slow else 0)
"""


def tried(folder: Path) -> int:
    """How many of these files were refused, each within two seconds and 200 MiB; in a process that may not grow far."""
    before = sorted(path.name for path in folder.parent.iterdir())
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(folder)],
        cwd=folder.parent,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)),
    )
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.parent.iterdir()) == before
    return int(done.stdout)


@pytest.mark.heavy
def test_sixty_archives_write_nothing_and_are_refused_at_once(tmp_path: Path) -> None:
    made = dict(archives())
    assert len(made) >= 60
    (tmp_path / "evil").mkdir()
    for number, data in enumerate(made.values()):
        for suffix in ("npz", "xlsx"):
            (tmp_path / "evil" / f"{number:02}.{suffix}").write_bytes(data)
    refused = tried(tmp_path / "evil")
    # Odd names and lying counts that change nothing about a plain array are read as one.
    assert refused >= 2 * len(made) - 25
    assert not Path("/tmp/lingqu-canary").exists()


def test_the_worst_archives_are_refused(tmp_path: Path) -> None:
    expected = {
        "3 that share": (overlapped(3), "entries that share their bytes"),
        "much of nothing": (packed(("x.npy", bytes(65 << 20)), level=1), "bytes that unpack to 68,157,440"),
        "long": (end_says(packed(("x.npy", PLAIN)), size=1 << 30), "a table of contents of 1,073,741,824 bytes"),
    }
    for name, (data, words) in expected.items():
        path = tmp_path / f"{name}.npz"
        path.write_bytes(data)
        with pytest.raises(DataError, match=words) as refused:
            read(path)
        assert str(refused.value).startswith(f"Expected an archive {name}.npz that can be unpacked, found ")
    path = tmp_path / "good.npz"
    np.savez_compressed(path, x=np.zeros((2000, 8, 8), np.uint8), y=np.arange(2000) % 2)
    assert len(read(path).rows) == 2000


# --- X6: pictures ------------------------------------------------------------------------------------------------


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *middle: bytes, depth: int = 8, colour: int = 2, data: bytes | None = None) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = zlib.compress(bytes(1000), 9) if data is None else data
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(middle) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def jpeg(width: int, height: int) -> bytes:
    """A JPEG whose frame says another size."""
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG")
    spoiled = bytearray(buffer.getvalue())
    struct.pack_into(">HH", spoiled, spoiled.index(b"\xff\xc0") + 5, height, width)
    return bytes(spoiled)


def bmp(width: int, height: int, *, offset: int = 54, compression: int = 0, bits: int = 24) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, offset) + head + b"\0\x01\0\0" * 50


def webp(width: int, height: int) -> bytes:
    data = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + bytes(16)
    return b"RIFF" + struct.pack("<I", len(data) + 12) + b"WEBPVP8L" + struct.pack("<I", len(data)) + data


def pictures() -> Iterator[tuple[str, bytes]]:
    sizes = ((60_000, 60_000), (1 << 31, 1), (1, 1 << 31), ((1 << 31) - 1, (1 << 31) - 1), (50_000, 1_001), (0, 0))
    for width, height in sizes:
        yield f"PNG of {width} x {height}", png(width & 0xFFFFFFFF, height & 0xFFFFFFFF)
    for width, height in ((65_500, 65_500), (65_535, 800), (0, 8)):
        yield f"JPEG of {width} x {height}", jpeg(width, height)
    for width, height in ((30_000, 30_000), (1 << 30, 1 << 30), (-5, 5), (1, -(1 << 31))):
        yield f"BMP of {width} x {height}", bmp(width, height)
    yield "BMP that runs for ever", bmp(30_000, 30_000, compression=1, bits=8)
    yield "BMP that begins behind its end", bmp(8, 8, offset=1 << 30)
    for width, height in ((16_384, 16_384), (16_384, 4_000)):
        yield f"WebP of {width} x {height}", webp(width, height)
    heavy = zlib.compress(bytes(100 << 20), 9)
    for kind, start in ((b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0"), (b"iCCP", b"a\0\0")):
        yield f"PNG with a {kind.decode()} bomb", png(8, 8, chunk(kind, start + heavy), data=b"")
        yield f"PNG with a hundred {kind.decode()} bombs", png(8, 8, *[chunk(kind, start + heavy)] * 100, data=b"")
    yield "PNG with a million chunks", png(8, 8, *[chunk(b"tEXt", b"a\0b")] * 500_000, data=b"")
    yield "PNG that unpacks to a hundred megabytes", png(9, 9, data=heavy[: len(heavy) // 2])
    yield "PNG of a chunk without end", png(8, 8)[:33] + struct.pack(">I", 0x7FFFFFFF) + b"IDAT" + bytes(100)
    frames = chunk(b"acTL", struct.pack(">II", 1 << 31, 0))
    yield "PNG of two thousand million frames", png(8, 8, frames)
    yield "PNG of 16 bits", png(7_000, 7_000, depth=16)
    for suffix, start in {
        "GIF": b"GIF89a" + struct.pack("<HH", 65_535, 65_535), "TIFF": b"II*\0\x08\0\0\0", "ICO": b"\0\0\1\0\1\0", "ICNS": b"icns\xff\xff\xff\xff",
        "FITS": b"SIMPLE  =                    T", "PSD": b"8BPS\0\1", "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99999 99999",
        "SVG": b"<svg xmlns='http://www.w3.org/2000/svg' width='99999' height='99999'/>", "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n",
        "DDS": b"DDS |\0\0\0", "BLP": b"BLP2", "PPM": b"P6 99999 99999 255\n", "PCX": b"\n\5\1\x08", "HDF5": b"\x89HDF\r\n\x1a\n",
    }.items():  # fmt: skip
        yield f"a {suffix}", start + bytes(200)


@pytest.mark.heavy
def test_forty_picture_bombs_are_refused_at_once(tmp_path: Path) -> None:
    made = dict(pictures())
    assert len(made) >= 40
    (tmp_path / "evil").mkdir()
    for number, (name, data) in enumerate(made.items()):
        (tmp_path / "evil" / f"{number:02} {name.replace('/', '')}.img").write_bytes(data)
    # Of a picture whose data goes on behind its last row, Pillow reads the rows.
    assert tried(tmp_path / "evil") == len(made) - 1


def test_a_picture_of_too_many_pixels_is_refused_by_its_head() -> None:
    for data in (png(50_000, 1_001), jpeg(65_500, 65_500), bmp(30_000, 30_000), webp(16_384, 16_384)):
        assert fault(data) == "a picture of more than 50 million pixels"
        assert fewest_seconds(partial(fault, data), enough=0.2) < 0.2
    assert PIXEL_CAP == 50_000_000
    assert fault(encode_png(np.zeros((8, 8), np.uint8))) == ""


# --- X8: texts ---------------------------------------------------------------------------------------------------

TEXTS = {
    "letters": "a", "sentences": "a.", "spaces": " ", "emoji": "👩‍👩‍👧‍👦", "zalgo": "Z̸̡̢̛̲͓͍̰̳̦̼̺̯̈́̐̍̑͐̊̒̑̽̕͘", "NUL": "a\0", "Chinese": "灵渠，", "Thai": "ภาษาไทย",
    "digits": "1", "brackets": "([{", "newlines": "\n", "tabs": "\t a", "wide": "ＡＢ", "ligatures": "ﬃ", "surrogates": "\ud800a",
    "upper": "İ", "quotes": "\"'", "markup": "<a href='", "joined": "\u200b", "arabic": "ﷺ",
}  # fmt: skip


@pytest.fixture(scope="module")
def readers() -> dict[str, object]:
    rows = Rows({"text": ["the soup tastes salty", "足球队赢了比赛", "a b c d e"] * 20})
    grams, tokens = learn_ngrams(rows, {"chars": [3, 4]}), learn_tokens(rows, {"vocabulary": 200})
    return {
        "ngrams": lambda text: encode_ngrams(Rows({"text": [text]}), grams),
        "tokens": lambda text: encode_tokens(Rows({"text": [text]}), tokens),
    }


@pytest.mark.heavy
@pytest.mark.parametrize("front", ["ngrams", "tokens"])
@pytest.mark.parametrize("name", TEXTS)
def test_the_longest_text_takes_a_tenth_of_a_second(name: str, front: str, readers) -> None:
    """At the cap of a request, a million characters; twice a part of them takes at most two and a half times as long."""
    piece = TEXTS[name]
    whole = (piece * (MOST_CHARACTERS // len(piece) + 1))[:MOST_CHARACTERS]
    read_text = readers[front]
    read_text(whole)
    assert fewest_seconds(lambda: read_text(whole), enough=0.1) < 0.1

    def once(characters: int) -> float:
        return fewest_seconds(lambda: read_text(whole[:characters]), tries=3)

    # Time that grows with the square is four times as long at every try; a noisy machine is not.
    assert any(once(8_000) <= 2.5 * once(4_000) + 0.002 for _ in range(5))


def test_a_text_beyond_the_cap_is_refused_unread() -> None:
    limits = [{"name": "text", "source": "text", "kind": "text", "missing": False}]
    sent = Rows({"text": ["a" * (MOST_CHARACTERS + 1), "a" * MOST_CHARACTERS]})
    rows, errors = accept(sent, limits)
    assert fewest_seconds(lambda: accept(sent, limits), enough=0.1) < 0.1
    assert errors == ["Expected at most 1,000,000 characters in 'text', found 1,000,001. Shorten the text.", None]
    assert len(rows["text"][1]) == MOST_CHARACTERS
