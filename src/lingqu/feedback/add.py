"""Labels that a person brings in a file: for answers that were given, by their id, or for rows of their own.

A file with a column `prediction_id` labels answers of the journal; without one, each row holds the columns of a request
and the label. What the owner of the model brings has been decided on by a person, so it is accepted at once; `audit`
marks labels of rows that were drawn for it, given without a look at the answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from lingqu.data.values import CellFault
from lingqu.errors import DataError, Problem, RequestError, UnknownNameError
from lingqu.feedback.exported import Returned, returned
from lingqu.feedback.labels import MOST_TOLD, Wanted, label_for, right_answer, strange_of, wanted
from lingqu.feedback.pictures import with_pictures
from lingqu.feedback.queue import compared_rows, plain, whole
from lingqu.feedback.round import ROUND
from lingqu.feedback.voice import ACCEPTED, LABEL, contested, voices
from lingqu.monitor.audit import DISPUTED, SOURCE
from lingqu.monitor.audit import asked as asked_for
from lingqu.monitor.observed import first_id
from lingqu.privacy.encrypt import MasterKeys
from lingqu.privacy.mask import mask
from lingqu.registry.rollouts import Rollout, rollout
from lingqu.serve.journal import Sealed, plain_text, spell, unspell
from lingqu.serve.sealed import SEALED
from lingqu.serve.shadow import BESIDE, SHADOW, shadow_id
from lingqu.store import Store
from lingqu.store.canonical import digest_of
from lingqu.store.history import append, now
from lingqu.store.tables import FEEDBACK, HISTORY, PREDICTIONS

FILE = "file"
AT_ONCE = 10_000
"""Databases take only so many values in one question: SQLite 32,766 by default, PostgreSQL 65,535."""


@dataclass(frozen=True, slots=True)
class Added:
    """How many labels were taken, and how many were there before, by the same person and with the same answer."""

    taken: int
    known: int
    corrected: int = 0
    """How many of those taken stand in the place of another label that the same person had given."""
    equal: int = 0
    """How many were not taken because another label of an equal row compares champion and challenger already."""
    contested: int = 0
    """To how many of the answers somebody else gave another label of the audit, so that they judge nothing yet."""
    unknown_labels: tuple[str, ...] = ()
    """Those that no row of the model has had: new ones, or those of another model's file."""
    unaccepted: int = 0
    """How many were not taken because they were exported where they are not accepted."""
    unfilled: int = 0
    """How many rows of the queue nobody has filled in yet."""


def add_labels(
    store: Store,
    name: str,
    rows: Iterable[Mapping[str, Any]],
    *,
    who: str,
    target: str,
    audit_share: float | None = None,
    disputed: bool = False,
    comment: str | None = None,
    root: Path | None = None,
) -> Added:
    """Take labels from rows, all or none; the same file twice is the same labels once, and whoever errs may bring another.

    Of an export only what this store does not know is taken, as far as it was accepted where it comes from.
    `target` is the column of the right answer; of rows of the queue those where it is empty wait, as long as any is filled
    in. With `audit_share`, the rows are labels of the audit sample of that share; `disputed` are those of rows on which the
    champion and the challenger on its way differ. While one is on its way, or was rolled back and is watched, both take of
    equal rows one. `comment` is what there is to say besides. Pictures that rows of their own name are looked for below `root`.
    DataError for rows without a label that the model can have or without their picture, or of predictions that the journal
    does not hold; StoreError where feedback is encrypted and the key is not given.
    """
    listed = [dict(row) for row in rows]
    by_answer = bool(listed) and "prediction_id" in listed[0]
    source = DISPUTED if disputed else FILE if audit_share is None else SOURCE
    if source != FILE and not by_answer:
        raise RequestError(
            Problem(f"a column prediction_id for {source} labels", "none", "Start from: lingqu feedback queue")
        )
    _opens(store, name)
    standing, asked = None if source == FILE else rollout(store, name), wanted(store, name)
    rows_before = () if by_answer else _rows_before(store, principal_of(f"{source}:{who}"))
    bringer = _Bringer(store, name, who, target, source, audit_share, standing, asked, comment, rows_before)
    back = Returned(listed) if by_answer else returned(store, name, listed, target, asked)
    taken = _filled(back.taken(), target) if by_answer else with_pictures(back.taken(), asked, root)
    records = bringer.records(taken, bringer.of_answer if by_answer else bringer.of_row)
    once, unknown = bringer.once(records), strange_of(asked, [unspell(one["value"]) for one in records])
    new, corrected = bringer.keep(once)
    equal, elsewhere = len(records) - len(once), len(back.unaccepted)
    unfilled = len(listed) - len(taken) if by_answer else 0
    known = len(listed) - new - equal - elsewhere - unfilled
    return Added(new, known, corrected, equal, bringer.contested(records), unknown, elsewhere, unfilled)


def _filled(rows: Mapping[int, dict[str, Any]], target: str) -> Mapping[int, dict[str, Any]]:
    """Those with a cell that somebody has filled in; all where none is, for then it is the wrong column or file."""
    return {place: row for place, row in rows.items() if row.get(target) not in (None, "")} or rows


def model_that_answered(store: Store, identity: str) -> str:
    """The name of the model that gave an answer; UnknownNameError where the journal holds none of that id."""
    query = select(PREDICTIONS.c.name).where(PREDICTIONS.c.id == identity, PREDICTIONS.c.role != SHADOW)
    with store.database.reading() as connection:
        found = connection.execute(query).scalar_one_or_none()
    if found is None:
        advice = "Send the id that came with the answer; answers are kept for a time only."
        raise UnknownNameError(Problem("the id of a prediction", repr(plain_text(identity))[:60], advice))
    return found


@dataclass(frozen=True, slots=True)
class _Earlier:
    """A label that the same person gave before."""

    id: str
    at: str
    value: Any


@dataclass(frozen=True, slots=True)
class _Bringer:
    """Somebody who brings labels of one source for a model: each row as a record of the feedback table."""

    store: Store
    name: str
    who: str
    target: str
    source: str
    share: float | None
    """Of the audit."""
    standing: Rollout | None
    wanted: Wanted
    comment: str | None
    rows: Collection[str]
    """The ids of rows of their own that are known."""

    def records(
        self, rows: Mapping[int, Mapping[str, Any]], record: Callable[[Mapping[str, Any]], dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """A record of each numbered row; DataError that tells the first without a label, or with a second one of an answer."""
        made: list[dict[str, Any]] = []
        first: dict[str, tuple[int, str]] = {}
        problems: list[Problem] = []
        expected = f"a {'number' if self.wanted.kind == 'number' else 'label'} in '{self.target}'"
        for place, row in rows.items():
            try:
                if row.get(self.target) in (None, ""):
                    raise CellFault("none")
                made.append(one := record(row))
                before, told = first.setdefault(one["prediction_id"], (place, one["value"]))
                if told != one["value"]:
                    found = f"{unspell(told)!r} in row {before} and {unspell(one['value'])!r}"
                    advice = "Keep the one that is right."
                    problems.append(Problem("one label of an answer", found, advice, f"row {place}"))
            except CellFault as fault:
                advice = "Leave the row out, or say what is right."
                problems.append(Problem(expected, str(fault), advice, f"row {place}"))
        if problems:
            raise DataError(problems[:MOST_TOLD])
        return made

    def of_row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row of the owner's own: its id follows from its content."""
        asked = {key: value for key, value in row.items() if key != self.target}
        told = row[self.target]
        label = right_answer(self.wanted.kind, told, self.wanted.known)
        ids = _ids([self.name, self.who, asked, told])
        identity = next((one for one in ids if one in self.rows), ids[0])
        return self._record(id=identity, prediction_id=identity, value=spell(label), input=asked)

    def of_answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A label for an answer of the journal that may have one of this source."""
        identity, told = str(row.get("prediction_id", "")), row[self.target]
        found = self._answer(identity)
        own = _ids([self.who, self.source, identity, told])[0]
        asked = Sealed(MasterKeys.given()).row(identity, found["input"])
        label = label_for(unspell(found["answer"]), told, self.wanted)
        about = {"id": own, "prediction_id": identity, "value": spell(label), "input": asked}
        return self._record(**about, answer=found["answer"], number=found["number"])

    def _answer(self, identity: str) -> Mapping[Any, Any]:
        """The answer as the journal holds it; DataError where it holds none, or one that this source may not label."""
        query = select(PREDICTIONS).where(PREDICTIONS.c.id == identity, PREDICTIONS.c.name == self.name)
        with self.store.database.reading() as connection:
            found = connection.execute(query.where(PREDICTIONS.c.role != SHADOW)).mappings().one_or_none()
            beside = _beside(connection, self.name, identity, self.standing) if self.source == DISPUTED else []
        if found is None:
            advice = "Take ids from `lingqu feedback queue`; old answers leave the journal."
            raise DataError(Problem(f"the id of an answer of {self.name}", repr(identity[:40]), advice))
        drawn = self.share is None or asked_for(identity, self.share, self.store.secret(SOURCE))
        if self.source == SOURCE and not drawn:
            advice = "Only rows of `lingqu feedback queue --audit` may judge."
            raise DataError(Problem("an answer that was drawn for the audit", identity, advice))
        if self.source == DISPUTED and not any(_differ(found, one) for one in beside):
            advice = "Take rows from `lingqu feedback queue --disputed`."
            raise DataError(Problem("an answer that a challenger on its way would give otherwise", identity, advice))
        return found

    def keep(self, records: Sequence[dict[str, Any]]) -> tuple[int, int]:
        """Keep those that are not kept yet, all or none: how many, and how many of them in the place of an older label."""
        seal = Sealed(MasterKeys.given())
        with self.store.database.writing() as connection:
            before = self._before(connection, [record["prediction_id"] for record in records], seal)
            new = {one["prediction_id"]: one for one in records if not self._same(one, before)}
            if not new:
                return 0, 0
            old = {identity: before[identity].id for identity in new if identity in before}
            used = _used(connection, self.name) if old else set()
            for identity, record in new.items():
                # By its id a row that has trained or judged is known, so that it never judges anew; what looks at labels
                # one by one knows by another id that this is another label.
                record["id"] = old[identity] if old.get(identity) in used else record["id"]
                # Of several people who labelled an answer the first one's label judges, also after it was corrected.
                record["at"] = before[identity].at if identity in before else record["at"]
                record["input"] = seal.input(identity, record["input"], masked=False)
                record["value"] = seal.close(record["value"], f"value:{record['id']}")
                if self.comment is not None:
                    record["comment"] = seal.close(plain_text(mask(self.comment)), f"comment:{record['id']}")
            for some in _batches([*old.values()]):
                connection.execute(delete(FEEDBACK).where(FEEDBACK.c.id.in_(some)))
            connection.execute(insert(FEEDBACK), [*new.values()])
            evidence = {"accepted": len(new), "source": self.source, **({"corrected": len(old)} if old else {})}
            append(connection, name=self.name, who=self.who, action="feedback", why="", evidence=evidence)
        return len(new), len(old)

    def once(self, records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Those of rows that no other label of this rollout is about: each row tells once who is right.

        A label of the audit gives way to those of the audit alone: a sample without the rows on which two models differ
        would make the champion look better than it is.
        """
        if self.standing is None:
            return [*records]
        labels = voices(self.store, self.name, kind=LABEL)
        judging = (SOURCE,) if self.source == SOURCE else (SOURCE, DISPUTED)
        known = compared_rows([voice for voice in labels if voice.source in judging], self.standing)
        found: list[dict[str, Any]] = []
        for record in records:
            asked, identity = record["input"], record["prediction_id"]
            counts = whole(asked) and identity[:12] > first_id(self.standing.began)
            if not counts or known.setdefault(plain(asked), identity) == identity:
                found.append(record)
        return found

    def contested(self, records: Sequence[Mapping[str, Any]]) -> int:
        """To how many of these answers others have given another label of the audit."""
        asked = {one["prediction_id"] for one in records} if self.source == SOURCE else set()
        return (
            len(contested([voice for voice in voices(self.store, self.name) if voice.prediction_id in asked]))
            if asked
            else 0
        )

    def _before(self, connection: Connection, ids: Sequence[str], seal: Sealed) -> dict[str, _Earlier]:
        """The labels of these answers that the same person gave before."""
        mine = FEEDBACK.c.principal == principal_of(f"{self.source}:{self.who}")
        found: dict[str, _Earlier] = {}
        for some in _batches(ids):
            query = select(FEEDBACK.c.id, FEEDBACK.c.prediction_id, FEEDBACK.c.value, FEEDBACK.c.at)
            for row in connection.execute(query.where(mine, FEEDBACK.c.prediction_id.in_(some))):
                told = unspell(seal.open(row.value, f"value:{row.id}"))
                found[row.prediction_id] = _Earlier(row.id, row.at, told)
        return found

    def _same(self, record: Mapping[str, Any], before: Mapping[str, _Earlier]) -> bool:
        """Whether the same person has given this label before, however it was spelled."""
        if record["prediction_id"] not in before:
            return False
        try:
            told = label_for(unspell(record["answer"]), before[record["prediction_id"]].value, self.wanted)
        except CellFault:
            return False
        return told == unspell(record["value"])

    def _record(self, **told: Any) -> dict[str, Any]:
        moment = now()
        return {
            "name": self.name,
            "number": None,
            "answer": "{}",
            "principal": principal_of(f"{self.source}:{self.who}"),
            "tenant": "",
            "user": None,
            "source": self.source,
            "origin": "person",
            "kind": LABEL,
            "comment": None,
            "idempotency_key": None,
            "given": "",
            "at": moment,
            "status": ACCEPTED,
            "reason": f"brought by {self.who}",
            "decided_by": self.who,
            "decided_at": moment,
            **told,
        }


def _ids(said: list[Any]) -> list[str]:
    """The ids that follow from what is said: the one to take, and those that older keys and stores have taken.

    With a key nobody without it finds by trying what was said.
    """
    text, keys = spell(said).encode("utf-8", "replace"), MasterKeys.given()
    return [mark[:32] for mark in (*(keys.marks(text) if keys else ()), digest_of(text))]


def _opens(store: Store, name: str) -> None:
    """StoreError where what was said of a model is encrypted and does not open.

    Without the key the ids would be others: what is there already would be taken again, and be kept in plain.
    """
    kept = FEEDBACK.c.value
    query = select(FEEDBACK.c.id, kept).where(FEEDBACK.c.name == name, kept.startswith(SEALED)).limit(1)
    with store.database.reading() as connection:
        for row in connection.execute(query):
            Sealed(MasterKeys.given()).open(row.value, f"value:{row.id}")


def _rows_before(store: Store, principal: str) -> Collection[str]:
    query = select(FEEDBACK.c.id).where(FEEDBACK.c.principal == principal, FEEDBACK.c.id == FEEDBACK.c.prediction_id)
    with store.database.reading() as connection:
        return frozenset(connection.execute(query).scalars())


def _batches(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE))


def _used(connection: Connection, name: str) -> set[str]:
    """The ids of labels that a round has learned from, or whose gate is worn out."""
    query = select(HISTORY.c.evidence).where(HISTORY.c.name == name, HISTORY.c.action == ROUND)
    rounds = [json.loads(evidence) for evidence in connection.execute(query).scalars()]
    return {id for one in rounds for part in ("joined", "retired") for id in one.get(part, ())}


def _beside(connection: Connection, name: str, identity: str, standing: Rollout | None) -> list[Mapping[Any, Any]]:
    """What challengers answered unseen to the same row: the one on its way, or whoever was before it began.

    While people label, a challenger may come through or make room for another one; its labels are no less right.
    """
    column = PREDICTIONS.c
    near = column.id.between(identity[:BESIDE], f"{identity[:BESIDE]}g")
    rows = connection.execute(select(PREDICTIONS).where(near, column.name == name, column.role == SHADOW)).mappings()
    judges = None if standing is None or identity[:12] <= first_id(standing.began) else standing.version
    return [row for row in rows if row["id"] == shadow_id(identity, row["number"]) and judges in (None, row["number"])]


def _differ(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> bool:
    return unspell(one["answer"]).get("prediction") != unspell(other["answer"]).get("prediction")


def principal_of(brought_by: str) -> str:
    """The principal of who brings labels in files (`file:anna`): one vote a person and answer, as long as a key's id."""
    return digest_of(brought_by.encode())[:16]
