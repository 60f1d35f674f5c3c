"""HARDENING D2: what is written as CSV, JSON lines or Parquet is read back without one changed value."""

from __future__ import annotations

import csv
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lingqu.contract import Rows
from lingqu.data.readers import read, stream
from lingqu.data.types import convert

# What no text format can hold is left out: half characters and NUL.
CHARACTERS = st.characters(exclude_categories=("Cs",), exclude_characters="\0")
TEXTS = st.text(CHARACTERS, max_size=30) | st.sampled_from(
    ['"', ",", "\r\n", "\n", "\r", "，灵渠", "a;b\tc|d", " x ", "'"]
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
TABLES = st.lists(st.tuples(TEXTS, NUMBERS | st.none(), st.booleans()), min_size=1, max_size=12)
NAMES = ("text", "number", "yes")


def as_csv(table: list[tuple[Any, ...]], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(NAMES)
        writer.writerows(table)


def as_json(table: list[tuple[Any, ...]], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(json.dumps(dict(zip(NAMES, row, strict=True)), ensure_ascii=False) + "\n" for row in table)


def as_parquet(table: list[tuple[Any, ...]], path: Path) -> None:
    texts, numbers, flags = (list(column) for column in zip(*table, strict=True))
    floats = [None if number is None else float(number) for number in numbers]
    pq.write_table(pa.table({"text": texts, "number": pa.array(floats, pa.float64()), "yes": flags}), path)


WRITERS = {".csv": as_csv, ".jsonl": as_json, ".parquet": as_parquet}
KINDS = {"number": "number", "yes": "label"}


def hold(table: list[tuple[Any, ...]]) -> None:
    expected = [None if number is None else float(number) for _, number, _ in table]
    with tempfile.TemporaryDirectory() as folder:
        for suffix, write in WRITERS.items():
            path = Path(folder) / f"rows{suffix}"
            write(table, path)
            found = read(path, encoding="utf-8", delimiter=",")
            assert found.quarantined == []
            assert found.rows["text"] == [text for text, _, _ in table], suffix
            typed, faults = convert(found.rows, KINDS)
            assert faults == {}
            assert typed["number"] == expected, suffix
            assert typed["yes"] == ["true" if yes else "false" for _, _, yes in table]
            parts = [part.rows for part in stream(path, 3, encoding="utf-8", delimiter=",")]
            assert [row for part in parts for row in part] == list(found.rows)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TABLES)
def test_no_value_changes(table: list[tuple[Any, ...]]) -> None:
    hold(table)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TABLES)
def test_no_value_changes_in_ten_thousand_tables(table: list[tuple[Any, ...]]) -> None:
    hold(table)


def test_numbers_are_read_as_people_write_them() -> None:
    written = ["1,234.5", " 12 ", "1e3", "-0", "+.5", "１２", "−3", "N/A", "", "null", "-", "?", "nan"]
    typed, faults = convert(Rows({"n": written}), {"n": "number"})
    assert faults == {}
    assert typed["n"] == [1234.5, 12.0, 1000.0, 0.0, 0.5, 12.0, -3.0, None, None, None, None, None, None]
    assert math.copysign(1, typed["n"][3]) == 1


def test_what_is_no_number_is_told() -> None:
    written = ["5%", "1_000", "0x10", "inf", "1,23", "12 000", "无", "1e999", "0,125", "-00,125", "０，１２５"]
    _, faults = convert(Rows({"n": written}), {"n": "number"})
    assert faults == {
        0: "column 'n': '5%' is no number",
        1: "column 'n': '1_000' is no number",
        2: "column 'n': '0x10' is no number",
        3: "column 'n': 'inf' is no number",
        4: "column 'n': '1,23' is no number",
        5: "column 'n': '12 000' is no number",
        6: "column 'n': '无' is no number",
        7: "column 'n': '1e999' is too large a number",
        8: "column 'n': '0,125' is no number",
        9: "column 'n': '-00,125' is no number",
        10: "column 'n': '０，１２５' is no number",
    }


def test_labels_keep_their_names() -> None:
    raw = [1, 1.0, "1", "1.0", True, "TRUE", "None", "NA", "无", " spam ", "007", "", None, float("nan")]
    typed, faults = convert(Rows({"y": raw}), {"y": "label"})
    assert faults == {}
    assert typed["y"] == ["1", "1", "1", "1", "true", "true", "None", "NA", "无", "spam", "007", None, None, None]
