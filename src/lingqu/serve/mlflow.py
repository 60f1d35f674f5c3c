"""MLflow's scoring protocol: /invocations with a data frame, instances or inputs as JSON, or CSV.

Source: mlflow.org/docs, "Scoring server". A request names no model: where several are served, `?model=` does.
"""

from __future__ import annotations

import asyncio
import csv
import io
import re
from typing import Any

from lingqu.contract import Rows
from lingqu.errors import DataError, Problem, ProtocolError, near
from lingqu.serve.ask import ask
from lingqu.serve.body import MOST_BYTES, MOST_SIGNS
from lingqu.serve.call import LARGE_BYTES, Call, unread
from lingqu.serve.probing import as_json
from lingqu.serve.response import Response
from lingqu.serve.rows import BINARY, MOST_PROBLEMS, MOST_ROWS, Limits, decoded, read_rows
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
        body = await call.body()
        # Others are answered while ten megabytes are read.
        rows = await asyncio.to_thread(read_csv, body, limits) if len(body) > LARGE_BYTES else read_csv(body, limits)
    elif call.media_type == "application/json":
        rows = read_frame(await call.json(), limits)
    else:
        raise unread(call.media_type, "application/json or text/csv")
    asked = await ask(call, name, rows, needed=len(rows))
    return as_json({"predictions": answers_of(asked.reply.answers, "rows")}, headers=asked.headers())


def read_frame(given: Any, limits: Limits) -> Rows:
    """The rows of one of the four forms.

    >>> limits = [{"name": "age", "source": "age", "kind": "number", "missing": False}]
    >>> read_frame({"dataframe_split": {"columns": ["age"], "data": [[30], [31]]}}, limits)["age"]
    [30, 31]
    """
    forms = [form for form in FORMS if form in given] if isinstance(given, dict) else []
    if len(forms) != 1:
        advice = 'Send {"dataframe_records": [{column: value}, …]}, for instance.'
        raise DataError(Problem(f"exactly one of {', '.join(FORMS)}", ", ".join(forms) or "none of them", advice))
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
        expected, advice = (
            "an object with 'columns' and 'data'",
            'Send {"columns": [name, …], "data": [[value, …], …]}.',
        )
        raise DataError(Problem(expected, "something else", advice, where="dataframe_split"))
    if len(set(columns)) < len(columns):
        advice, where = "Leave out one of the two.", "dataframe_split.columns"
        raise DataError(Problem("each column once", "one that stands twice", advice, where=where))
    for place, row in enumerate(data):
        if not isinstance(row, list) or len(row) != len(columns):
            advice, where = "Give a value for each column, null for none.", f"dataframe_split.data[{place}]"
            raise DataError(Problem(f"a list of {len(columns)} values", "something else", advice, where=where))
    return [dict(zip(columns, row, strict=True)) for row in data]


def read_csv(body: bytes, limits: Limits) -> Rows:
    r"""The rows of a CSV file with a header; cells are read as in any file, pictures are base64.

    Lines without a cell are passed over, columns that the model does not know too.

    >>> read_csv(b"age,job\n30,chef\n\n", [{"name": "age", "source": "age", "kind": "number", "missing": False}])["age"]
    ['30']
    """
    _count_cells(body)
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ProtocolError(Problem("CSV in UTF-8", "other bytes", "Save the file as UTF-8."), status=400) from None
    # The limit belongs to the whole process; it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), MOST_BYTES))
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next((row for row in reader if row), [])
        places = _places(header, limits)
        rows = _cells(reader, header)
    except csv.Error:
        advice = "Put a cell that holds quotes, commas or line breaks in quotes, and double those inside."
        raise ProtocolError(Problem("CSV as RFC 4180 has it", "something else", advice), status=400) from None
    kinds = {limit["source"]: limit["kind"] for limit in limits}
    columns = {name: [row[place] for row in rows] for name, place in places.items()}
    return Rows(
        {
            name: [decoded(value, kinds[name], f"rows[{i}].{name}") for i, value in enumerate(values)]
            if kinds[name] in BINARY
            else values
            for name, values in columns.items()
        }
    )


# The quote comes first, for what is before it is looked at a hundred times slower.
_QUOTED = re.compile(rb'"(?<![^,\r\n]")(?:[^"]++|"")*+"?')
_PIECE = 256 << 10


def _count_cells(body: bytes) -> None:
    """ProtocolError 413 when a body holds more cells and lines than JSON may hold values, before they become objects."""
    found = _signs(body, 0, len(body))
    if found > MOST_SIGNS:
        # What stands in quotes is one cell, whatever it holds.
        found = end = 0
        for quoted in _QUOTED.finditer(body):
            found += _signs(body, end, quoted.start())
            end = quoted.end()
            if found > MOST_SIGNS:
                break
        else:
            found += _signs(body, end, len(body))
    if found > MOST_SIGNS:
        expected = f"at most {MOST_SIGNS:,} commas and line ends in a body"
        raise ProtocolError(Problem(expected, f"{found:,} and more", "Send fewer rows."), status=413)


def _signs(body: bytes, start: int, end: int) -> int:
    """The commas and line ends in this part, counted until there are too many: each one costs time, and others wait."""
    found = 0
    for at in range(start, end, _PIECE):
        to = min(at + _PIECE, end)
        found += body.count(b",", at, to) + body.count(b"\n", at, to) + body.count(b"\r", at, to)
        if found > MOST_SIGNS:
            break
    return found


def _places(header: list[str], limits: Limits) -> dict[str, int]:
    """Where each column of the model stands; DataError for one that stands twice or, where it must be there, not at all."""
    sources = {name: limit["source"] for limit in limits for name in (limit["name"], limit["source"])}
    places: dict[str, int] = {}
    for place, name in enumerate(header):
        if name not in sources:
            continue
        if sources[name] in places:
            advice = "Leave out one of the two."
            raise DataError(Problem(f"the column '{sources[name]}' once", "it twice", advice, where="header"))
        places[sources[name]] = place
    known = [name[:40] for name in header]
    lacking = [limit["source"] for limit in limits if limit["source"] not in places and not limit["missing"]]
    if not places and not lacking:
        lacking = [limits[0]["source"]]
    if lacking:
        found = f"columns {', '.join(known[:10]) or 'none'}"
        raise DataError(
            Problem(f"a column '{name}'", found, near(name, known, say="Add it."), where="header")
            for name in lacking[:MOST_PROBLEMS]
        )
    return places


def _cells(reader: Any, header: list[str]) -> list[list[str]]:
    rows: list[list[str]] = []
    for row in reader:
        if not row:
            continue
        if len(row) != len(header):
            advice = "Give every line a cell for each column; put a cell that holds a comma in quotes."
            where = f"rows[{len(rows)}]"
            raise DataError(Problem(f"{len(header)} cells, one for each column", f"{len(row):,}", advice, where=where))
        rows.append(row)
        if len(rows) > MOST_ROWS:
            raise DataError(Problem(f"at most {MOST_ROWS:,} rows", "more", "Send several requests."))
    if not rows:
        advice = "Send the names of the columns in the first line, and each row in one of its own."
        raise DataError(Problem("a header and at least one row", "none", advice))
    return rows
