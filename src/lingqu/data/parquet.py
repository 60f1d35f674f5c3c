"""Parquet, read and written: the one file that imports pyarrow."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from lingqu.contract import Rows
from lingqu.data.cells import cell_faults, plain_cells
from lingqu.data.quarantine import Batch
from lingqu.data.text_files import open_bytes
from lingqu.errors import DataError, Problem, missing_package
from lingqu.store.scratch import Scratch

Array = np.ndarray[Any, np.dtype[Any]]

ROW_GROUP = 10_000
"""How many rows are stored, and read, together."""

MEMORY = 8 << 20
"""So many bytes of rows are held at a time."""

BINS = 128
"""So many files at most hold rows that are put in order; beyond a gigabyte they grow instead."""

_PLACE = "lingqu.place"

KIND_TYPES = {"number": "float64", "image": "binary"}
"""How each kind of column is stored; every other kind is a string."""


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise missing_package("pyarrow", "train", "reading and writing Parquet") from None
    return pyarrow


def read_parquet(path: Path, batch: int = 1000) -> Generator[Batch, None, None]:
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
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(_table(rows, kinds), sink, compression="zstd", row_group_size=ROW_GROUP)
    return sink.getvalue().to_pybytes()


def _table(rows: Rows, kinds: Mapping[str, str]) -> Any:
    pa = _pyarrow()
    schema = pa.schema([(name, KIND_TYPES.get(kinds.get(name, ""), "string")) for name in rows.names])
    return pa.table({name: pa.array(rows[name], schema.field(name).type) for name in rows.names}, schema=schema)


def from_parquet(path: Path, columns: Sequence[str] | None = None, most: int | None = None) -> Rows:
    """The rows of a file that `to_parquet` or `Parts` wrote, or at `most` so many of them; a row group at a time."""
    file = _pyarrow().parquet.ParquetFile(path)
    names = file.schema_arrow.names if columns is None else list(columns)
    cells: dict[str, list[Any]] = {name: [] for name in names}
    left = file.metadata.num_rows if most is None else most
    for number in range(file.num_row_groups):
        if left <= 0:
            break
        table = file.read_row_group(number, columns=names).slice(0, left)
        left -= len(table)
        for name in names:
            cells[name] += table.column(name).to_pylist()
    return Rows(cells)


def row_at(path: Path, place: int, columns: Sequence[str]) -> Rows:
    """One row of such a file."""
    file = _pyarrow().parquet.ParquetFile(path)
    number = 0
    while place >= file.metadata.row_group(number).num_rows:
        place -= file.metadata.row_group(number).num_rows
        number += 1
    table = file.read_row_group(number, columns=list(columns)).slice(place, 1)
    return Rows({name: table.column(name).to_pylist() for name in columns})


class Parts:
    """Typed rows, added in the order of their source and written in another, with a bounded part of them in memory.

    They go to a scratch file part by part; then the rows of each part are dealt to bins, each of which holds neighbours of
    the new order and is small enough to be sorted in memory.
    """

    def __init__(self, kinds: Mapping[str, str], folder: Path | None = None, memory: int = MEMORY) -> None:
        self._pa = _pyarrow()
        self._kinds, self._folder, self._memory = kinds, folder, memory
        self._held: list[Any] = []
        self._size = self._bytes = self._count = 0
        self._open = ExitStack()
        self._parts = _Tables(self._open.enter_context(Scratch(folder)))

    def __enter__(self) -> Parts:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def add(self, rows: Rows) -> None:
        """Some more rows."""
        table = _table(rows, self._kinds)
        self._held.append(table)
        self._count += len(table)
        self._size += table.nbytes
        self._bytes += table.nbytes
        if self._size >= self._memory:
            self._keep()

    def write(self, file: Any, order: Array, beside: Callable[[Array], Mapping[str, Sequence[str]]]) -> None:
        """These rows in this order as a Parquet file; `beside` gives more columns of some rows, all of them text."""
        writer = None
        for table, numbers in self._ordered(order):
            for name, values in beside(numbers).items():
                table = table.append_column(name, self._pa.array(values, "string"))
            writer = writer or self._pa.parquet.ParquetWriter(file, table.schema, compression="zstd")
            writer.write_table(table, row_group_size=len(table))
        if writer is not None:
            writer.close()

    def _keep(self) -> None:
        if self._held:
            self._parts.add(self._pa.concat_tables(self._held))
            self._held, self._size = [], 0

    def _ordered(self, order: Array) -> Iterator[tuple[Any, Array]]:
        """Row groups of these rows in this order, with their numbers."""
        self._keep()
        width = self._bytes / max(self._count, 1) or 1
        most = int(max(self._memory, self._bytes / BINS) / width)
        group = min(ROW_GROUP, max(most, 1))
        size = max(1, most // group) * group
        place = np.full(self._count, -1, np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        with ExitStack() as opened:
            files = (Scratch(self._folder, memory=MEMORY // BINS) for _ in range(0, len(order), size))
            bins = [_Tables(opened.enter_context(file)) for file in files]
            self._deal(place, bins, size)
            for number, kept in enumerate(bins):
                table = self._pa.concat_tables(kept)
                table = table.take(np.argsort(table.column(_PLACE).to_numpy())).drop_columns(_PLACE)
                for start in range(0, len(table), group):
                    first = number * size + start
                    yield table.slice(start, group), order[first : first + group]

    def _deal(self, place: Array, bins: list[_Tables], size: int) -> None:
        """Each row that has a place to the bin of that place."""
        first = 0
        for table in self._parts:
            where = place[first : first + len(table)]
            first += len(table)
            for number in np.unique(where[where >= 0] // size).tolist():
                mine = np.flatnonzero((where >= number * size) & (where < (number + 1) * size))
                bins[number].add(table.take(mine).append_column(_PLACE, self._pa.array(where[mine])))


class _Tables:
    """Tables in a scratch file, end to end."""

    def __init__(self, scratch: Scratch) -> None:
        self._pa = _pyarrow()
        self._scratch = scratch
        self._ends = [0]

    def add(self, table: Any) -> None:
        sink = self._pa.BufferOutputStream()
        options = self._pa.ipc.IpcWriteOptions(compression="lz4")
        with self._pa.ipc.new_stream(sink, table.schema, options=options) as stream:
            stream.write_table(table)
        self._scratch.write(sink.getvalue())
        self._ends.append(self._scratch.size)

    def __iter__(self) -> Iterator[Any]:
        for start, end in pairwise(self._ends):
            yield self._pa.ipc.open_stream(self._scratch.read(start, end - start)).read_all()


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
