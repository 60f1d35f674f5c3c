"""The history: every decision as one row, each holding the hash of the row before, and what the rows add up to.

An edited, removed or inserted row breaks the chain; a shortened one does not reach the head. Aliases, versions and the
alpha ledger are also told by the history, so a change of theirs that no row tells is found as well.

>>> seal(BEGINNING, {"seq": 1, "action": "register"})[:8]
'62bc8b52'
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from lingqu.errors import Problem, RequestError
from lingqu.store.aliases import CHAMPION, PREVIOUS
from lingqu.store.canonical import canonical_json, digest_of
from lingqu.store.tables import HEAD, HISTORY

BEGINNING = "0" * 64
"""What the first row holds in place of the hash before it."""
EVERYTHING = "*"
"""The name of a row that tells of the whole store."""


def now() -> str:
    """The present moment as it is kept: ISO 8601, UTC, to the microsecond.

    >>> now().endswith("Z"), len(now())
    (True, 27)
    """
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def seal(previous: str, fields: Mapping[str, Any]) -> str:
    """The hash of a row: SHA-256 over the hash before it and its own fields as canonical JSON.

    >>> seal(BEGINNING, {"a": 1}) == digest_of(BEGINNING.encode() + b'{"a":1}')
    True
    """
    return digest_of(previous.encode() + canonical_json(dict(fields)))


def append(
    connection: Connection,
    *,
    name: str,
    who: str,
    action: str,
    why: str = "",
    version: int | None = None,
    alias: str | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> int:
    """Write the next row and move the head, inside the caller's write transaction; gives the row's number.

    RequestError when `who` or `why` holds half a character, as an argument in another encoding than UTF-8 does.
    """
    for what, words in (("a reason", why), ("who it was", who)):
        if any("\ud800" <= sign <= "\udfff" for sign in words):
            raise RequestError(Problem(f"{what} in UTF-8", repr(words[:100]), "Write it in another way."))
    head = connection.execute(select(HEAD)).mappings().one()
    fields = {
        "seq": head["seq"] + 1,
        "name": name,
        "at": now(),
        "who": who,
        "action": action,
        "version": version,
        "alias": alias,
        "why": why,
        "evidence": canonical_json(dict(evidence or {})).decode(),
    }
    sealed = seal(head["hash"], fields)
    connection.execute(insert(HISTORY).values(**fields, previous=head["hash"], hash=sealed))
    connection.execute(update(HEAD).values(seq=fields["seq"], hash=sealed))
    return fields["seq"]


def redact(connection: Connection, change: Callable[[Any], Any]) -> list[int]:
    """Rewrite what was said in the history, and seal every row from there on anew; the numbers of the changed rows.

    `change` takes a text or a JSON value and gives it as it shall stand. Only `lingqu forget` does this, and it then adds a
    row that says which rows were rewritten.
    """
    changed: list[int] = []
    previous, sealed = BEGINNING, BEGINNING
    for row in connection.execute(select(HISTORY).order_by(HISTORY.c.seq)).mappings().all():
        fields = {name: value for name, value in row.items() if name not in ("previous", "hash")}
        evidence = canonical_json(change(json.loads(fields["evidence"]))).decode()
        said = {"who": change(fields["who"]), "why": change(fields["why"]), "evidence": evidence}
        if any(fields[name] != text for name, text in said.items()):
            changed.append(row["seq"])
        fields |= said
        sealed = seal(previous, fields)
        if sealed != row["hash"]:
            kept = {**said, "previous": previous, "hash": sealed}
            connection.execute(update(HISTORY).where(HISTORY.c.seq == row["seq"]).values(**kept))
        previous = sealed
    if changed:
        connection.execute(update(HEAD).values(hash=sealed))
    return changed


def row_hash(row: Mapping[Any, Any]) -> str:
    """The hash of a row of another table, without its own `hash` column; what JSON cannot hold counts by its repr.

    >>> row_hash({"a": 1, "hash": "x"}) == row_hash({"a": 1})
    True
    """
    fields = {name: value for name, value in row.items() if name != "hash"}
    return digest_of(json.dumps(fields, sort_keys=True, ensure_ascii=True, default=repr).encode())


@dataclass(slots=True)
class Standing:
    """What the rows of one name add up to: its versions, its aliases with their epochs, its champions in order.

    >>> now = Standing()
    >>> for version in (1, 2):
    ...     now.apply({"action": "promote", "version": version, "evidence": "{}"})
    >>> now.champions, now.aliases
    ([1, 2], {'champion': (2, 2), 'previous': (1, 1)})
    """

    versions: dict[int, str] = field(default_factory=dict)
    aliases: dict[str, tuple[int | None, int]] = field(default_factory=dict)
    champions: list[int] = field(default_factory=list)
    ever: set[int] = field(default_factory=set)
    rounds: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)

    def apply(self, row: Mapping[Any, Any]) -> None:
        """Take in the next row of this name."""
        evidence = json.loads(row["evidence"])
        match row["action"]:
            case "register":
                self.versions[row["version"]] = evidence["row"]
            case "forget":
                # The one thing that may change a version: who was forgotten is in it no more.
                self.versions |= {row["version"]: evidence["row"]} if "row" in evidence else {}
            case "alias" | "rollout":
                self._point(row["alias"], row["version"])
            case "promote":
                self._crown([*self.champions, row["version"]])
            case "rollback":
                self._crown(self.back_to(row["version"]))
            case "gate":
                self.rounds[evidence["gate_set"], evidence["round"]] = {
                    **evidence,
                    "at": row["at"],
                    "event": row["seq"],
                }
            case _:
                pass

    def back_to(self, version: int) -> list[int]:
        """The champions once this version is champion again: those up to its last reign, or it on top of them all."""
        if version in self.champions:
            last = len(self.champions) - self.champions[::-1].index(version)
            return self.champions[:last]
        return [*self.champions, version]

    def _crown(self, champions: list[int]) -> None:
        self.champions = champions
        self.ever.add(champions[-1])
        self._point(CHAMPION, champions[-1])
        self._point(PREVIOUS, champions[-2] if len(champions) > 1 else None)

    def _point(self, alias: str, version: int | None) -> None:
        before, epoch = self.aliases.get(alias, (None, 0))
        if before != version:
            self.aliases[alias] = (version, epoch + 1)


def standing(connection: Connection, name: str) -> Standing:
    """What the history of one name adds up to."""
    result = Standing()
    rows = connection.execute(select(HISTORY).where(HISTORY.c.name == name).order_by(HISTORY.c.seq)).mappings()
    for row in rows:
        result.apply(row)
    return result
