"""What does not fit in memory gives the same as what does; the limits are set so low that everything goes to files."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from lingqu.contract import Rows
from lingqu.data import parquet
from lingqu.data.distinct import Distinct
from lingqu.data.groups import places
from lingqu.data.ingest import ingest
from lingqu.data.near_duplicates import TextGroups, text_groups
from lingqu.data.parquet import Parts, from_parquet, row_at
from lingqu.data.sorted_texts import SortedTexts
from lingqu.spec import DataSettings
from lingqu.store import Store
from lingqu.tasks import find_task
from tests.conftest import write_csv


def random_texts(count: int) -> list[str]:
    draw = random.Random(3)
    words = ["room", "bed", "food", "noise", "view", "price", "staff", "灵渠", "x\x01", "\ud800"]
    texts = [" ".join(draw.choices(words, k=draw.randrange(1, 20))) for _ in range(count)]
    return texts + [text.upper() + "!" for text in texts[::3]]


def test_texts_are_sorted_in_files_as_in_memory(tmp_path: Path) -> None:
    texts = random_texts(200)
    with SortedTexts(tmp_path, memory=2000) as sorted_texts:
        for text in texts:
            sorted_texts.add(text)
        found = [(line.decode("utf-8", "surrogatepass"), number) for line, number in sorted_texts]
    assert found == sorted(zip(texts, range(len(texts)), strict=True))
    assert not list(tmp_path.iterdir())


def test_near_duplicates_are_found_in_files_as_in_memory(tmp_path: Path) -> None:
    texts = random_texts(300)
    with TextGroups(tmp_path, memory=2000) as groups:
        groups.add(texts)
        numbers = groups.numbers().tolist()
    assert [numbers.index(number) for number in numbers] == text_groups(texts)
    assert len(set(numbers)) < 320


def test_rows_are_put_in_order_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROW_GROUP", 7)
    monkeypatch.setattr(parquet, "BINS", 1000)
    rows = Rows({"x": [float(n) for n in range(100)], "text": [f"text {n}" if n % 9 else None for n in range(100)]})
    order = np.random.default_rng(0).permutation(100)[:80]
    file = tmp_path / "a.parquet"
    with Parts({"x": "number", "text": "text"}, tmp_path / "scratch", memory=200) as parts:
        for part in rows.batches(6):
            parts.add(part)
        with file.open("wb") as out:
            parts.write(out, order, lambda chosen: {"number": [str(n) for n in chosen.tolist()]})
    wanted = rows.take(order.tolist()).with_columns({"number": [str(n) for n in order.tolist()]})
    assert from_parquet(file) == wanted
    assert from_parquet(file, ["x"], 11) == wanted.select(["x"]).take(range(11))
    assert row_at(file, 50, ["text", "x"]) == wanted.select(["text", "x"]).take([50])
    assert not list((tmp_path / "scratch").iterdir())


def test_many_different_values_are_counted_in_any_order() -> None:
    numbers = [f"v{n}" for n in range(6_000)] * 2
    counts = set()
    for seed in range(3):
        random.Random(seed).shuffle(numbers)
        seen = Distinct(kept=1024)
        for start in range(0, len(numbers), 1000):
            seen.add(dict.fromkeys(numbers[start : start + 1000], 1))
        counts.add(seen.count)
    assert len(counts) == 1
    assert abs(counts.pop() / 6_000 - 1) < 0.1


def test_values_that_never_repeat_are_as_many_as_came() -> None:
    seen = Distinct(kept=64)
    for n in range(1000):
        seen.add({n: 1})
    assert seen.count == seen.total == 1000
    seen.add(dict.fromkeys(range(1000), 1))
    assert seen.count < 2000


def test_digests_that_begin_alike_are_told_apart() -> None:
    found = np.zeros((4, 32), np.uint8)
    found[[0, 2], 31] = 2
    found[1, 20] = 1
    assert places(found).tolist() == [1, 2, 1, 0]


@pytest.mark.parametrize(
    ("task", "settings", "identity"),
    [
        ("text-classification", {}, "b8b1a4d059fe"),
        ("tabular-classification", {}, "95f1dfcb56c6"),
        ("tabular-regression", {"near_duplicates": False, "seed": 3}, "834f8caa8097"),
    ],
)
def test_a_version_keeps_its_name(task: str, settings: dict[str, object], identity: str, tmp_path: Path) -> None:
    """As versions were named when all rows were held in memory."""
    toys = find_task(task).toy(300)
    write_csv(tmp_path / "rows.csv", toys.followed_by(toys.take(range(0, 300, 7))))
    version = ingest(
        DataSettings(source=str(tmp_path / "rows.csv"), **settings),  # type: ignore[arg-type]
        find_task(task),
        Store.open(tmp_path / "store"),
    )
    assert version.id[:12] == identity
