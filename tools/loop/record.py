"""What a proof measured: rows of a table, what to draw, and what a reader must know to judge them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any


@dataclass(frozen=True)
class Row:
    """One figure of ours beside that of the usual rule, measured in the same run."""

    what: str
    ours: str
    rule: str = ""
    """The usual rule."""
    theirs: str = ""
    goal: str = ""
    met: bool | None = None
    """Whether the goal is reached; None where there is none."""


@dataclass(frozen=True)
class Proof:
    """One part of the page: its table, its plot as SVG, and its explanation."""

    title: str
    rows: Sequence[Row]
    told: Sequence[str]
    """Paragraphs: what runs, what is simulated, from which data."""
    plots: Mapping[str, str] = field(default_factory=dict)
    """Name of a file without its ending -> SVG."""
    alt: str = ""
    """What the plots show, for those who cannot see them."""
    data: Mapping[str, Any] = field(default_factory=dict)
    """The numbers behind table and plots."""

    def to_json(self) -> dict[str, Any]:
        """All but the drawings, which have files of their own."""
        return {
            "title": self.title,
            "rows": [asdict(row) for row in self.rows],
            "told": [*self.told],
            "plots": sorted(self.plots),
            "alt": self.alt,
            "data": dict(self.data),
        }


def percent(share: float, digits: int = 1) -> str:
    """A share as a percentage.

    >>> percent(0.0312), percent(0.5, 0)
    ('3.1 %', '50 %')
    """
    return f"{100 * share:.{digits}f} %"


def of(count: int, whole: int) -> str:
    """How many of how many, with what that bounds: the exact 95 % interval of the share.

    >>> of(0, 50)
    '0 of 50 (0.0 to 7.1 %)'
    """
    from lingqu.statistics import clopper_pearson

    found = clopper_pearson(count, whole)
    return f"{count:,} of {whole:,} ({100 * found.low:.1f} to {100 * found.high:.1f} %)"


def runs(values: Sequence[float]) -> list[tuple[int, float]]:
    """Each value with how often it stands in a row: accuracy changes only with the model and with the world.

    >>> runs([0.8, 0.8, 0.5])
    [(2, 0.8), (1, 0.5)]
    """
    return [(len([*group]), value) for value, group in groupby(values)]
