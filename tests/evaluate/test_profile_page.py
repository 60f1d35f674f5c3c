"""What a report says about the rows it rests on: columns with their bars, and what is odd with the rows that show it."""

from __future__ import annotations

from typing import Any

from lingqu.contract import Rows
from lingqu.data.overview import look_over
from lingqu.evaluate.page import write_page
from lingqu.evaluate.page.profile import BADGES, MOST_COLUMNS
from lingqu.evaluate.translation import Words
from lingqu.tasks import find_task
from tests.evaluate.test_page import EVIL, Reports, read, whole

TABLE = find_task("tabular-classification")


def profiled(report: dict[str, Any], columns: dict[str, list[Any]], kinds: dict[str, str]) -> dict[str, Any]:
    """The report with the profile of such rows, as a run records it."""
    rows = Rows(columns)
    none = rows.take([])
    look = look_over({"train": rows, "validation": none, "test": none}, kinds, TABLE)
    return {**whole(report), "profile": look}


def test_the_report_shows_what_the_columns_hold(reports: Reports) -> None:
    count = 200
    columns: dict[str, list[Any]] = {
        "label": (["good"] * 19 + ["bad"]) * (count // 20),
        "income": [float(i) for i in range(count - 1)] + [1e9],
        EVIL: [None if i % 2 else ("chef", "nurse")[i % 4 // 2] for i in range(count)],
    }
    kinds = {"label": "label", "income": "number", EVIL: "category"}
    page = write_page(profiled(reports["tabular-classification"], columns, kinds))
    reader = read(page)
    assert EVIL in reader.text
    assert "<script" not in page
    badges = [attributes for tag, attributes in reader.seen if tag == "span" and attributes.get("class") == "badge"]
    assert len(badges) == 4
    assert [BADGES[one] in reader.text for one in ("imbalanced", "missing", "outliers", "label-noise")] == [True] * 4
    assert "50.0%" in reader.text
    assert [a["style"] for t, a in reader.seen if t == "i" and "50.0%;" in f"{a.get('style')};"] == ["width:50.0%"]
    # Each bar of the histogram once; an empty one is not drawn.
    paths = [attributes["d"] or "" for tag, attributes in reader.seen if tag == "path" and attributes["class"] == "bar"]
    assert [path.count("M") for path in paths] == [20]
    assert "1,000,000,000" in reader.text
    assert reader.text.index("Columns") < reader.text.index("Found in the data") < reader.text.index("Where it comes")
    assert "2 broken rows were set aside." in reader.text


def test_thousands_of_columns_leave_the_page_light(reports: Reports) -> None:
    columns: dict[str, list[Any]] = {"label": ["a", "b"] * 30} | {
        f"gene_{i}": [float((j * (i + 1)) % 61) for j in range(60)] for i in range(400)
    }
    kinds = {"label": "label"} | dict.fromkeys([name for name in columns if name != "label"], "number")
    page = write_page(profiled(reports["tabular-classification"], columns, kinds))
    assert len(page.encode()) < 1_000_000
    assert f"{401 - MOST_COLUMNS} more columns" in read(page).text


def test_badges_are_told_in_chinese() -> None:
    say = Words("zh")
    assert [name for name in BADGES.values() if say(name) == name] == []


def test_doubtful_labels_of_the_test_rows_are_shown_in_both_languages(reports: Reports) -> None:
    # A tenth of the toy rows have another row's label.
    for name in ("text-classification", "image-classification"):
        found = reports[name]["doubts"]
        assert (found["level"], found["code"], found["column"]) == ("note", "label-noise", "label")
        assert 1 <= len(found["rows"]) <= 10
        assert all(row["probably"] != row["label"] for row in found["rows"])
        report = {**whole(reports[name]), "doubts": found}
        assert found["message"] in read(write_page(report)).text
        assert found["message"] not in read(write_page(report, "zh")).text
    assert reports["tabular-regression"]["doubts"] is None
    seen = read(write_page({**whole(reports["image-classification"])})).seen
    shown = [a for tag, a in seen if tag == "img" and (a.get("class") or "").startswith("pic")]
    assert len(shown) == len(reports["image-classification"]["doubts"]["rows"])
    assert all((a["src"] or "").startswith("data:image/png;base64,") for a in shown)
