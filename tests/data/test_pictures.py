"""HARDENING D4: pictures that cannot be read as they were meant are set aside with a reason, and the others are read."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from lingqu.contract import Rows
from lingqu.data.image import encode_pixels, learn_pixels
from lingqu.data.ingest import ingest
from lingqu.data.pictures import PictureFault, encode_png, fault, open_picture, read_named
from lingqu.errors import DataError
from lingqu.spec import DataSettings
from lingqu.store import Store
from lingqu.tasks import find_task


def saved(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def noise(seed: int = 0, size: tuple[int, int] = (12, 8), mode: str = "RGB") -> Image.Image:
    draw = np.random.default_rng(seed)
    return Image.fromarray(draw.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).convert(mode)


BAD = {
    "an empty file": b"",
    "no JPEG, PNG, WebP or BMP picture": b"id,label\n1,2\n",
    "a damaged picture": saved(noise(1, (64, 64)), "JPEG")[:-900],
    "a damaged picture (": saved(noise(2, (64, 64)))[:-2000],
    "a CMYK picture": saved(noise(3, mode="CMYK"), "JPEG"),
    "a 16-bit picture": saved(Image.fromarray(np.full((8, 8), 40_000, np.uint16))),
    "an animated picture": saved(noise(4), "WEBP", save_all=True, append_images=[noise(5)], duration=100),
    "no JPEG, PNG, WebP or BMP": saved(noise(6), "TIFF"),
    "no JPEG, PNG, WebP": saved(noise(7, mode="P"), "GIF"),
    "an animated picture,": saved(noise(8), "PNG", save_all=True, append_images=[noise(9)]),
}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_picture_has_its_reason(reason: str) -> None:
    assert fault(BAD[reason]).startswith(reason.rstrip(","))


@pytest.mark.parametrize(
    ("data", "mode"),
    [
        (saved(noise(), "JPEG"), "RGB"),
        (saved(noise(), "WEBP"), "RGB"),
        (saved(noise(), "BMP"), "RGB"),
        (saved(noise(mode="L")), "L"),
        (saved(noise(mode="1")), "L"),
        (saved(noise(mode="P")), "RGB"),
        (saved(noise(mode="RGBA")), "RGB"),
        (saved(noise(mode="LA")), "L"),
    ],
)
def test_a_good_picture_is_grey_or_coloured(data: bytes, mode: str) -> None:
    assert open_picture(data).mode == mode


def test_a_turned_picture_is_read_upright() -> None:
    upright = noise(size=(32, 16))
    exif = Image.Exif()
    exif[0x0112] = 6  # "rotate by 90 degrees to see it right"
    data = saved(upright.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)
    assert fault(data) == ""
    assert (np.asarray(open_picture(data)) == np.asarray(upright)).all()


def test_transparency_lies_on_white() -> None:
    clear = Image.new("RGBA", (2, 2), (255, 0, 0, 0))
    assert open_picture(saved(clear)).getpixel((0, 0)) == (255, 255, 255)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    head = encode_png(np.zeros((1, 1), np.uint8))
    bomb = head[:16] + (60_000).to_bytes(4) + (60_000).to_bytes(4) + head[24:]
    with pytest.raises(PictureFault):
        open_picture(bomb)


@pytest.mark.parametrize("shape", [(1, 1), (28, 28), (5, 7, 3), (300, 300, 3), (4, 4, 4), (6, 9, 1)])
def test_our_png_is_read_back_exactly(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    if shape[-1] == 4 and len(shape) == 3:
        pixels[..., 3] = 255
    back = np.asarray(Image.open(io.BytesIO(encode_png(pixels))))
    assert (back == (pixels[:, :, 0] if shape[-1] == 1 and len(shape) == 3 else pixels)).all()


@pytest.mark.parametrize("name", ["../a.png", "/etc/passwd", "a/../../b.png", "..\\a.png", "C:\\a.png", "link.png"])
def test_a_name_that_leads_out_of_its_folder_is_refused(name: str, tmp_path: Path) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    (tmp_path / "a.png").write_bytes(b"secret")
    (root / "link.png").symlink_to(tmp_path / "a.png")
    with pytest.raises(PictureFault, match="leads out of the folder photos"):
        read_named(name, root)
    with pytest.raises(PictureFault, match=r"^no file 'b\.png' in the folder photos$"):
        read_named("b.png", root)


def ten_thousand(path: Path, broken: int) -> None:
    """Small pictures of two classes, `broken` of them bad in every way there is."""
    draw = np.random.default_rng(0)
    images = [encode_png(pixels) for pixels in draw.integers(0, 256, (10_000, 8, 8), dtype=np.uint8)]
    ways = list(BAD.values())
    for number, place in enumerate(draw.choice(10_000, broken, replace=False).tolist()):
        images[place] = ways[number % len(ways)]
    pq.write_table(pa.table({"image": images, "label": ["cat", "dog"] * 5000}), path)


@pytest.mark.heavy
def test_one_in_a_hundred_is_set_aside_and_the_run_goes_on(tmp_path: Path) -> None:
    ten_thousand(tmp_path / "a.parquet", 100)
    store = Store.open(tmp_path / "store")
    settings = DataSettings(source=str(tmp_path / "a.parquet"))
    version = ingest(settings, find_task("image-classification"), store)
    assert (version.rows_in_all, version.quarantined) == (9_900, 100)
    reasons = Counter(row["reason"].split(" (")[0].split(",")[0] for row in version.set_aside(store))
    assert sum(reasons.values()) == 100
    assert reasons["an empty file"] == 10
    assert reasons["a 16-bit picture"] == 10


@pytest.mark.heavy
def test_more_than_that_stops_the_run(tmp_path: Path) -> None:
    ten_thousand(tmp_path / "a.parquet", 101)
    store = Store.open(tmp_path / "store")
    with pytest.raises(DataError) as error:
        ingest(DataSettings(source=str(tmp_path / "a.parquet")), find_task("image-classification"), store)
    first, second = str(error.value).splitlines()[:2]
    assert first.startswith(
        "1. Expected at most 1% broken rows (data.max_bad), found 101 of 10,000 (1.01%). All of them, "
    )
    assert second.startswith("2. a.parquet row ")


def test_a_table_names_its_pictures(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    lines = ["image,label"]
    for number in range(60):
        (tmp_path / "photos" / f"{number}.png").write_bytes(saved(noise(number)))
        lines.append(f"{number}.png,{'cat' if number % 2 else 'dog'}")
    lines.append("missing.png,cat")
    (tmp_path / "a.csv").write_text("\n".join(lines))
    with pytest.raises(DataError) as error:
        ingest(
            DataSettings(source=str(tmp_path / "a.csv")), find_task("image-classification"), Store.open(tmp_path / "s")
        )
    assert str(error.value) == (
        "Expected the folder of the pictures that the table names, found no data.root. Name it: data: {root: photos}."
    )
    settings = DataSettings(source=str(tmp_path / "a.csv"), root=str(tmp_path / "photos"), max_bad=0.05)
    store = Store.open(tmp_path / "store")
    version = ingest(settings, find_task("image-classification"), store)
    assert version.rows_in_all == 60
    assert version.set_aside(store)[0]["reason"] == "no file 'missing.png' in the folder photos"
    assert open_picture(version.rows("train", store)["image"][0]).size == (12, 8)


def test_pictures_of_a_pixel_or_two_are_made_larger():
    """No convolution could look at them as they are."""
    rows = Rows({"image": [encode_png(np.full((1, 9), shade, np.uint8)) for shade in (0, 200)]})
    memory = learn_pixels(rows, {"side": 64})
    assert (memory["height"], memory["width"]) == (16, 16)
    assert encode_pixels(rows, memory)["pixels"].shape == (2, 1, 16, 16)
