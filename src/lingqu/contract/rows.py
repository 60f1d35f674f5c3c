"""Rows, held column by column.

>>> rows = Rows({"text": ["good", "bad"], "label": ["1", "0"]})
>>> len(rows), rows.names, rows["text"]
(2, ('text', 'label'), ['good', 'bad'])
>>> rows.take([1]).row(0)
{'text': 'bad', 'label': '0'}
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any


class Rows:
    """A small table: a list of Python values per column, None where a value is missing.

    All columns have the same length; ValueError otherwise. Rows are never changed, each method returns new ones.
    """

    __slots__ = ("_columns", "_length")

    def __init__(self, columns: Mapping[str, Sequence[Any]]) -> None:
        self._columns = {name: list(values) for name, values in columns.items()}
        lengths = {len(values) for values in self._columns.values()}
        if len(lengths) > 1:
            sizes = {name: len(values) for name, values in self._columns.items()}
            raise ValueError(f"columns of one length expected, found {sizes}")
        self._length = lengths.pop() if lengths else 0

    @classmethod
    def from_dicts(cls, rows: Iterable[Mapping[str, Any]]) -> Rows:
        """Rows from one mapping per row; a key that a row lacks is None there.

        >>> Rows.from_dicts([{"a": 1}, {"b": 2}])["b"]
        [None, 2]
        """
        listed = list(rows)
        names = dict.fromkeys(name for row in listed for name in row)
        return cls({name: [row.get(name) for row in listed] for name in names})

    @property
    def names(self) -> tuple[str, ...]:
        """Column names, in order."""
        return tuple(self._columns)

    def __len__(self) -> int:
        return self._length

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __getitem__(self, name: str) -> list[Any]:
        return self._columns[name]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self.row(i) for i in range(self._length))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rows) and self._columns == other._columns

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Rows({self._length} rows of {', '.join(self._columns) or 'no columns'})"

    def row(self, index: int) -> dict[str, Any]:
        """One row as a mapping."""
        return {name: values[index] for name, values in self._columns.items()}

    def take(self, indices: Iterable[int]) -> Rows:
        """The rows at these positions, in this order."""
        chosen = list(indices)
        return Rows({name: [values[i] for i in chosen] for name, values in self._columns.items()})

    def followed_by(self, other: Rows) -> Rows:
        """These rows, then those; ValueError when their columns differ.

        >>> Rows({"a": [1]}).followed_by(Rows({"a": [2]}))["a"]
        [1, 2]
        """
        if set(self.names) != set(other.names):
            raise ValueError(f"the columns {self.names} expected, found {other.names}")
        return Rows({name: values + other[name] for name, values in self._columns.items()})

    def select(self, names: Iterable[str]) -> Rows:
        """Only these columns; KeyError for one that is not there."""
        return Rows({name: self._columns[name] for name in names})

    def rename(self, names: Mapping[str, str]) -> Rows:
        """Columns under new names, {old: new}; others stay."""
        return Rows({names.get(name, name): values for name, values in self._columns.items()})

    def with_columns(self, columns: Mapping[str, Sequence[Any]]) -> Rows:
        """These columns added, or put in place of those with the same name."""
        return Rows({**self._columns, **columns})

    def batches(self, size: int) -> Iterator[Rows]:
        """Consecutive parts of at most `size` rows."""
        for start in range(0, self._length, size):
            yield Rows({name: values[start : start + size] for name, values in self._columns.items()})
