"""Labels that a person brings in a file: for answers that were given, by their id, or for rows of their own.

A file with a column `prediction_id` labels answers of the journal; without one, each row holds the columns of a request
and the label. What the owner of the model brings has been decided on by a person, so it is accepted at once; `audit`
marks labels of rows that were drawn for it, given without a look at the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select

from lingqu.errors import DataError, Problem, RequestError
from lingqu.feedback.voice import ACCEPTED, LABEL
from lingqu.monitor.audit import DISPUTED, SOURCE
from lingqu.monitor.audit import asked as asked_for
from lingqu.privacy.encrypt import MasterKeys
from lingqu.registry.rollouts import Rollout, rollout
from lingqu.serve.journal import Sealed, spell, unspell
from lingqu.serve.shadow import shadow_id
from lingqu.store import Store
from lingqu.store.canonical import digest_of
from lingqu.store.history import append, now
from lingqu.store.tables import FEEDBACK, PREDICTIONS

FILE = "file"
MOST_TOLD = 5


@dataclass(frozen=True, slots=True)
class Added:
    """How many labels were taken, and how many were there before."""

    taken: int
    known: int


def add_labels(
    store: Store,
    name: str,
    rows: Iterable[Mapping[str, Any]],
    *,
    who: str,
    target: str,
    audit_share: float | None = None,
    disputed: bool = False,
) -> Added:
    """Take labels from rows, all or none; the same file twice is the same labels once.

    `target` is the column of the right answer. With `audit_share`, the rows are labels of the audit sample of that share;
    `disputed` are those of rows on which the champion and the challenger on its way differ.
    DataError for rows without a label, or of predictions that the journal does not hold.
    """
    listed = [dict(row) for row in rows]
    problems = [
        Problem(f"a label in '{target}'", "none", "Leave the row out, or say what is right.", f"row {place}")
        for place, row in enumerate(listed, 1)
        if row.get(target) in (None, "")
    ]
    if problems:
        raise DataError(problems[:MOST_TOLD])
    by_answer = bool(listed) and "prediction_id" in listed[0]
    source = DISPUTED if disputed else FILE if audit_share is None else SOURCE
    if source != FILE and not by_answer:
        raise RequestError(
            Problem(f"a column prediction_id for {source} labels", "none", "Start from: lingqu feedback queue")
        )
    standing = rollout(store, name) if disputed else None
    records = [
        _of_answer(store, name, row, who=who, target=target, source=source, check=(audit_share, standing))
        if by_answer
        else _of_row(name, row, who, target)
        for row in listed
    ]
    with store.database.writing() as connection:
        ids = [record["id"] for record in records]
        known = set(connection.execute(select(FEEDBACK.c.id).where(FEEDBACK.c.id.in_(ids))).scalars())
        new = {record["id"]: record for record in records if record["id"] not in known}
        if new:
            seal = Sealed(MasterKeys.given())
            for record in new.values():
                record["input"] = seal.input(record["prediction_id"], record["input"], masked=False)
                record["value"] = seal.close(record["value"], f"value:{record['id']}")
            connection.execute(insert(FEEDBACK), [*new.values()])
            evidence = {"accepted": len(new), "source": records[0]["source"]}
            append(connection, name=name, who=who, action="feedback", why="", evidence=evidence)
    return Added(len(new), len(listed) - len(new))


def _of_row(name: str, row: Mapping[str, Any], who: str, target: str) -> dict[str, Any]:
    """A row of the owner's own: its id follows from its content."""
    asked = {key: value for key, value in row.items() if key != target}
    identity = digest_of(spell([name, who, asked, row[target]]).encode("utf-8", "replace"))[:32]
    return _record(name, who, FILE, id=identity, prediction_id=identity, value=spell(row[target]), input=asked)


def _of_answer(
    store: Store,
    name: str,
    row: Mapping[str, Any],
    *,
    who: str,
    target: str,
    source: str,
    check: tuple[float | None, Rollout | None],
) -> dict[str, Any]:
    """A label for an answer of the journal; `check` is the share of the audit, and the challenger on its way."""
    identity = str(row["prediction_id"])
    share, standing = check
    unseen = "" if standing is None else shadow_id(identity, standing.version)
    query = select(PREDICTIONS).where(PREDICTIONS.c.id.in_((identity, unseen)), PREDICTIONS.c.name == name)
    with store.database.reading() as connection:
        kept = {held["id"]: held for held in connection.execute(query).mappings()}
    found = kept.get(identity)
    if found is None:
        advice = "Take ids from `lingqu feedback queue`; old answers leave the journal."
        raise DataError(Problem(f"the id of an answer of {name}", repr(identity[:40]), advice))
    if source == SOURCE and share is not None and not asked_for(identity, share, store.secret(SOURCE)):
        advice = "Only rows of `lingqu feedback queue --audit` may judge."
        raise DataError(Problem("an answer that was drawn for the audit", identity, advice))
    if source == DISPUTED and not (unseen in kept and _differ(found, kept[unseen])):
        advice = "Take rows from `lingqu feedback queue --disputed`."
        raise DataError(Problem("an answer that a challenger on its way would give otherwise", identity, advice))
    own = digest_of(spell([who, source, identity, row[target]]).encode("utf-8", "replace"))[:32]
    asked = Sealed(MasterKeys.given()).row(identity, found["input"])
    told = {"id": own, "prediction_id": identity, "value": spell(row[target]), "input": asked}
    return _record(name, who, source, **told, answer=found["answer"], number=found["number"])


def _differ(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> bool:
    return unspell(one["answer"]).get("prediction") != unspell(other["answer"]).get("prediction")


def _record(name: str, who: str, source: str, **told: Any) -> dict[str, Any]:
    moment = now()
    return {
        "name": name,
        "number": None,
        "answer": "{}",
        "principal": principal_of(f"{source}:{who}"),
        "tenant": "",
        "user": None,
        "source": source,
        "origin": "person",
        "kind": LABEL,
        "comment": None,
        "idempotency_key": None,
        "given": moment,
        "at": moment,
        "status": ACCEPTED,
        "reason": f"brought by {who}",
        "decided_by": who,
        "decided_at": moment,
        **told,
    }


def principal_of(brought_by: str) -> str:
    """The principal of who brings labels in files (`file:anna`): one vote a person and answer, as long as a key's id."""
    return digest_of(brought_by.encode())[:16]
