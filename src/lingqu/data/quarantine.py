"""What a reader hands on: rows in batches, and beside them the rows that could not be read, each with its reason.

>>> batch = Batch(Rows({"text": ["good", None]}), first=1, faults={1: "1 cell where the header names 2"}, raw={1: "bad"})
>>> batch.good().rows["text"], [str(one) for one in batch.quarantined("a.csv")]
(['good'], ['a.csv row 2: 1 cell where the header names 2'])
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lingqu.contract import Rows

CELL_CAP = 1 << 20
"""The longest text that one cell may hold, in characters."""

RAW_CAP = 500
"""How much of a broken row is kept for people to look at."""

RAW_READ = 1 << 16
"""How much of a broken row is looked through for what was forgotten, before most of it is let go."""

CUT = "…"
"""How a text ends that was cut short."""


def cut(text: str, most: int) -> str:
    """A text of at most so many characters, marked where it was longer.

    >>> cut("a channel", 4), cut("canal", 5)
    ('a c…', 'canal')
    """
    return text if len(text) <= most else f"{text[: most - 1]}{CUT}"


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One row that was set aside: where it stood (counted from 1, the header not counted), why, and how it looked.

    >>> str(Quarantined("a.csv", 7, "no label"))
    'a.csv row 7: no label'
    """

    source: str
    row: int
    reason: str
    raw: str = ""

    def __str__(self) -> str:
        return f"{self.source} row {self.row}: {self.reason}"

    def as_dict(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Batch:
    """Some consecutive rows of a source; `faults` tells by position which of them are broken.

    A broken row keeps its place (its cells may be None), so that answers can be given in the order of the input.
    `split` is "" unless the source itself says to which split these rows belong.
    """

    rows: Rows
    first: int = 1
    faults: Mapping[int, str] = field(default_factory=dict)
    raw: Mapping[int, str] = field(default_factory=dict)
    split: str = ""

    def good(self) -> Batch:
        """The batch without its broken rows."""
        if not self.faults:
            return self
        return Batch(
            self.rows.take(i for i in range(len(self.rows)) if i not in self.faults), self.first, split=self.split
        )

    def quarantined(self, source: str) -> list[Quarantined]:
        """The broken rows, with where they stood."""
        return [
            Quarantined(source, self.first + i, reason, cut(self.raw.get(i, ""), RAW_CAP))
            for i, reason in sorted(self.faults.items())
        ]
