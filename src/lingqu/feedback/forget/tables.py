"""What the database holds of a person or of a source: answers, feedback, keys, and words in the history."""

from __future__ import annotations

import hmac
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Table, delete, or_, select, update

from lingqu.feedback.add import principal_of
from lingqu.feedback.forget.wanted import GONE, Wanted
from lingqu.feedback.round import ROUND
from lingqu.feedback.voice import QUARANTINED, REJECTED, RULE, TRIAL
from lingqu.privacy.encrypt import MasterKeys
from lingqu.serve.inbox import RESERVED
from lingqu.serve.journal import Sealed, pseudonym, unspell
from lingqu.serve.sealed import iso
from lingqu.serve.shadow import BESIDE, SHADOW, shadow_id
from lingqu.store import Store, canonical_json
from lingqu.store.history import now
from lingqu.store.tables import DATA_VERSIONS, FEEDBACK, HISTORY, KEYS, METADATA, PREDICTIONS, RUNS

_PART = 500
LATE_SECONDS = 3600
"""So long after an answer was given may it come to the journal at most: a service waits while somebody else writes."""


@dataclass(frozen=True)
class Held:
    """The ids of what goes: answers, feedback by model, keys that carry the name, and rows of the history that say it."""

    predictions: tuple[str, ...] = ()
    feedback: dict[str, list[str]] = field(default_factory=dict)
    keys: tuple[str, ...] = ()
    history: tuple[int, ...] = ()

    @property
    def voices(self) -> set[str]:
        """The ids of all feedback that goes."""
        return {identity for ids in self.feedback.values() for identity in ids}


def of_person(store: Store, wanted: Wanted) -> Held:
    """What there is of a person; StoreError when inputs are encrypted and the key is not given."""
    with store.database.reading() as connection:
        held = _of_person(connection, store, wanted, Held(), "")
        history = tuple(
            row["seq"]
            for row in connection.execute(select(HISTORY).order_by(HISTORY.c.seq)).mappings()
            if wanted.in_record([row["who"], row["why"], unspell(row["evidence"])])
        )
    return replace(held, history=history)


def _of_person(connection: Connection, store: Store, wanted: Wanted, known: Held, since: str) -> Held:
    """What is `known` of a person, and what else came `since` then."""
    seal = Sealed(MasterKeys.given())
    users = {pseudonym(store, text) for text in wanted.texts}
    keys = {
        row["id"]
        for row in connection.execute(select(KEYS)).mappings()
        if wanted.in_value([row["name"], row["tenant"]]) or wanted.is_one(row["name"]) or wanted.is_one(row["tenant"])
    } | {*known.keys}
    gone = {*known.predictions}
    predictions = [
        row["id"]
        for row in connection.execute(select(PREDICTIONS).where(PREDICTIONS.c.at >= since)).mappings()
        if row["id"] not in gone and (row["user"] in users or row["principal"] in keys or _in_answer(wanted, seal, row))
    ]
    predictions = [*known.predictions, *predictions]
    predictions += _unseen(connection, predictions)
    gone.update(predictions)
    feedback = {name: [*ids] for name, ids in known.feedback.items()}
    lately = select(FEEDBACK).where(FEEDBACK.c.at >= since).order_by(FEEDBACK.c.id)
    for row in connection.execute(lately).mappings():
        mine = row["user"] in users or row["principal"] in keys or row["prediction_id"] in gone
        if row["id"] not in known.voices and (mine or _in_answer(wanted, seal, row) or _in_feedback(wanted, seal, row)):
            feedback.setdefault(row["name"], []).append(row["id"])
    return Held(tuple(predictions), feedback, tuple(sorted(keys)))


def again(connection: Connection, store: Store, known: Held, whom: Wanted | str | None, *, since: float) -> Held:
    """What is `known` of a person or a source, and what a service has written `since` that moment."""
    if isinstance(whom, Wanted):
        found = _of_person(connection, store, whom, known, iso(since - LATE_SECONDS))
    else:
        found = _of_source(connection, whom or "")
    return replace(found, history=known.history)


def _unseen(connection: Connection, predictions: Iterable[str]) -> list[str]:
    """What a challenger answered unseen to the same rows, which holds neither the row nor whose it was."""
    # Such an id begins as that of the answer that was given.
    known, beside = set(predictions), dict[str, list[str]]()
    for identity in known:
        beside.setdefault(identity[:BESIDE], []).append(identity)
    query = select(PREDICTIONS.c.id, PREDICTIONS.c.number).where(PREDICTIONS.c.role == SHADOW)
    return [
        row.id
        for row in connection.execute(query)
        if row.id not in known and any(shadow_id(one, row.number) == row.id for one in beside.get(row.id[:BESIDE], ()))
    ]


def of_source(store: Store, source: str) -> Held:
    """The feedback that came from a source, or with a key that is called so by its name or its id.

    `file:anna` is what anna brought in files.
    """
    with store.database.reading() as connection:
        return _of_source(connection, source)


def _of_source(connection: Connection, source: str) -> Held:
    named = select(KEYS.c.id).where(or_(KEYS.c.name == source, KEYS.c.id == source))
    principals = [source, principal_of(source), *connection.execute(named).scalars()]
    mine = or_(FEEDBACK.c.source == source, FEEDBACK.c.principal.in_(principals))
    feedback: dict[str, list[str]] = {}
    for row in connection.execute(select(FEEDBACK.c.name, FEEDBACK.c.id).where(mine).order_by(FEEDBACK.c.id)):
        feedback.setdefault(row.name, []).append(row.id)
    return Held(feedback=feedback)


def mark(source: str | None, secret: bytes) -> str:
    """What the history knows a source by, when even its name may be gone from there.

    >>> len(mark("file:anna", bytes(32))), mark("file:anna", bytes(32)) == mark("file:ben", bytes(32))
    (64, False)
    """
    return hmac.digest(secret, canonical_json(["source", source]), "sha256").hex()


def sources(store: Store) -> list[str]:
    """Every source that feedback came from."""
    with store.database.reading() as connection:
        found = set(connection.execute(select(FEEDBACK.c.source).distinct()).scalars())
        found |= set(connection.execute(select(KEYS.c.name).distinct()).scalars())
        brought = select(FEEDBACK.c.source, FEEDBACK.c.decided_by).where(FEEDBACK.c.source.in_(RESERVED)).distinct()
        found |= {f"{row.source}:{row.decided_by}" for row in connection.execute(brought)}
    return sorted(found)


def rounds(store: Store, voices: Collection[str]) -> dict[tuple[str, int], list[str]]:
    """The versions (name, number) that learned from these voices, with which of them each did."""
    found: dict[tuple[str, int], list[str]] = {}
    query = select(HISTORY).where(HISTORY.c.action == ROUND).order_by(HISTORY.c.seq)
    with store.database.reading() as connection:
        for row in connection.execute(query).mappings():
            joined = [identity for identity in unspell(row["evidence"]).get("joined", ()) if identity in voices]
            if joined and row["version"] is not None:
                found.setdefault((row["name"], row["version"]), []).extend(joined)
    return found


def remove(connection: Connection, held: Held, wanted: Wanted | None) -> None:
    """Delete it all, in a transaction that overwrites bytes."""
    _delete(connection, PREDICTIONS, held.predictions)
    _delete(connection, FEEDBACK, sorted(held.voices))
    for name in held.feedback:
        # Rules looked at what was there then: they decide anew on what is left, as if the rest had never come. What was
        # rejected hangs on nobody else's word, and the door alone knows which numbers are out of all reach.
        by_rule = (FEEDBACK.c.name == name, FEEDBACK.c.decided_by.in_((RULE, TRIAL)), FEEDBACK.c.status != REJECTED)
        anew = {"status": QUARANTINED, "reason": "", "decided_by": None, "decided_at": None}
        connection.execute(update(FEEDBACK).where(*by_rule).values(**anew))
    for identity in held.keys:
        mine = KEYS.c.id == identity
        connection.execute(update(KEYS).where(mine).values(name=f"{GONE[1:-1]}-{identity}", tenant=identity))
        connection.execute(update(KEYS).where(mine, KEYS.c.revoked.is_(None)).values(revoked=now()))
    if wanted is None:
        return
    for table in (RUNS, DATA_VERSIONS):
        rows = connection.execute(select(table)).mappings().all()
        _delete(connection, table, [row["id"] for row in rows if wanted.in_value(dict(row))])


def still_in(store: Store, wanted: Wanted) -> list[str]:
    """The tables that hold it, each with how many rows do."""
    found = []
    with store.database.reading() as connection:
        for table in METADATA.sorted_tables:
            count = sum(wanted.in_record(_read(row)) for row in connection.execute(select(table)).mappings())
            found += [f"table {table.name}: {count:,} rows"] if count else []
    return found


def _read(row: Mapping[Any, Any]) -> dict[str, Any]:
    """A row with its cells of JSON read, so that what was counted in them is told from what was said."""
    return {name: as_json(cell) for name, cell in row.items()}


def as_json(text: Any) -> Any:
    """What a text holds as JSON, or the text.

    >>> as_json('{"rows": 17}'), as_json("{broken"), as_json("17")
    ({'rows': 17}, '{broken', '17')
    """
    if not isinstance(text, str) or not text.startswith(("{", "[")):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _delete(connection: Connection, table: Table, ids: Iterable[str]) -> None:
    listed = list(ids)
    for start in range(0, len(listed), _PART):
        connection.execute(delete(table).where(table.c.id.in_(listed[start : start + _PART])))


def _in_answer(wanted: Wanted, seal: Sealed, row: Any) -> bool:
    identity = row["prediction_id"] if "prediction_id" in row else row["id"]
    given = seal.row(identity, row["input"])
    said = [row["tenant"], unspell(row["answer"]), row.get("request_id")]
    return wanted.in_value(said) or (given is not None and wanted.in_cells(given))


def _in_feedback(wanted: Wanted, seal: Sealed, row: Any) -> bool:
    value = unspell(seal.open(row["value"], f"value:{row['id']}"))
    comment = None if row["comment"] is None else seal.open(row["comment"], f"comment:{row['id']}")
    reason = seal.open(row["reason"], f"reason:{row['id']}")
    return wanted.in_value([value, comment, row["idempotency_key"], reason, row["decided_by"], row["source"]])
