"""Sets of the Hugging Face Hub, and folders that its library wrote: the one file that imports `datasets`.

Only builders that read data are let through (arrow, csv, json, parquet, text, pictures in folders): a set that comes with
code, or whose files can hold code, is refused. A class column holds the names of its classes, not their numbers.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from lingqu.contract import Rows
from lingqu.data.cells import cell_faults, plain_cells
from lingqu.data.image_folder import SPLIT_FOLDERS
from lingqu.data.quarantine import Batch
from lingqu.errors import DataError, Problem, missing_package, near
from lingqu.spec.addresses import AddressFault, HubSet, read_hub

BUILDERS = ("arrow", "csv", "json", "parquet", "text", "imagefolder")


def read_hub_set(source: str, batch: int = 1000) -> Generator[Batch, None, None]:
    """The rows of a set, or of one of its splits; its own train, validation and test stay what they are."""
    try:
        place = read_hub(source)
    except AddressFault as error:
        raise DataError(error.problem) from None
    parts = _load(place)
    if place.split is not None:
        if place.split not in parts:
            found = f"the splits {', '.join(map(repr, parts)) or 'none'}"
            raise DataError(Problem(f"the split {place.split!r} of {place.path}", found, near(place.split, parts)))
        # One split that was asked for is all rows; lingqu divides them.
        yield from _batches(parts[place.split], "", batch)
        return
    known = {name: SPLIT_FOLDERS.get(name.lower(), "") for name in parts}
    if len(parts) > 1 and not all(known.values()):
        odd = [name for name, split in known.items() if not split]
        found = f"the splits {', '.join(map(repr, parts))}"
        raise DataError(Problem("splits called train, validation and test", found, f"Name one: #{odd[0]}."))
    for name, part in parts.items():
        yield from _batches(part, known[name] if len(parts) > 1 else "", batch)


def _batches(part: Any, split: str, size: int) -> Iterator[Batch]:
    names = {
        column: feature.names for column, feature in part.features.items() if type(feature).__name__ == "ClassLabel"
    }
    first = 1
    # Arrow as it is stored: pictures stay bytes, and nothing is decoded on the way.
    for table in part.with_format("arrow").iter(batch_size=size):
        columns = {
            column: _named(values.to_pylist(), names.get(column))
            for column, values in zip(table.column_names, table.columns, strict=True)
        }
        yield Batch(Rows(columns), first, cell_faults(columns), split=split)
        first += table.num_rows
    if first == 1:
        yield Batch(Rows({column: [] for column in part.column_names}), split=split)


def _named(values: list[Any], names: list[str] | None) -> list[Any]:
    if names is None:
        return plain_cells(values)
    # The Hub's sign for a label that is kept secret, in test rows of contests, is -1.
    return [None if value is None or value < 0 else names[value] for value in values]


def _load(place: HubSet) -> dict[str, Any]:
    """The parts of a set by their names in it."""
    try:
        import datasets
        from datasets import exceptions
    except ImportError:
        raise missing_package("datasets", "hub", "reading sets of the Hub") from None
    datasets.disable_progress_bars()
    if place.local and not Path(place.path).is_dir():
        raise DataError(Problem(f"a folder {place.path}", "no such folder", "Check data.source."))
    try:
        if place.local and any((Path(place.path) / name).is_file() for name in ("state.json", "dataset_dict.json")):
            loaded: Any = datasets.load_from_disk(place.path)
        else:
            builder = datasets.load_dataset_builder(place.path, place.config, revision=place.revision)
            kind = type(builder).__module__.rpartition(".")[2]
            if kind not in BUILDERS:
                advice = "Save the rows to a file first: csv, jsonl or parquet."
                raise DataError(Problem(f"a set of {', '.join(BUILDERS)} files", f"one of the kind {kind!r}", advice))
            builder.download_and_prepare()
            loaded = builder.as_dataset()
    except (exceptions.DatasetsError, FileNotFoundError, ConnectionError, ValueError, RuntimeError, OSError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0][:200].rstrip(".")
        raise DataError(
            Problem(f"the set {place.path}", said, "Check data.source, and whether it needs `hf auth login`.")
        ) from None
    return dict(loaded) if isinstance(loaded, dict) else {"train": loaded}
