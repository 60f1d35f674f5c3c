"""CSV for MLflow's route, read from memory: what is wrong is told as such, and no body costs much more than its bytes."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from lingqu.errors import DataError, LingquError, ProtocolError
from lingqu.serve.body import MOST_BYTES, MOST_SIGNS
from lingqu.serve.mlflow import read_csv
from lingqu.serve.v2_tensors import read_tensor

if TYPE_CHECKING:
    import httpx

TEXT = [{"name": "text", "source": "text", "kind": "text", "missing": False}]
PEOPLE = [
    {"name": "age", "source": "Age", "kind": "number", "missing": False},
    {"name": "job", "source": "job", "kind": "category", "missing": True},
]


def test_lines_without_a_cell_are_passed_over() -> None:
    assert read_csv(b"\ntext\nhello\n\n\r\nworld\n\n", TEXT)["text"] == ["hello", "world"]
    assert read_csv(b'text\n""\n', TEXT)["text"] == [""]


def test_a_cell_may_be_as_long_as_a_body() -> None:
    long = "word, " * 200_000
    assert read_csv(f'text\n"{long}"\n'.encode(), TEXT)["text"] == [long]
    quoted = 'a "b", ' * 100_000
    body = 'text\n"{}"\n'.format(quoted.replace('"', '""'))
    assert read_csv(body.encode(), TEXT)["text"] == [quoted]


def test_a_column_that_may_be_missing_may_be_left_out() -> None:
    assert read_csv(b"age,other\n30,x\n", PEOPLE).names == ("Age",)


WRONG: dict[str, tuple[bytes, str]] = {
    "twice": (b"Age,Age,job\n1,2,nurse\n", "header: Expected the column 'Age' once, found it twice. Leave out one of the two."),
    "by name and role": (b"Age,age\n1,2\n", "header: Expected the column 'Age' once, found it twice. Leave out one of the two."),
    "unknown": (b"a,b\n1,2\n", "header: Expected a column 'Age', found columns a, b. Add it."),
    "one lacks": (b"job\nnurse\n", "header: Expected a column 'Age', found columns job. Add it."),
    "nearly": (b"Agee\n1\n", "header: Expected a column 'Age', found columns Agee. Did you mean 'Agee'?"),
    "nothing": (b"", "header: Expected a column 'Age', found columns none. Add it."),
    "no rows": (b"Age\n\n", "Expected a header and at least one row, found none. Send the names of the columns in the first line, and each row in one of its own."),
    "too wide": (b"Age\n1\n2,3\n", "rows[1]: Expected 1 cells, one for each column, found 2. Give every line a cell for each column; put a cell that holds a comma in quotes."),
    "quotes": (b'Age\n"1\n', "Expected CSV as RFC 4180 has it, found something else. Put a cell that holds quotes, commas or line breaks in quotes, and double those inside."),
    "rows": (b"Age\n" + b"1\n" * 1001, "Expected at most 1,000 rows, found more. Send several requests."),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_csv_is_told_as_such(case: str) -> None:
    body, message = WRONG[case]
    with pytest.raises(LingquError) as refused:
        read_csv(body, PEOPLE)
    assert str(refused.value) == message


def test_columns_of_a_model_that_needs_none_are_named_all_the_same() -> None:
    with pytest.raises(DataError, match="header: Expected a column 'job', found columns a"):
        read_csv(b"a\n1\n", PEOPLE[1:])


def peak(work: Any) -> int:
    """The bytes that this takes at most, over what there was."""
    tracemalloc.start()
    try:
        work()
    except LingquError:
        pass
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    return most


SIZE = 2 << 20
BOMBS = {
    "quotes inside": b"text\n" + b'a"' * SIZE + b"\n," * SIZE,
    "commas": b"," * SIZE,
    "commas below a name": b"text\n" + b"," * SIZE,
    "lines": b"text\n" + b"\n" * SIZE,
    "behind a stray quote": b'text\na"b' + b"," * SIZE,
    "quoted cells": b"text\n" + b'"a",' * (SIZE // 4),
}


@pytest.mark.parametrize(
    "case", [case if case != "quoted cells" else pytest.param(case, marks=pytest.mark.heavy) for case in BOMBS]
)
def test_too_many_cells_are_refused_before_they_become_objects(case: str) -> None:
    with pytest.raises(ProtocolError, match=f"at most {MOST_SIGNS:,} commas and line ends in a body") as refused:
        read_csv(BOMBS[case], TEXT)
    assert refused.value.status == 413
    assert peak(lambda: read_csv(BOMBS[case], TEXT)) < SIZE / 10


def test_the_numbers_of_a_tensor_are_counted_before_they_become_objects() -> None:
    tensor = {"name": "age", "shape": [1], "datatype": "UINT8"}
    with pytest.raises(DataError) as refused:
        read_tensor(tensor, bytes(SIZE))
    assert str(refused.value) == (
        f"inputs.age: Expected 1 values for the shape [1], found {SIZE:,}. Let the shape and the values agree."
    )
    assert peak(lambda: read_tensor(tensor, bytes(SIZE))) < 1.1 * SIZE


@pytest.mark.heavy
def test_a_large_body_of_csv_is_answered(client: httpx.Client) -> None:
    long = "the team won, and " * 40_000
    headers = {"content-type": "text/csv"}
    told = client.post("/invocations?model=topics", content=f'text\n"{long}"\n\n', headers=headers).json()
    assert [one["prediction"] for one in told["predictions"]] == ["sport"]
    assert len(long) < MOST_BYTES
