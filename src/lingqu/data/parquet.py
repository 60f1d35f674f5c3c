"""Parquet, read and written: the one file that imports pyarrow."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lingqu.contract import Rows
from lingqu.data.cells import cell_faults, plain_cells
from lingqu.data.quarantine import Batch
from lingqu.data.text_files import open_bytes
from lingqu.errors import DataError, Problem, missing_package

KIND_TYPES = {"number": "float64", "image": "binary"}
"""How each kind of column is stored; every other kind is a string."""


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise missing_package("pyarrow", "train", "reading and writing Parquet") from None
    return pyarrow


def read_parquet(path: Path, batch: int = 1000) -> Iterator[Batch]:
    """The rows of a Parquet file in order, as plain Python values; nested ones as JSON text."""
    pa = _pyarrow()
    with open_bytes(path) as raw:
        try:
            file = pa.parquet.ParquetFile(raw)
            first = 1
            for arrow in file.iter_batches(batch_size=batch):
                columns = {
                    name: plain_cells(column.to_pylist())
                    for name, column in zip(arrow.schema.names, arrow.columns, strict=True)
                }
                yield Batch(Rows(columns), first, cell_faults(columns))
                first += arrow.num_rows
            if first == 1:
                yield Batch(Rows({name: [] for name in file.schema_arrow.names}))
        except (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
            found = str(error).splitlines()[0][:200].rstrip(".")
            raise DataError(Problem(f"a whole Parquet file {path.name}", found, "Write it again.")) from None


def to_parquet(rows: Rows, kinds: Mapping[str, str]) -> bytes:
    """Rows as the bytes of a Parquet file, each column stored by its kind.

    >>> from_parquet_bytes(to_parquet(Rows({"age": [1.0, None], "label": ["a", "b"]}), {"age": "number"}))
    Rows(2 rows of age, label)
    """
    pa = _pyarrow()
    schema = pa.schema([(name, KIND_TYPES.get(kinds.get(name, ""), "string")) for name in rows.names])
    table = pa.table({name: pa.array(rows[name], schema.field(name).type) for name in rows.names}, schema=schema)
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(table, sink, compression="zstd", row_group_size=10_000)
    return sink.getvalue().to_pybytes()


def from_parquet(path: Path, columns: Sequence[str] | None = None) -> Rows:
    """The rows of a file that `to_parquet` wrote."""
    pa = _pyarrow()
    table = pa.parquet.read_table(path, columns=columns if columns is None else list(columns))
    return Rows({name: table.column(name).to_pylist() for name in table.column_names})


def from_parquet_bytes(data: bytes) -> Rows:
    """Rows of the bytes that `to_parquet` gave."""
    pa = _pyarrow()
    table = pa.parquet.read_table(pa.BufferReader(data))
    return Rows({name: table.column(name).to_pylist() for name in table.column_names})


def require_columns(names: Iterable[str], header: Collection[str]) -> None:
    """DataError when rows have a column that the file, its header being written, can no longer hold.

    >>> require_columns(["text"], ["text", "label"])
    """
    late = [name for name in names if name not in header]
    if late:
        raise DataError(
            Problem(
                "all columns of the input in its first 1,000 rows",
                f"the column '{name}' in a later row",
                "Write .jsonl instead, where each row has its own columns.",
            )
            for name in late
        )


class ParquetWriter:
    """Writes rows batch by batch to an open file; the first batch decides the columns and, but for `types`, their types.

    A later batch may lack a column. DataError when it has one more, or when a later value does not fit, as may happen
    with mixed JSON.
    """

    def __init__(self, file: Any, types: Mapping[str, str] | None = None) -> None:
        self._pa = _pyarrow()
        self._file = file
        self._types = types or {}
        self._writer: Any = None

    def write(self, rows: Rows) -> None:
        """Write one more batch."""
        pa = self._pa
        if self._writer is None:
            schema = pa.schema([(name, self._types.get(name) or self._type(rows[name])) for name in rows.names])
            self._writer = pa.parquet.ParquetWriter(self._file, schema, compression="zstd")
        schema = self._writer.schema
        require_columns(rows.names, schema.names)
        given = rows.with_columns({name: [None] * len(rows) for name in schema.names if name not in rows})
        try:
            columns = {field.name: pa.array(given[field.name], field.type) for field in schema}
            self._writer.write_table(pa.table(columns, schema=schema))
        except (pa.ArrowException, TypeError) as error:
            found = str(error).splitlines()[0][:200].rstrip(".")
            raise DataError(
                Problem("columns of one type for Parquet", found, "Write .jsonl or .csv instead.")
            ) from None

    def close(self) -> None:
        """Write what makes the file whole."""
        if self._writer is None:
            self.write(Rows({name: [] for name in self._types or ("prediction",)}))
        writer: Any = self._writer
        writer.close()

    def _type(self, values: Sequence[Any]) -> Any:
        kinds = {type(value) for value in values if value is not None}
        if kinds == {bool}:
            return self._pa.bool_()
        if kinds == {int}:
            return self._pa.int64()
        if kinds and kinds <= {int, float}:
            return self._pa.float64()
        return self._pa.binary() if kinds == {bytes} else self._pa.string()
