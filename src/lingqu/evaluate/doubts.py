"""Test rows whose label the shipped model doubts, by confident learning: it saw none of them, so its answers count.

The list is for people, and decides nothing: a hard row looks like a wrong one. `lingqu check --labels` asks the same of
the training rows, by a model that learns on the way.

>>> from lingqu.contract import LabelScores
>>> from lingqu.evaluate.judged import judge
>>> said = [LabelScores.of({"a": p, "b": 1 - p}) for p in [0.97, *[0.1, 0.9] * 60]]
>>> given = ["b", *["b", "a"] * 60]
>>> rows = Rows({"text": [f"text {i}" for i in range(121)], "label": given})
>>> found = doubtful(rows, judge(given, said), "label")
>>> print(found["message"])
Of 1 of 121 test rows the model is surer of another label: about 0.8% of the labels may be wrong, or the rows are hard.
>>> found["rows"][0]["probably"]
'a'
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lingqu.contract import Rows
from lingqu.data.overview import SHOWN_ROWS, as_finding, shown_row
from lingqu.evaluate.judged import Judged
from lingqu.evaluate.mistakes import thumbnail
from lingqu.statistics import confident

LEAST_ROWS = 100
CODE = "label-noise"


def doubtful(rows: Rows, judged: Judged, target: str) -> dict[str, Any] | None:
    """The finding with the rows to look at, the surest first; None where there are none, or under 100 rows."""
    if judged.kind != "labels" or len(rows) < LEAST_ROWS:
        return None
    found = confident(judged.truth, judged.prediction)
    if not len(found.rows):
        return None
    shown = [
        {**shown_row(rows, int(row), probably=judged.labels[label]), **pictures(rows.row(int(row)))}
        for row, label in zip(found.rows[:SHOWN_ROWS], found.suggested[:SHOWN_ROWS], strict=True)
    ]
    message = (
        f"Of {len(found.rows):,} of {len(rows):,} test rows the model is surer of another label: about {found.share:.1%} of "
        "the labels may be wrong, or the rows are hard."
    )
    return as_finding("note", CODE, message, target, shown)


def pictures(row: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The pictures of a row, small, for a page to show."""
    return {name: {"picture": thumbnail(value)} for name, value in row.items() if isinstance(value, bytes)}
