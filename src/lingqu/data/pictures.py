"""One encoded picture: whether it can be read as it was meant, and how it is read.

What would have to be guessed is refused with a reason (several frames, 16 bits, CMYK); what is certain is done (an EXIF
turn is undone, a palette becomes colours, transparency is laid on white).
"""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".bmp": "BMP"}
FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
BYTE_CAP = 64 << 20
PIXEL_CAP = 50_000_000


class PictureFault(ValueError):  # noqa: N818 - a fault of the picture, told as data
    """Why a picture cannot be used, in a few words."""


def open_picture(data: bytes, *, around: int | None = None) -> Image:
    """The picture upright, as "L" (grey) or "RGB"; PictureFault when it cannot be read as it was meant.

    With `around` a JPEG may come smaller, but not below that many pixels a side; this is many times faster.

    >>> open_picture(encode_png(__import__("numpy").zeros((2, 3), "uint8"))).size
    (3, 2)
    """
    import io

    from PIL import Image, ImageOps, UnidentifiedImageError

    if not data:
        raise PictureFault("an empty file")
    if len(data) > BYTE_CAP:
        raise PictureFault("a picture file above 64 MiB")
    try:
        with warnings.catch_warnings():
            # Pillow warns of odd metadata and of bombs; the limits below decide about bombs.
            warnings.simplefilter("ignore")
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
            _check(picture)
            if around:
                picture.draft(None, (around, around))
            picture.load()
            turned = (
                ImageOps.exif_transpose(picture) if picture.format != "PNG" or picture.info.get("exif") else picture
            )
            return _plain(turned)
    except UnidentifiedImageError:
        raise PictureFault("no JPEG, PNG, WebP or BMP picture") from None
    except PictureFault:
        raise
    except (OSError, ValueError, SyntaxError, KeyError, IndexError, EOFError, struct.error, zlib.error) as error:
        # Pillow's decoders raise any of these on damaged files.
        raise PictureFault(f"a damaged picture ({str(error)[:80] or type(error).__name__})") from None
    except Image.DecompressionBombError:
        raise PictureFault("a picture of more than 50 million pixels") from None


def _check(picture: Image) -> None:
    width, height = picture.size
    if width * height > PIXEL_CAP:
        raise PictureFault("a picture of more than 50 million pixels")
    if getattr(picture, "n_frames", 1) > 1:
        raise PictureFault("an animated picture")
    if picture.mode in ("CMYK", "YCCK"):
        raise PictureFault("a CMYK picture, whose colours need its printer's profile: save it as RGB")
    if picture.mode.startswith("I") or picture.mode == "F":
        raise PictureFault("a 16-bit picture, whose range is not known: save it with 8 bits")


def _plain(picture: Image) -> Image:
    from PIL import Image

    if picture.mode in ("L", "RGB"):
        return picture
    if picture.mode == "1":
        return picture.convert("L")
    if picture.mode in ("LA", "RGBA", "PA", "La", "RGBa") or "transparency" in picture.info:
        colours = picture.convert("RGBA")
        white = Image.new("RGBA", colours.size, (255, 255, 255, 255))
        flat = Image.alpha_composite(white, colours)
        return flat.convert("L" if picture.mode in ("LA", "La") else "RGB")
    return picture.convert("RGB")


def fault(data: bytes) -> str:
    """Why this picture would be refused, or nothing.

    >>> fault(b""), fault(b"hello")
    ('an empty file', 'no JPEG, PNG, WebP or BMP picture')
    """
    try:
        open_picture(data, around=16)
    except PictureFault as error:
        return str(error)
    return ""


def read_named(name: str, root: Path) -> bytes:
    """The bytes of the picture file that a table names, looked for under `root` and nowhere else.

    >>> read_named("../secret.png", Path("photos"))
    Traceback (most recent call last):
    lingqu.data.pictures.PictureFault: '../secret.png' leads out of the folder photos
    """
    path = PurePosixPath(name.strip().replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name:
        raise PictureFault(f"{name!r} leads out of the folder {root.name}")
    file = root / path
    if root.resolve() not in file.resolve().parents:
        raise PictureFault(f"{name!r} leads out of the folder {root.name}")
    try:
        if file.stat().st_size > BYTE_CAP:
            raise PictureFault("a picture file above 64 MiB")
        return file.read_bytes()
    except OSError:
        raise PictureFault(f"no file {name!r} in the folder {root.name}") from None


def encode_png(pixels: np.ndarray[Any, np.dtype[Any]]) -> bytes:
    """An 8-bit array, (height, width) or (height, width, 1 | 3 | 4), as PNG bytes.

    The pixels are stored, not compressed: so the bytes are the same whichever zlib a machine has, and with them the
    identity of the data version. Parquet compresses them afterwards.
    """
    flat = pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    height, width = flat.shape[:2]
    colour = {2: 0, 3: 2, 4: 6}[2 if flat.ndim == 2 else flat.shape[2]]
    row = flat.reshape(height, -1).tobytes()
    stride = len(row) // height
    lines = b"".join(b"\0" + row[i : i + stride] for i in range(0, len(row), stride))
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + _chunk(b"IDAT", _stored(lines)) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _stored(data: bytes) -> bytes:
    """A zlib stream of stored blocks (RFC 1950, RFC 1951 section 3.2.4)."""
    blocks = [data[i : i + 65535] for i in range(0, len(data), 65535)]
    last = len(blocks) - 1
    body = b"".join(
        struct.pack("<BHH", i == last, len(block), len(block) ^ 0xFFFF) + block for i, block in enumerate(blocks)
    )
    return b"\x78\x01" + body + struct.pack(">I", zlib.adler32(data))
