"""Live risk: whether the champion errs more often than its gate has shown, looked at after every audit label.

The limit is the upper 95 % bound of its error on held-out rows, plus a tolerance. Labels count in the order in which they
came. At level 0.05 a person is warned, at 0.01 something should be done; over all labels together a champion that keeps
its limit reaches them with these probabilities at most, however often one looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import exp
from typing import Any

from lingqu.statistics import LiveRisk, clopper_pearson, live_risk, rows_needed

LEAST = 5
"""With fewer labels nothing is decided, whatever they say."""


@dataclass(frozen=True, slots=True)
class Risk:
    """What audit labels say about the champion's errors.

    >>> found = risk([True] * 20 + [False] * 20, held_out_right=900, held_out=1000, tolerance=0.02)
    >>> found.level, round(found.limit, 3)
    ('act', 0.137)
    >>> print(found.sentence())
    The champion errs more than it may: 20 of 40 audit labels say it was wrong, where at most 0.137 may be (E reached 2.2e+05, act at 100).
    """

    limit: float
    found: LiveRisk

    @property
    def level(self) -> str:
        """quiet, warn or act."""
        return self.found.level if self.found.labels >= LEAST else "quiet"

    def sentence(self) -> str:
        """What the labels say, in words."""
        labels, wrong = self.found.labels, int(self.found.losses)
        if not labels:
            return f"No audit label has come yet; the champion may be wrong in at most {self.limit:.3f} of all answers."
        if labels < LEAST:
            return f"{labels} of {LEAST} audit labels that any decision needs have come; {wrong} say the champion was wrong."
        said = f"{wrong:,} of {labels:,} audit labels say it was wrong, where at most {self.limit:.3f} may be"
        if self.level == "quiet":
            return f"The champion keeps its limit as far as is known: {said} (E = {self.found.evalue:.2g}, warn at 20)."
        reached = exp(min(self.found.log_highest, 700.0))
        bound = 100 if self.level == "act" else 20
        begin = "The champion errs more than it may" if self.level == "act" else "The champion may err more than it may"
        return f"{begin}: {said} (E reached {reached:.2g}, {self.level} at {bound})."

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        told = {name: value for name, value in asdict(self.found).items() if name != "limit"}
        # An e-value may be larger than any float; its logarithm never is.
        return {"level": self.level, "limit": self.limit, **told, "sentence": self.sentence()}


def risk(were_right: Sequence[bool], *, held_out_right: int, held_out: int, tolerance: float) -> Risk | None:
    """The live risk of a champion that was right so often on held-out rows; None without held-out rows."""
    if not held_out:
        return None
    upper = clopper_pearson(held_out - held_out_right, held_out, 0.9).high
    # A limit of 1 could never be passed, and one of 0 by the first error.
    limit = min(max(upper + tolerance, 1e-3), 0.95)
    return Risk(limit, live_risk([float(not good) for good in were_right], limit))


def labels_wanted(limit: float, *, worse: float = 0.05) -> int:
    """How many audit labels show, 8 times in 10, that answers are worse by so much than they may be.

    >>> labels_wanted(0.12)
    262
    """
    return rows_needed(worse, (limit * (1 - limit)) ** 0.5)
