"""Answer every row of a file, in order, never holding more than a batch of it.

The output holds the input's columns, then the answer's cells, then `error`: a row that was refused has an error and no
prediction, and the rows beside it are answered. In a csv or tsv file no cell begins with what a spreadsheet would run.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from lingqu.bundle.read import Bundle, gave_numbers, never_finite
from lingqu.contract import Answer, Rows
from lingqu.data.accept import accept
from lingqu.data.parquet import ParquetWriter, require_columns
from lingqu.data.quarantine import Batch
from lingqu.data.readers import stream
from lingqu.data.spreadsheet import TableWriter
from lingqu.errors import Problem, RequestError, near
from lingqu.store.atomic import open_output

ERROR = "error"
ROWS = 1000
SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")


@dataclass(frozen=True, slots=True)
class Answered:
    """How many rows there were, how many of them were refused, and where the answers are."""

    rows: int
    refused: int
    out: Path


def predict_file(
    bundle: Bundle,
    source: str | Path,
    out: Path,
    *,
    scores: bool = False,
    root: Path | None = None,
    tell: Callable[[int], None] = lambda _: None,
) -> Answered:
    """Answer every row of `source` (what `lingqu run` reads, this reads) into `out`, a csv, tsv, jsonl or parquet file.

    Pictures that a table names are looked for below `root`, or beside the table.
    `tell` hears how many rows are done. The file appears when it is whole; a pipe or a kill leaves no half of one.
    """
    if out.suffix.lower() not in SUFFIXES:
        advice = near(out.suffix, SUFFIXES, say="Known: {}.")
        raise RequestError(Problem("an output file of csv, tsv, jsonl or parquet", f"'{out.name}'", advice))
    if out.exists() and Path(source).exists() and out.samefile(source):
        raise RequestError(Problem("an output file that is not the input", f"'{out}'", "Choose another name with -o."))
    if root is None and Path(source).is_file():
        root = Path(source).parent
    rows = refused = 0
    # What cannot be answered leaves no open file behind, for as long as its error is told.
    with closing(stream(source, ROWS)) as batches, _writer(out, answer_types(bundle, scores)) as writer:
        for answered in answer_batches(bundle, batches, scores=scores, root=root):
            writer.write(answered)
            rows += len(answered)
            refused += sum(error is not None for error in answered[ERROR])
            tell(rows)
    return Answered(rows, refused, out)


def answer_batches(
    bundle: Bundle, batches: Iterable[Batch], *, scores: bool = False, root: Path | None = None
) -> Iterator[Rows]:
    """Each batch with its answers beside it; BundleError at the end when the network had finite numbers for no row."""
    gave: set[bool | None] = set()
    first: tuple[str, ...] = ()
    for batch in batches:
        first = first or batch.rows.names
        # A column that the file has and this part of it lacks is missing from each of these rows, not from the file.
        absent = {name: [None] * len(batch.rows) for name in first if name not in batch.rows}
        if not len(batch.rows):
            # No row has asked for anything yet, and a file of another kind must not pass for one without rows.
            accept(batch.rows, bundle.manifest["columns"])
        answers = bundle.answer(batch.rows.with_columns(absent), root=root)
        gave.add(gave_numbers(answers))
        yield _beside(bundle, batch, answers, scores)
    if False in gave and True not in gave:
        raise never_finite()


def _beside(bundle: Bundle, batch: Batch, answers: list[Answer], scores: bool) -> Rows:
    """The batch and its answers; a row that could not even be read keeps its place and its reason."""
    cells = [answer.cells(scores=scores) for answer in answers]
    for place, fault in batch.faults.items():
        cells[place] = {ERROR: fault}
    names = answer_columns(bundle, scores)
    # A column of the input that has the name of an answer's is kept beside it.
    given = batch.rows.rename({name: f"input.{name}" for name in batch.rows.names if name in {*names, ERROR}})
    return given.with_columns({name: [cell.get(name) for cell in cells] for name in (*names, ERROR)})


def answer_columns(bundle: Bundle, scores: bool) -> list[str]:
    """The cells that an answer of this bundle has, in order."""
    if bundle.manifest["answer"] == "number-value":
        return ["prediction", "low", "high"]
    labels = bundle.memory.get("labels", [])
    return ["prediction", "confidence", *([f"score.{label}" for label in labels] if scores else [])]


def answer_types(bundle: Bundle, scores: bool) -> dict[str, str]:
    """How Parquet stores those cells and `error`, whatever the first rows of a file were answered."""
    text = () if bundle.manifest["answer"] == "number-value" else ("prediction",)
    return {name: "string" if name in text else "float64" for name in answer_columns(bundle, scores)} | {
        ERROR: "string"
    }


class _Writer(ABC):
    """Writes batches that all have the columns of the first."""

    @abstractmethod
    def write(self, rows: Rows) -> None:
        """Write one more batch."""


class _Table(_Writer):
    """CSV or TSV, with a header that its first batch decides; pictures are left out, for a table has no cell for them."""

    def __init__(self, file: IO[str], delimiter: str) -> None:
        self._file, self._delimiter = file, delimiter
        self._table: TableWriter | None = None

    def write(self, rows: Rows) -> None:
        names = [name for name in rows.names if not any(isinstance(value, bytes) for value in rows[name])]
        if self._table is None:
            self._left_out = {*rows.names} - {*names}
            self._table = TableWriter(self._file, names, self._delimiter)
        require_columns(names, {*self._table.names, *self._left_out})
        self._table.write(rows.select(names))


class _Lines(_Writer):
    """JSON, one object a line; absent answers are left out."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def write(self, rows: Rows) -> None:
        for row in rows:
            plain = {name: value for name, value in row.items() if not isinstance(value, bytes)}
            self._file.write(json.dumps(_without_blanks(plain), ensure_ascii=False) + "\n")


def _without_blanks(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row without an empty `error` of an answered row, and without the empty answer of a refused one."""
    refused = row[ERROR] is not None
    answer = {"prediction", "confidence", "low", "high"}
    return {
        name: value
        for name, value in row.items()
        if not (name == ERROR and not refused)
        and not (refused and value is None and (name in answer or name.startswith("score.")))
    }


class _Parquet(_Writer):
    """Parquet; the columns of the input are typed by its first batch, those of the answer by their kind."""

    def __init__(self, parquet: ParquetWriter) -> None:
        self._parquet = parquet

    def write(self, rows: Rows) -> None:
        self._parquet.write(rows)


@contextmanager
def _writer(out: Path, types: Mapping[str, str]) -> Iterator[_Writer]:
    suffix = out.suffix.lower()
    if suffix == ".parquet":
        with open_output(out) as file:
            parquet = ParquetWriter(file, types)
            try:
                yield _Parquet(parquet)
            except BaseException:
                # Left open, it would write its end into a closed file when it is collected.
                with suppress(OSError):
                    parquet.close()
                raise
            parquet.close()
        return
    with open_output(out, "w") as text:
        yield _Lines(text) if suffix == ".jsonl" else _Table(text, "\t" if suffix == ".tsv" else ",")
