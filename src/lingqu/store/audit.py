"""Whether the history still is what was written, and whether the other tables agree with it.

>>> from lingqu.store import Store
>>> with Store.open(getfixture("tmp_path")).database.reading() as connection:
...     verify(connection)
[]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, RowMapping, select

from lingqu.errors import Problem
from lingqu.store.history import BEGINNING, Standing, row_hash, seal
from lingqu.store.tables import ALIASES, ALPHA_LEDGER, HEAD, HISTORY, VERSIONS

_EDITED = "Somebody changed the database by other means; compare it with a backup."


def verify(connection: Connection) -> list[Problem]:
    """Everything that does not agree with the history; nothing when all is as it was written.

    Consequences are looked at only while the chain itself holds, so one edit is told once.
    """
    rows = list(connection.execute(select(HISTORY).order_by(HISTORY.c.seq)).mappings())
    if problems := _verify_chain(connection, rows):
        return problems
    standings: dict[str, Standing] = {}
    for row in rows:
        standings.setdefault(row["name"], Standing()).apply(row)
    return [
        *_verify_versions(connection, standings),
        *_verify_aliases(connection, standings),
        *_verify_ledger(connection, standings),
    ]


def _verify_chain(connection: Connection, rows: list[RowMapping]) -> list[Problem]:
    problems: list[Problem] = []
    previous = BEGINNING
    for number, row in enumerate(rows, 1):
        fields = {name: value for name, value in row.items() if name not in ("previous", "hash")}
        try:
            sealed = seal(previous, fields)
        except (TypeError, ValueError):
            sealed = ""
        if row["seq"] != number:
            problems.append(Problem(f"row {number} of the history", f"row {row['seq']}", _EDITED))
            break
        if row["previous"] != previous or row["hash"] != sealed:
            problems.append(Problem(f"row {number} of the history as it was written", "other content", _EDITED))
        previous = row["hash"]
    head = connection.execute(select(HEAD)).mappings().all()
    if not problems and [(h["seq"], h["hash"]) for h in head] != [(len(rows), previous)]:
        told = ", ".join(str(h["seq"]) for h in head) or "nothing"
        problems.append(Problem(f"a history of {told} rows, as its head says", f"{len(rows)} rows", _EDITED))
    return problems


def _verify_versions(connection: Connection, standings: Mapping[str, Standing]) -> list[Problem]:
    told = {(name, number): row for name, s in standings.items() for number, row in s.versions.items()}
    rows = connection.execute(select(VERSIONS)).mappings()
    found = {(row["name"], row["number"]): row_hash(row) for row in rows}
    return _compare("version {1} of {0} as it was registered", told, found)


def _verify_aliases(connection: Connection, standings: Mapping[str, Standing]) -> list[Problem]:
    told = {(name, alias): at for name, s in standings.items() for alias, at in s.aliases.items()}
    rows = connection.execute(select(ALIASES)).mappings()
    found = {(row["name"], row["alias"]): (row["version"], row["epoch"]) for row in rows}
    return _compare("the alias {1} of {0} where the history put it", told, found)


def _verify_ledger(connection: Connection, standings: Mapping[str, Standing]) -> list[Problem]:
    told = {(name, *key): spent for name, s in standings.items() for key, spent in s.rounds.items()}
    rows = connection.execute(select(ALPHA_LEDGER)).mappings()
    found = {
        (row["name"], row["gate_set"], row["round"]): {key: value for key, value in row.items() if key != "name"}
        for row in rows
    }
    return _compare("round {2} on gate set {1} of {0} as it was spent", told, found)


def _compare(expected: str, told: Mapping[Any, Any], found: Mapping[Any, Any]) -> list[Problem]:
    problems: list[Problem] = []
    for key in sorted(told.keys() | found.keys(), key=repr):
        if key not in found:
            problems.append(Problem(expected.format(*key), "none", _EDITED))
        elif key not in told:
            problems.append(Problem(expected.format(*key), "no row of the history that tells of it", _EDITED))
        elif told[key] != found[key]:
            problems.append(Problem(expected.format(*key), "something else", _EDITED))
    return problems
