"""Every error of the service has its three parts: what was expected, what was found, and what to do next."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lingqu.serve
from lingqu.contract import LabelScores, NumberValue, Refusal
from lingqu.errors import LingquError
from lingqu.serve.mlflow import read_csv, read_frame
from lingqu.serve.rest import refused
from lingqu.serve.rows import read_rows
from lingqu.serve.v1 import read_request
from lingqu.serve.v2_tensors import read_bytes, read_tensor
from lingqu.serve.why import choose_label

FOLDER = Path(lingqu.serve.__file__).parent


def without_advice(source: str) -> list[int]:
    """The lines at which a Problem is made that says nothing of what to do next; one made of `*parts` has them all."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Problem":
            given = [*node.args[2:], *(word.value for word in node.keywords if word.arg in ("next", None))]
            starred = any(isinstance(part, ast.Starred) for part in node.args)
            if not starred and (not given or (isinstance(given[0], ast.Constant) and not given[0].value)):
                found.append(node.lineno)
    return found


def test_no_error_leaves_the_reader_alone() -> None:
    assert without_advice('Problem("a", "b")\nProblem("a", "b", "")\nProblem("a", "b", where="c")') == [1, 2, 3]
    sources = {path.name: path.read_text("utf-8") for path in FOLDER.rglob("*.py")}
    errors = {name: source for name, source in sources.items() if "Problem(" in source}
    assert len(errors) > 20
    assert {name: lines for name, source in errors.items() if (lines := without_advice(source))} == {}


TABLE = [
    {"name": "age", "source": "age", "kind": "number", "missing": False},
    {"name": "job", "source": "role", "kind": "category", "missing": True},
]
PICTURE = [{"name": "image", "source": "image", "kind": "image", "missing": False}]
TEXT = [{"name": "text", "source": "text", "kind": "text", "missing": False}]


def tensor(**changes: Any) -> list[Any]:
    return read_tensor({"name": "age", "shape": [1], "datatype": "FP64", "data": [1], **changes}, None)


SAID: dict[str, Callable[[], Any]] = {
    "rows: Expected a list of at least one row, found an empty list. Send the rows in a list.": lambda: read_rows(
        [], TABLE
    ),
    "rows[0]: Expected a column 'age', found columns years. Add it.": lambda: read_rows(
        [{"years": 1}], TABLE, closed=False
    ),
    "rows[0]: Expected the column 'role' once, found its name and its role. Keep 'role' alone.": lambda: read_rows(
        [{"age": 1, "job": "a", "role": "b"}], TABLE
    ),
    "rows[0].role: Expected a name, found an empty list. Send a text or a number.": lambda: read_rows(
        [{"age": 1, "role": []}], TABLE
    ),
    "rows[0].text: Expected a text, found a number. Send it as a text.": lambda: read_rows([{"text": 1}], TEXT),
    "rows[0].text: Expected a text, found base64 of bytes that are no UTF-8. Encode it as UTF-8.": lambda: read_rows(
        [{"text": {"b64": "/w=="}}], TEXT, closed=False
    ),
    "rows[0].image: Expected the bytes of a picture as base64, found 'a?'. Encode its bytes as base64 (RFC 4648).": (
        lambda: read_rows([{"image": "a?"}], PICTURE)
    ),
    "rows[0].image: Expected the bytes of a picture as base64, found a number. Encode its bytes as base64 (RFC 4648).": (
        lambda: read_rows([{"image": 1}], PICTURE)
    ),
    "rows[0].image: Expected a data: address in base64, found 'data:image/png'. "
    "Send data:image/png;base64,… or the base64 alone.": lambda: read_rows([{"image": "data:image/png,a"}], PICTURE),
    "row: Expected a number in 'age', found 'old'. Correct it, and ask again.": lambda: raised(
        refused(Refusal("Expected a number in 'age', found 'old'."))
    ),
    "Expected an object with either 'instances' or 'inputs', found none or both of them. "
    'Send {"instances": [row, …]} or {"inputs": {column: [value, …]}}.': lambda: read_request({}, TABLE),
    "signature_name: Expected the signature 'serving_default', found 'x'. Leave it out.": lambda: read_request(
        {"instances": [], "signature_name": "x"}, TABLE
    ),
    "inputs: Expected as many values in every column, found [1, 2]. Give each column one value for each row.": (
        lambda: read_request({"inputs": {"age": [1, 2], "role": ["a"]}}, TABLE)
    ),
    "inputs: Expected an object {column: values}, found a list. Name the values by their column.": (
        lambda: read_request({"inputs": [1]}, TABLE)
    ),
    "Expected exactly one of dataframe_split, dataframe_records, instances, inputs, found none of them. "
    'Send {"dataframe_records": [{column: value}, …]}, for instance.': lambda: read_frame({}, TABLE),
    "dataframe_split: Expected an object with 'columns' and 'data', found something else. "
    'Send {"columns": [name, …], "data": [[value, …], …]}.': lambda: read_frame({"dataframe_split": []}, TABLE),
    "dataframe_split.columns: Expected each column once, found one that stands twice. Leave out one of the two.": (
        lambda: read_frame({"dataframe_split": {"columns": ["a", "a"], "data": []}}, TABLE)
    ),
    "dataframe_split.data[0]: Expected a list of 1 values, found something else. "
    "Give a value for each column, null for none.": lambda: read_frame(
        {"dataframe_split": {"columns": ["age"], "data": [[1, 2]]}}, TABLE
    ),
    "Expected CSV in UTF-8, found other bytes. Save the file as UTF-8.": lambda: read_csv(b"age\n\xff\n", TABLE),
    "Expected CSV as RFC 4180 has it, found something else. "
    "Put a cell that holds quotes, commas or line breaks in quotes, and double those inside.": lambda: read_csv(
        b'age\n"1"2\n', TABLE
    ),
    "rows[0]: Expected 1 cells, one for each column, found 2. Give every line a cell for each column; "
    "put a cell that holds a comma in quotes.": lambda: read_csv(b"age\n1,2\n", TABLE),
    "Expected a header and at least one row, found none. "
    "Send the names of the columns in the first line, and each row in one of its own.": lambda: read_csv(
        b"age\n", TABLE
    ),
    "inputs.age: Expected the shape [rows] or [rows, 1], found [1, 2]. Send each column as a tensor of its own.": (
        lambda: tensor(shape=[1, 2])
    ),
    "inputs.age: Expected 1 to 1,000 rows, found 0. Send several requests, none of them empty.": lambda: tensor(
        shape=[0], data=[]
    ),
    "inputs.age: Expected 2 values for the shape [2], found 1. Let the shape and the values agree.": lambda: tensor(
        shape=[2]
    ),
    "inputs.age: Expected its values as 'data', found none. Send them in a list, or behind the JSON.": (
        lambda: tensor(data=None)
    ),
    "inputs.age: Expected values of FP64, found str. Send such values, or name another datatype.": lambda: tensor(
        data=["1"]
    ),
    "inputs.age: Expected a whole number of FP64, found 7 bytes. Each takes 8.": lambda: read_tensor(
        {"name": "age", "shape": [1], "datatype": "FP64"}, b"1234567"
    ),
    "inputs.x: Expected an element of 9 bytes, found 1. "
    "Write the length of each element before it, in four bytes, little-endian.": lambda: read_bytes(
        b"\x09\0\0\0a", "x"
    ),
    "inputs.x: Expected elements with their length before them, found 2 bytes that are none. "
    "Write the length of each element before it, in four bytes, little-endian.": lambda: read_bytes(b"ab", "x"),
    "label: Expected no label, for this model has none, found 'a'. Leave it out.": lambda: choose_label(
        NumberValue(1.0, 0.0, 2.0), "a"
    ),
    "label: Expected a label of this model, found 'c'. Known: a, b.": lambda: choose_label(
        LabelScores.of({"a": 0.9, "b": 0.1}), "c"
    ),
}


def raised(error: LingquError) -> None:
    raise error


@pytest.mark.parametrize("message", SAID)
def test_what_is_wrong_with_a_request_is_told_in_three_parts(message: str) -> None:
    with pytest.raises(LingquError) as error:
        SAID[message]()
    (problem,) = error.value.problems
    assert str(problem) == message
    assert problem.next
