"""The profile of data: what its columns look like, and the rows that want a second look."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lingqu.contract import Rows
from lingqu.data.ingest import examine, ingest
from lingqu.data.overview import look_over
from lingqu.data.version import DataVersion
from lingqu.evaluate.profile_page import write_profile
from lingqu.evaluate.translation import Words
from lingqu.spec import DataSettings
from lingqu.store import Store
from lingqu.tasks import find_task

TEXT = find_task("text-classification")
TABLE = find_task("tabular-classification")


def table(count: int = 200, seed: int = 0) -> Rows:
    draw = np.random.default_rng(seed)
    price = draw.lognormal(3, 0.5, count).round(2)
    return Rows(
        {
            "price": price.tolist(),
            "town": draw.choice(["桂林", "Lyon"], count).tolist(),
            "label": np.where(price > 20, "dear", "cheap").tolist(),
        }
    )


KINDS = {"price": "number", "town": "category", "label": "label"}


def told(rows: Rows, kinds: dict[str, str] = KINDS, task=TABLE) -> list[tuple[str, str, str]]:
    empty = rows.take([])
    found = look_over({"train": rows, "validation": empty, "test": empty}, kinds, task)["findings"]
    # Chinese readers hear the same.
    assert all(Words("zh").told(one["message"]) != one["message"] for one in found)
    return [(one["level"], one["code"], one["message"]) for one in found]


def test_clean_rows_are_quiet() -> None:
    assert [told(table(seed=seed)) for seed in range(50)] == [[]] * 50


def test_missing_cells_are_told_by_how_many() -> None:
    rows = table()
    some = rows.with_columns({"town": [None] * 12 + rows["town"][12:], "price": [None] * 120 + rows["price"][120:]})
    assert told(some) == [
        ("warning", "missing", "60% of column 'price' are missing."),
        ("note", "missing", "6% of column 'town' are missing."),
    ]


def test_far_numbers_are_told_with_their_rows() -> None:
    rows = table()
    far = rows.with_columns({"price": [9_999_999.0, *rows["price"][1:]]})
    middle = f"{np.median(far['price']):.6g}"
    assert told(far) == [
        (
            "note",
            "outliers",
            f"1 value of column 'price' lies far from all others (9,999,999; the middle one is {middle}).",
        )
    ]
    found = look_over({"train": far, "validation": far, "test": far}, KINDS, TABLE)["findings"][0]
    assert found["rows"] == [{"split": "train", "price": 9_999_999.0, "town": far["town"][0], "label": far["label"][0]}]


def test_one_class_nearly_everywhere_is_told() -> None:
    rows = table().with_columns({"label": ["cheap"] * 190 + ["dear"] * 10})
    assert told(rows)[-1] == (
        "warning",
        "imbalanced",
        "95.0% of the rows are of the class 'cheap': accuracy says little here, f1 and recall more.",
    )


def test_odd_texts_are_told() -> None:
    texts = [f"a plain text of some words, number {n}" for n in range(60)]
    rows = Rows({"text": ["x" * 6000, "???", *texts], "label": ["a", "b"] * 31})
    assert [one[1:] for one in told(rows, {"text": "text", "label": "label"}, TEXT)] == [
        ("outliers", "1 texts of column 'text' are far longer than the others (6,000 characters)."),
        ("mute-texts", "1 texts of column 'text' have neither a letter nor a digit."),
    ]


def test_twins_with_different_labels_are_told_across_splits() -> None:
    texts = [f"text {n}" for n in range(20)]
    train = Rows({"text": texts, "label": ["好", "坏"] * 10})
    test = Rows({"text": ["text 3", "new"], "label": ["好", "坏"]})
    found = look_over(
        {"train": train, "validation": train.take([]), "test": test}, {"text": "text", "label": "label"}, TEXT
    )
    (one,) = found["findings"]
    assert (
        one["message"]
        == (
            "2 of 22 rows have an equal twin with another label ('坏' and '好', for instance): no model can be right on all "
            "of them."
        )
        or "'好' and '坏'" in one["message"]
    )
    assert one["rows"] == [
        {"split": "train", "text": "text 3", "label": "坏"},
        {"split": "test", "text": "text 3", "label": "好"},
    ]


def test_coincidences_of_small_tables_are_no_twins() -> None:
    rows = Rows({"town": ["桂林", "Lyon"] * 50, "label": ["a", "a", "b", "b"] * 25})
    assert told(rows, {"town": "category", "label": "label"}) == []


def test_a_version_keeps_its_profile(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    settings = DataSettings(source="sklearn:iris")
    version = ingest(settings, TABLE, store)
    profile = version.look(store)
    assert profile == examine(settings, TABLE).profile
    assert profile["rows"] == version.counts
    assert [one["name"] for one in profile["columns"]] == list(version.kinds)
    assert [one["message"] for one in profile["findings"]] == [str(one) for one in version.findings]
    assert {one["label"]: sum(one[split] for split in version.counts) for one in profile["labels"]} == version.labels
    assert DataVersion.from_dict({**version.as_dict(), "profile": ""}).look(store) == {}


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "工单"])
def test_the_page_escapes_what_data_says(name: str) -> None:
    rows = Rows({"text": [name, name], "label": ["a", "b"]})
    page = write_profile(
        name, look_over({"train": rows, "validation": rows, "test": rows}, {"text": "text", "label": "label"}, TEXT)
    )
    assert "<script" not in page and len(page) < 20_000
    assert name.replace("<", "&lt;").replace(">", "&gt;") in page
