"""One row of the history, and the sentence that tells it.

>>> event = Event(7, "ticket-router", "2026-11-22T13:00:05.000000Z", "anna", "promote", 3, "champion", "",
...               {"p": 0.004, "alpha": 0.025, "rows": 2000})
>>> event.sentence()
'2026-11-22 13:00 UTC: version 3 became champion of ticket-router (anna): p = 0.004 < 0.025 on 2,000 rows.'
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lingqu.store.canonical import is_digest


@dataclass(frozen=True, slots=True)
class Event:
    """One decision: what, who, when, why, and on which evidence."""

    seq: int
    name: str
    at: str
    who: str
    action: str
    version: int | None
    alias: str | None
    why: str
    evidence: dict[str, Any]
    hash: str = ""

    @classmethod
    def of_row(cls, row: Mapping[Any, Any]) -> Event:
        """The event that a row of the database holds."""
        fields = {key: value for key, value in row.items() if key != "previous"}
        return cls(**{**fields, "evidence": json.loads(row["evidence"])})

    def sentence(self) -> str:
        """The event in one sentence."""
        parts = (self._counted(), self.why, numbers(self.evidence))
        reasons = "; ".join(part.strip().rstrip(".。") for part in parts if part.strip())
        moment = f"{self.at[:10]} {self.at[11:16]} UTC"
        return f"{moment}: {self._what()} ({self.who}){f': {reasons}' if reasons else ''}."

    def to_json(self) -> dict[str, Any]:
        """The event as JSON values, with its sentence."""
        return {**asdict(self), "sentence": self.sentence()}

    def _what(self) -> str:
        match self.action:
            case "register":
                return f"version {self.version} of {self.name} was registered"
            case "promote":
                return f"version {self.version} became champion of {self.name}"
            case "rollback":
                left = self.evidence.get("from")
                return f"{self.name} was rolled back from version {left} to version {self.version}"
            case "alias":
                return f"{self.alias} of {self.name} now means version {self.version}"
            case "gate":
                gate_set = str(self.evidence.get("gate_set"))
                shown = f"{gate_set[:12]}…" if is_digest(gate_set) else gate_set
                said = f"said '{self.evidence.get('decision')}' for {self.name}"
                return f"round {self.evidence.get('round')} of the gate on {shown} {said}"
            case "forget" if self.version is not None:
                return f"version {self.version} of {self.name} was cleared of what was forgotten"
            case "forget":
                return "something was forgotten in this store"
            case "rollout":
                return self._rollout()
            case "alarm":
                return f"version {self.version} of {self.name} raised an alarm"
            case _:
                return f"{self.action} of {self.name}"

    def _counted(self) -> str:
        """How many voices were decided on, or brought, and how."""
        if self.action not in ("review", "feedback"):
            return ""
        counts = {word: self.evidence.get(word) for word in ("accepted", "rejected", "quarantined", "corrected")}
        return ", ".join(f"{count:,} {word}" for word, count in counts.items() if count)

    def _rollout(self) -> str:
        version, against = self.version or self.evidence.get("ended"), self.evidence.get("against")
        match self.evidence.get("step"):
            case "shadow":
                return f"version {version} of {self.name} answers unseen beside version {against}"
            case "demoted":
                return f"version {version} of {self.name} answers unseen beside version {against}, which took its place back"
            case "canary":
                return f"version {version} of {self.name} answers {100 * self.evidence['share']:.3g} % of the users"
            case "ready":
                return f"version {version} of {self.name} waits for lingqu promote {self.name}@{version}"
            case "done":
                return f"the rollout of version {version} of {self.name} is over"
            case _:
                return f"version {version} of {self.name} was dropped"


def numbers(evidence: Mapping[str, Any]) -> str:
    """The test of a gate in a few signs, as far as the evidence holds it.

    >>> numbers({"p": 0.2, "alpha": 0.05})
    'p = 0.2 ≥ 0.05'
    >>> numbers({"p": 1e-9, "alpha": 0.05, "rows": 500}), numbers({"p": None, "alpha": 0.05, "rows": 500})
    ('p < 0.0001 < 0.05 on 500 rows', '')
    """
    p, alpha, rows = evidence.get("p"), evidence.get("alpha"), evidence.get("rows")
    text = ""
    if isinstance(p, int | float) and isinstance(alpha, int | float):
        said = f"p = {p:.2g}" if p >= 1e-4 else "p < 0.0001"
        text = f"{said} {'<' if p < alpha else '≥'} {alpha:.2g}"
    # Rows that were not asked to prove anything are no evidence of what was decided elsewhere.
    if isinstance(rows, int) and text:
        text = f"{text} on {rows:,} rows"
    return text
