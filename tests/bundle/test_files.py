"""The output holds the columns of the input, and has one type per column whatever the first rows were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from lingqu.bundle.files import answer_batches, predict_file
from lingqu.bundle.read import Bundle
from lingqu.contract import Rows
from lingqu.data.parquet import ParquetWriter
from lingqu.data.quarantine import Batch
from lingqu.errors import DataError
from tests.bundle.conftest import Make

LATE = (
    "Expected all columns of the input in its first 1,000 rows, found the column 'note' in a later row. "
    "Write .jsonl instead, where each row has its own columns."
)


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_a_late_column_is_not_dropped(make: Make, tmp_path: Path, suffix: str) -> None:
    source = lines(tmp_path / "in.jsonl", [{"x": 1}] * 1000 + [{"x": 1, "note": "kept?"}])
    with pytest.raises(DataError) as caught:
        predict_file(make(), source, tmp_path / f"out.{suffix}")
    assert str(caught.value) == LATE
    assert not (tmp_path / f"out.{suffix}").exists()


def test_json_lines_keep_a_late_column(make: Make, tmp_path: Path) -> None:
    source = lines(tmp_path / "in.jsonl", [{"x": 1}] * 1000 + [{"x": 1, "note": "kept"}])
    predict_file(make(), source, tmp_path / "out.jsonl")
    last = (tmp_path / "out.jsonl").read_text().splitlines()[-1]
    assert json.loads(last) == {"x": 1, "note": "kept", "prediction": 0.0, "low": 0.0, "high": 0.0}


def test_numbers_stay_numbers_when_the_first_thousand_rows_are_refused(make: Make, tmp_path: Path) -> None:
    source = lines(tmp_path / "in.jsonl", [{"x": "old"}] * 1000 + [{"x": "1"}])
    assert predict_file(make(), source, tmp_path / "out.parquet").refused == 1000
    types = {field.name: str(field.type) for field in pyarrow.parquet.read_schema(tmp_path / "out.parquet")}
    assert types == {"x": "string", "prediction": "double", "low": "double", "high": "double", "error": "string"}
    assert pyarrow.parquet.read_table(tmp_path / "out.parquet")["prediction"][1000].as_py() == 0.0


@pytest.mark.heavy
def test_scores_stay_numbers_and_labels_strings(finished: Path) -> None:
    from lingqu.registry import Registry
    from lingqu.store import Store

    store = Store.open(finished / ".lingqu")
    bundle = Bundle.open(store.folder_path(Registry(store).get("kinds").bundle))
    source = lines(finished / "in.jsonl", [{"text": ""}] * 1000 + [{"text": "the soup tastes salty"}])
    predict_file(bundle, source, finished / "out.parquet", scores=True)
    types = {field.name: str(field.type) for field in pyarrow.parquet.read_schema(finished / "out.parquet")}
    assert types == {
        "text": "string", "prediction": "string", "confidence": "double", "score.food": "double",
        "score.sport": "double", "error": "string",
    }  # fmt: skip


def test_a_column_that_one_later_part_lacks_costs_only_its_rows(make: Make, tmp_path: Path) -> None:
    parts = [Rows({"x": [1.0], "id": [7]}), Rows({"id": [8]}), Rows({"x": [1.0], "id": [9]})]
    answered = [*answer_batches(make(), [Batch(rows, first) for first, rows in enumerate(parts, 1)])]
    missing = "Expected a number in 'x', found nothing. Training rows had no missing value there."
    assert [rows["error"] for rows in answered] == [[None], [missing], [None]]
    with (tmp_path / "out.parquet").open("wb") as file:
        writer = ParquetWriter(file)
        for rows in answered:
            writer.write(rows)
        writer.close()
    assert pyarrow.parquet.read_table(tmp_path / "out.parquet")["x"].to_pylist() == [1.0, None, 1.0]


def test_a_column_that_the_first_part_lacks_is_an_error(make: Make, tmp_path: Path) -> None:
    source = lines(tmp_path / "in.jsonl", [{"y": 1}] * 1000 + [{"x": 1}])
    with pytest.raises(DataError) as caught:
        predict_file(make(), source, tmp_path / "out.jsonl")
    assert str(caught.value) == "Expected a column 'x', found columns y. Known: y."


def test_a_picture_met_late_is_left_out_of_a_table(make: Make, tmp_path: Path) -> None:
    """A table has no cell for bytes, neither in a column of its header nor as a late column."""
    from lingqu.data.parquet import to_parquet

    rows = Rows({"x": [1.0] * 1001, "image": [None] * 1000 + [b"picture"]})
    (tmp_path / "in.parquet").write_bytes(to_parquet(rows, {"x": "number", "image": "image"}))
    predict_file(make(), tmp_path / "in.parquet", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().splitlines()[-1] == "1.0,,0.0,0.0,0.0,"


def test_a_file_of_another_kind_is_no_file_without_rows(make: Make, tmp_path: Path) -> None:
    nonsense = tmp_path / "notes.csv"
    nonsense.write_text("nonsense\n")
    with pytest.raises(DataError) as caught:
        predict_file(make(), nonsense, tmp_path / "out.csv")
    assert str(caught.value).startswith("Expected a column 'x', found columns nonsense.")
    assert not (tmp_path / "out.csv").exists()
    nonsense.write_text("x\n")
    assert predict_file(make(), nonsense, tmp_path / "out.csv").rows == 0
