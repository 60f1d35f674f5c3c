"""Whether one check of the gate keeps every challenger out, round after round: then somebody should know of it.

A loop that goes round by itself would learn, fail and say nothing but its history: what is learned never reaches a user.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from sqlalchemy import Connection, select

from lingqu.registry import Version
from lingqu.store import Store
from lingqu.store.tables import HISTORY, VERSIONS

ROUND = "improve"
"""The action of the history under which a round of the loop is kept."""
IN_A_ROW, LOOKED_BACK = 3, 100
"""So many rounds that failed alike are told, of so many at most."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """The checks that every one of the last rounds failed.

    >>> print(Blocked("router", 4, ("language = zh",)).sentence())
    The last 4 rounds all kept the champion for the same check: language = zh. Label more rows of it (lingqu feedback queue), or change what gates ask of it; see: lingqu history router
    """

    name: str
    rounds: int
    checks: tuple[str, ...]

    def sentence(self) -> str:
        """What keeps challengers out, and what to do."""
        what = "check" if len(self.checks) == 1 else "checks"
        of_it = " of it" if any(" = " in check for check in self.checks) else ""
        return (
            f"The last {self.rounds} rounds all kept the champion for the same {what}: {', '.join(self.checks)}. "
            f"Label more rows{of_it} (lingqu feedback queue), or change what gates ask{of_it}; see: lingqu history {self.name}"
        )


def blocked(store: Store, version: Version) -> Blocked | None:
    """What has kept at least three challengers in a row from following this champion; None where nothing has."""
    checks: set[str] | None = None
    rounds = 0
    query = (
        select(HISTORY.c.evidence)
        .where(HISTORY.c.name == version.name, HISTORY.c.action == ROUND)
        .order_by(HISTORY.c.seq.desc())
        .limit(LOOKED_BACK)
    )
    with store.database.reading() as connection:
        for evidence in map(json.loads, connection.execute(query).scalars()):
            number = evidence.get("version")
            if number is None:
                # Nothing was learned, so nothing was decided.
                continue
            failed = _failed(connection, version, number) if evidence.get("decision") == "keep" else set()
            both = failed if checks is None else checks & failed
            if not both:
                break
            checks, rounds = both, rounds + 1
    return Blocked(version.name, rounds, tuple(sorted(checks or ()))) if rounds >= IN_A_ROW else None


def _failed(connection: Connection, champion: Version, number: int) -> set[str]:
    """The checks that a version failed at its gate; none where it was compared with another champion."""
    query = select(VERSIONS.c.decision).where(VERSIONS.c.name == champion.name, VERSIONS.c.number == number)
    decision = json.loads(connection.execute(query).scalar_one_or_none() or "{}")
    if decision.get("against") != champion.number:
        return set()
    return {check["name"] for check in decision.get("checks", ()) if not check["passed"]}
