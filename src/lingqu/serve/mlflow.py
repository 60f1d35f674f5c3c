"""MLflow's scoring protocol: /invocations with a data frame, instances or inputs as JSON, or CSV.

Source: mlflow.org/docs, "Scoring server". A request names no model: where several are served, `?model=` does.
"""

from __future__ import annotations

import csv
import io
from typing import Any

from lingqu.contract import Rows
from lingqu.errors import DataError, Problem, ProtocolError
from lingqu.serve.ask import ask
from lingqu.serve.call import Call, unread
from lingqu.serve.probing import as_json
from lingqu.serve.response import Response
from lingqu.serve.rows import BINARY, MOST_ROWS, Limits, decoded, read_rows
from lingqu.serve.v1 import answers_of, as_columns, as_rows

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


async def invocations(call: Call) -> Response:
    """Answers to the rows of a data frame as `predictions`."""
    engines = call.service.engines
    name = call.query("model")
    if name is None:
        if len(engines) != 1:
            raise DataError(Problem("?model= in the address", "none", f"Known: {', '.join(engines)}."))
        name = next(iter(engines))
    limits = call.service.engine(name).bundle().manifest["columns"]
    if call.media_type == "text/csv":
        rows = read_csv(await call.body(), limits)
    elif call.media_type == "application/json":
        rows = read_frame(await call.json(), limits)
    else:
        raise unread(call.media_type, "application/json or text/csv")
    asked = await ask(call, name, rows)
    return as_json({"predictions": answers_of(asked.reply.answers, "rows")}, headers=asked.headers())


def read_frame(given: Any, limits: Limits) -> Rows:
    """The rows of one of the four forms.

    >>> limits = [{"name": "age", "source": "age", "kind": "number", "missing": False}]
    >>> read_frame({"dataframe_split": {"columns": ["age"], "data": [[30], [31]]}}, limits)["age"]
    [30, 31]
    """
    forms = [form for form in FORMS if form in given] if isinstance(given, dict) else []
    if len(forms) != 1:
        raise DataError(Problem(f"exactly one of {', '.join(FORMS)}", ", ".join(forms) or "none of them"))
    form, value = forms[0], given[forms[0]]
    if form == "dataframe_split":
        value = _split(value)
    elif form == "instances":
        value = as_rows(value, limits)
    elif form == "inputs":
        value = as_columns(value, limits)
    return read_rows(value, limits, where=form, closed=False)


def _split(value: Any) -> list[dict[str, Any]]:
    """The rows of a data frame that was split into columns and data; an index is not looked at."""
    columns = value.get("columns") if isinstance(value, dict) else None
    data = value.get("data") if isinstance(value, dict) else None
    if (
        not isinstance(columns, list)
        or not all(isinstance(name, str) for name in columns)
        or not isinstance(data, list)
    ):
        raise DataError(Problem("an object with 'columns' and 'data'", "something else", where="dataframe_split"))
    if len(set(columns)) < len(columns):
        raise DataError(Problem("each column once", "one that stands twice", where="dataframe_split.columns"))
    for place, row in enumerate(data):
        if not isinstance(row, list) or len(row) != len(columns):
            raise DataError(
                Problem(f"a list of {len(columns)} values", "something else", where=f"dataframe_split.data[{place}]")
            )
    return [dict(zip(columns, row, strict=True)) for row in data]


def read_csv(body: bytes, limits: Limits) -> Rows:
    r"""The rows of a CSV file with a header; cells are read as in any file, pictures are base64.

    >>> read_csv(b"age,job\n30,chef\n", [{"name": "age", "source": "age", "kind": "number"}])["age"]
    ['30']
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ProtocolError(Problem("CSV in UTF-8", "other bytes"), status=400) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        rows = _cells(reader, header)
    except csv.Error:
        raise ProtocolError(Problem("CSV as RFC 4180 has it", "something else"), status=400) from None
    kinds = {name: limit["kind"] for limit in limits for name in (limit["name"], limit["source"])}
    columns = {name: [row[place] for row in rows] for place, name in enumerate(header) if name in kinds}
    return Rows(
        {
            name: [decoded(value, kinds[name], f"rows[{i}].{name}") for i, value in enumerate(values)]
            if kinds[name] in BINARY
            else values
            for name, values in columns.items()
        }
    )


def _cells(reader: Any, header: list[str]) -> list[list[str]]:
    rows: list[list[str]] = []
    for row in reader:
        if len(row) != len(header) or len(set(header)) < len(header):
            raise DataError(Problem(f"{len(header)} different columns in each line", f"{len(row)}"))
        rows.append(row)
        if len(rows) > MOST_ROWS:
            raise DataError(Problem(f"at most {MOST_ROWS:,} rows", "more", "Send several requests."))
    if not rows:
        raise DataError(Problem("a header and at least one row", "none"))
    return rows
