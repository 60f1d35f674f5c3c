"""What the reader of a page is said to have already: rows of their own, in the layout that the page names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from lingqu.tasks import find_task


def tickets(folder: Path) -> None:
    rows = find_task("text-classification").toy(300)
    lines = "".join(f"{row['text']},{row['label']}\n" for row in rows)
    (folder / "tickets.csv").write_text(f"message,queue\n{lines}", encoding="utf-8")
    (folder / "new.csv").write_text("message\nthe soup is sweet\n", encoding="utf-8")


def ag_news(folder: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    for split in ("train", "test"):
        table = pa.table({"text": [f"{split} text {i}" for i in range(40)], "label": [i % 4 for i in range(40)]})
        parquet.write_table(table, folder / f"{split}.parquet")


def hotels(folder: Path) -> None:
    lines = "".join(f"{i % 2},第{i}次入住，{'很好' if i % 2 else '很差'}\n" for i in range(40))
    (folder / "ChnSentiCorp_htl_all.csv").write_text(f"label,review\n{lines}", encoding="utf-8")


def mnist(folder: Path) -> None:
    pixels, digits = _pictures(500)
    np.savez(folder / "mnist.npz", x_train=pixels[:400], y_train=digits[:400], x_test=pixels[400:], y_test=digits[400:])


def pneumonia(folder: Path) -> None:
    pixels, digits = _pictures(60)
    found = (digits % 2)[:, None]
    splits = {"train": slice(40), "val": slice(40, 50), "test": slice(50, 60)}
    arrays = {f"{split}_images": pixels[part] for split, part in splits.items()}
    arrays |= {f"{split}_labels": found[part] for split, part in splits.items()}
    np.savez(folder / "pneumoniamnist.npz", **arrays)  # type: ignore[arg-type]


def german(folder: Path) -> None:
    lines = "".join(
        f"{'<0' if i % 3 else '>=200'},{6 + i % 30},{20 + i},{'bad' if i % 3 else 'good'}\n" for i in range(60)
    )
    (folder / "credit-g.csv").write_text(f"checking_status,duration,age,class\n{lines}", encoding="utf-8")


def taipei(folder: Path) -> None:
    lines = "".join(f"{i},{2012 + i % 2},{i % 40},{90 + 37 * i},{20 + i % 50}.5\n" for i in range(1, 61))
    head = "No,X1 transaction date,X2 house age,X3 distance to the nearest MRT station,Y house price of unit area"
    (folder / "real_estate.csv").write_text(f"{head}\n{lines}", encoding="utf-8")


def _pictures(count: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    return draw.integers(0, 256, (count, 28, 28), np.uint8), (np.arange(count) % 10).astype(np.uint8)


GIVEN: dict[str, Callable[[Path], None]] = {
    "README.md": tickets,
    "examples/news-topics/README.md": ag_news,
    "examples/review-sentiment/README.md": hotels,
    "examples/handwritten-digits/README.md": mnist,
    "examples/chest-xray/README.md": pneumonia,
    "examples/credit-scoring/README.md": german,
    "examples/house-prices/README.md": taipei,
}
