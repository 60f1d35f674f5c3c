"""What a check found: one sentence, where, and how much it matters."""

from __future__ import annotations

from dataclasses import dataclass

PARTS = ("level", "code", "message", "column")
"""The fields of a finding; a profile adds `rows`, the rows that show it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing worth knowing about the data: "warning" wants a look, "note" only says what was done.

    >>> str(Finding("warning", "constant", "Column 'a' has one value in every row.", "a"))
    "Column 'a' has one value in every row."
    """

    level: str
    code: str
    message: str
    column: str = ""

    def __str__(self) -> str:
        return self.message
