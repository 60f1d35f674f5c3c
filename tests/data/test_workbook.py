"""Excel workbooks: values as they are shown, and what is wrong with a sheet told in plain words."""

from __future__ import annotations

import datetime
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from lingqu.contract import Rows
from lingqu.data import workbook
from lingqu.data.readers import fingerprint, read, stream
from lingqu.errors import DataError


def save(path: Path, rows: list[list[Any]], **others: list[list[Any]]) -> Path:
    book = openpyxl.Workbook()
    first = book.active
    assert first is not None
    for row in rows:
        first.append(row)
    for name, cells in others.items():
        sheet = book.create_sheet(name)
        for row in cells:
            sheet.append(row)
    book.save(path)
    return path


def refusal(source: str | Path) -> str:
    with pytest.raises(DataError) as error:
        read(source)
    return str(error.value)


def test_cells_are_what_the_sheet_shows(tmp_path: Path) -> None:
    day = datetime.datetime(2024, 1, 31)
    rows = [
        [],
        ["文本", "n", "day", "at", "sure", 2024],
        ["很好", 3, day, day.replace(hour=9, minute=30), True, "x"],
        [],
        ["bad", 1.5, None, None, False],
    ]
    found = read(save(tmp_path / "a.xlsx", rows))
    assert found.rows == Rows(
        {
            "文本": ["很好", "bad"],
            "n": [3, 1.5],
            "day": ["2024-01-31", None],
            "at": ["2024-01-31T09:30:00", None],
            "sure": [True, False],
            "2024": ["x", None],
        }
    )
    assert found.quarantined == []


def test_a_sheet_is_named_behind_the_path(tmp_path: Path) -> None:
    path = save(tmp_path / "a.xlsx", [["a"], [1]], **{"票 2": [["text"], ["b"]]})
    assert read(f"{path}#票 2").rows == Rows({"text": ["b"]})
    assert fingerprint(f"{path}#票 2") == fingerprint(path)
    assert (
        refusal(f"{path}#票2")
        == "Expected the sheet '票2' in a.xlsx, found the sheets 'Sheet', '票 2'. Did you mean '票 2'?"
    )


def test_values_of_formulas_are_those_that_were_saved(tmp_path: Path) -> None:
    path = save(tmp_path / "a.xlsx", [["n", "double"], [2, "=A2*2"]])
    # What Excel itself does when it saves: the value stands beside the formula.
    with zipfile.ZipFile(path) as packed:
        parts = {name: packed.read(name) for name in packed.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    parts[sheet] = (
        parts[sheet]
        .replace(b"<f>A2*2</f><v />", b"<f>A2*2</f><v>4</v>")
        .replace(b"<f>A2*2</f><v></v>", b"<f>A2*2</f><v>4</v>")
    )
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in parts.items():
            packed.writestr(name, data)
    assert read(path).rows == Rows({"n": [2], "double": [4]})


def test_long_rows_are_set_aside_and_batches_keep_count(tmp_path: Path) -> None:
    path = save(tmp_path / "a.xlsx", [["a", "b"], [1, 2], [3, 4, "comment"], [5]])
    parts = list(stream(path, 2))
    assert [(part.first, len(part.rows), dict(part.faults)) for part in parts] == [
        (1, 2, {1: "3 cells where the header names 2"}),
        (3, 1, {}),
    ]
    assert [str(one) for one in read(path).quarantined] == ["a.xlsx row 2: 3 cells where the header names 2"]


def test_merged_headers_are_told(tmp_path: Path) -> None:
    advice = "Undo merged cells and titles, so that the first row has one name per column."
    expected = "Expected one name per column in the first row of a.xlsx, found no name above column "
    path = save(tmp_path / "a.xlsx", [["name", None, "label"], ["Ann", "Lee", "x"]])
    assert refusal(path) == f"{expected}B. {advice}"
    path = save(tmp_path / "a.xlsx", [["Report 2026"], ["text", "label", "n"], ["a", "x", 1]])
    assert refusal(path) == f"{expected}B, C. {advice}"


def test_damaged_and_swollen_workbooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / "a.xlsx", [["a", "b"], ["x" * 400, 1]])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert refusal(path) == "Expected a whole workbook a.xlsx, found File is not a zip file. Save it again as .xlsx."
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("note.txt", "no workbook")
    assert refusal(path).startswith("Expected a whole workbook a.xlsx, found There is no item named")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/sharedStrings.xml", bytes(1 << 20))
    monkeypatch.setattr(workbook, "STRINGS_CAP", 1_000_000)
    assert refusal(path) == (
        "Expected at most 2,147,483,648 bytes, 1,000,000 of them texts, in a.xlsx when unpacked, "
        "found 1,048,576, 1,048,576 of them texts. Save its rows as CSV."
    )
    assert refusal(save(tmp_path / "empty.xlsx", [])) == (
        "Expected a header line and rows in empty.xlsx, found nothing. Check that it is the right file."
    )


@pytest.mark.heavy
def test_without_the_package_the_install_line_is_told(tmp_path: Path) -> None:
    path = save(tmp_path / "a.xlsx", [["a"], [1]])
    code = (
        "import sys; sys.modules['openpyxl'] = None\n"
        "from lingqu.data.readers import read\nfrom lingqu.errors import MissingPackageError\n"
        f"try: read({str(path)!r})\nexcept MissingPackageError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == (
        "Expected the package openpyxl for reading Excel workbooks, found it not installed. "
        "Run: pip install 'lingqu[excel]'\n"
    )
