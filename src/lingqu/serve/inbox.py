"""The inbox: what users say of answers, kept before they are thanked for it.

Whatever comes is quarantined: nobody has judged it yet, and nothing is learned from it until somebody or something has
(`lingqu.feedback`). One key has one vote on a prediction, on predictions of its own tenant, and so many in a day.

>>> from lingqu.contract.answers import LabelScores
>>> from lingqu.serve.journal import Entry, Journal, new_id
>>> from lingqu.serve.keys import ANYONE
>>> from lingqu.spec.running import ServeSettings
>>> from lingqu.store import Store
>>> store, settings = Store.open(getfixture("tmp_path") / ".lingqu"), ServeSettings()
>>> answered = new_id()
>>> with Journal(store, settings.journal) as journal:
...     journal.record(Entry(answered, "r1", time.time(), "router", 3, "champion", ANYONE, None,
...                          {"text": "a parcel"}, LabelScores.of({"sales": 0.9, "support": 0.1}), 4.2))
>>> Inbox(store, settings).receive({"prediction_id": answered, "label": "support"}, ANYONE).status
'quarantined'
>>> vote, = received(store)
>>> vote.kind, vote.value, vote.input, vote.answer["prediction"]
('label', 'support', {'text': 'a parcel'}, 'sales')
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, insert, select
from sqlalchemy.engine import RowMapping

from lingqu.contract.answers import JOINT
from lingqu.errors import ConflictError, DataError, Problem, QuotaError, UnknownNameError, near
from lingqu.privacy.encrypt import MasterKeys
from lingqu.privacy.mask import mask
from lingqu.serve.journal import Sealed, iso, moment_of, new_id, plain_text, spell, unspell
from lingqu.serve.keys import Principal
from lingqu.store import Store, digest_of
from lingqu.store.tables import FEEDBACK, PREDICTIONS

if TYPE_CHECKING:
    from lingqu.spec.running import ServeSettings

KINDS = ("label", "reward", "rating")
ORIGINS = ("person", "model")
LONGEST_LABEL = 10_000
LONGEST_COMMENT = 2_000
DAY_SECONDS = 86_400
YOUNG_SECONDS = 30.0
"""An id that is younger may be one that the journal has not written yet."""

PATIENCE_SECONDS = 1.0
_OTHER_WORDS = {"truth": "label", "rationale": "comment"}
"""What Seldon and MLflow call the same."""

_KNOWN = ("prediction_id", *KINDS, "comment", "source", "origin")
_SOURCE = re.compile(r"[\w.\-]{1,64}")
RESERVED = ("audit", "disputed", "file")
"""Sources of labels that trusted people bring beside this door; the first two judge models, so nobody may name them here."""
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,128}")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the giver of feedback gets: its id, and that it waits to be judged."""

    feedback_id: str
    status: str


@dataclass(frozen=True, slots=True)
class Feedback:
    """What somebody said of an answer, with the answer and, where the policy keeps it, the input."""

    id: str
    prediction_id: str
    name: str
    number: int | None
    principal: str
    tenant: str
    user: str | None
    source: str
    origin: str
    kind: str
    value: Any
    comment: str | None
    input: dict[str, Any] | None
    answer: dict[str, Any]
    at: str
    status: str
    reason: str
    decided_by: str | None
    decided_at: str | None


@dataclass(frozen=True, slots=True)
class _Given:
    prediction_id: str
    kind: str
    value: Any
    comment: str | None
    source: str
    origin: str


class Inbox:
    """The door for feedback; used by the service, the page and the command line."""

    def __init__(self, store: Store, settings: ServeSettings, *, keys: MasterKeys | None = None) -> None:
        self.store = store
        self.settings = settings
        self.seal = Sealed(keys or MasterKeys.given())
        self._patient = threading.Semaphore(2)

    def receive(self, given: Mapping[str, Any], principal: Principal, idempotency_key: str | None = None) -> Receipt:
        """Keep feedback and give its receipt; it is on the disk when this returns. Waits for the database: not for an
        event loop.

        `given` holds a prediction_id and one of label, reward or rating, and may hold comment, source and origin.
        DataError for anything else (422), UnknownNameError for a prediction that this caller has not got (404),
        ConflictError for a second vote (409), QuotaError for too many in a day (429). The same idempotency key with
        the same content gives the same receipt again, however often it is sent.
        """
        asked = _read(given, idempotency_key)
        digest = digest_of(spell([asked.prediction_id, asked.kind, asked.value, asked.comment]).encode())
        prediction = self._prediction(asked.prediction_id, principal)
        row = self._row(asked, principal, prediction, idempotency_key, digest)
        with self.store.database.writing() as connection:
            if (earlier := _earlier(connection, principal, asked, idempotency_key, digest)) is not None:
                return earlier
            self._check_cap(connection, principal)
            connection.execute(insert(FEEDBACK).values(**row))
        return Receipt(row["id"], row["status"])

    def _prediction(self, identity: str, principal: Principal) -> RowMapping:
        """The answer that is spoken of; one that was given a moment ago may still be on its way to the database."""
        found = self._found(identity)
        moment = moment_of(identity)
        young = moment is not None and abs(time.time() - moment) < YOUNG_SECONDS
        # Few wait at once: who sends made-up ids shall not hold every thread of the service for a second each.
        if found is None and young and self._patient.acquire(blocking=False):
            try:
                deadline = time.monotonic() + PATIENCE_SECONDS
                while found is None and time.monotonic() < deadline:
                    time.sleep(0.05)
                    found = self._found(identity)
            finally:
                self._patient.release()
        # Who asks for another tenant's prediction is not told that there is one.
        if found is not None and (found["tenant"] == principal.tenant or "admin" in principal.scopes):
            return found
        advice = "Send the id that came with the answer; answers are kept for a time only."
        raise UnknownNameError(Problem("the id of a prediction", repr(plain_text(identity))[:60], advice))

    def _found(self, identity: str) -> RowMapping | None:
        with self.store.database.reading() as connection:
            return connection.execute(select(PREDICTIONS).where(PREDICTIONS.c.id == identity)).mappings().one_or_none()

    def _row(
        self, asked: _Given, principal: Principal, prediction: RowMapping, idempotency_key: str | None, digest: str
    ) -> dict[str, Any]:
        identity = new_id()
        answer = unspell(prediction["answer"])
        plain = self.settings.journal.inputs == "plain"
        value = _fitting(asked, answer)
        # A label of the model is no personal data, even one that looks like it ("billing@example.org").
        if isinstance(value, str) and not plain and value not in answer.get("scores", {}):
            value = mask(value)
        comment = asked.comment if plain or asked.comment is None else mask(asked.comment)
        return {
            "id": identity,
            "prediction_id": asked.prediction_id,
            "name": prediction["name"],
            "number": prediction["number"],
            "principal": principal.id,
            "tenant": prediction["tenant"],
            "user": prediction["user"],
            "source": asked.source,
            "origin": asked.origin,
            "kind": asked.kind,
            "value": self.seal.close(spell(value), f"value:{identity}"),
            "comment": None if comment is None else self.seal.close(plain_text(comment), f"comment:{identity}"),
            "input": prediction["input"],
            "answer": prediction["answer"],
            "idempotency_key": idempotency_key,
            "given": digest,
            "at": iso(time.time()),
            "status": "quarantined",
            "reason": "",
        }

    def _check_cap(self, connection: Connection, principal: Principal) -> None:
        most = self.settings.votes
        since = iso(time.time() - DAY_SECONDS)
        newest = select(FEEDBACK.c.at).where(FEEDBACK.c.principal == principal.id, FEEDBACK.c.at >= since)
        newest = newest.order_by(FEEDBACK.c.at.desc()).offset(max(0, most - 1)).limit(1)
        first = connection.execute(newest).scalar_one_or_none()
        if most == 0 or first is not None:
            # One place is free when the oldest of the votes that count is a day old.
            wait = DAY_SECONDS if first is None else max(1, math.ceil(_seconds_since(since, first)))
            expected = f"at most {most:,} feedbacks in 24 hours with the key '{principal.name}'"
            raise QuotaError(Problem(expected, "more", f"Come again in {wait:,} s."), retry_after=wait)


def received(
    store: Store, name: str | None = None, *, status: str | None = None, keys: MasterKeys | None = None
) -> list[Feedback]:
    """What was said of the answers of a model (or of all), from the first; decrypted with these keys or those of the
    environment.
    """
    seal = Sealed(keys or MasterKeys.given())
    query = select(FEEDBACK).order_by(FEEDBACK.c.at, FEEDBACK.c.id)
    query = query if name is None else query.where(FEEDBACK.c.name == name)
    query = query if status is None else query.where(FEEDBACK.c.status == status)
    with store.database.reading() as connection:
        return [_feedback(row, seal) for row in connection.execute(query).mappings()]


def _feedback(row: RowMapping, seal: Sealed) -> Feedback:
    fields = {name: row[name] for name in Feedback.__dataclass_fields__}
    identity = row["id"]
    return Feedback(
        **{
            **fields,
            "value": unspell(seal.open(row["value"], f"value:{identity}")),
            "comment": None if row["comment"] is None else seal.open(row["comment"], f"comment:{identity}"),
            "input": seal.row(row["prediction_id"], row["input"]),
            "answer": unspell(row["answer"]),
        }
    )


def _earlier(
    connection: Connection, principal: Principal, asked: _Given, idempotency_key: str | None, digest: str
) -> Receipt | None:
    """The receipt that this very request got before; ConflictError for another vote on the same prediction."""
    mine = FEEDBACK.c.principal == principal.id
    columns = select(FEEDBACK.c.id, FEEDBACK.c.status, FEEDBACK.c.given)
    if idempotency_key is not None:
        same_key = columns.where(and_(mine, FEEDBACK.c.idempotency_key == idempotency_key))
        if (found := connection.execute(same_key).one_or_none()) is not None:
            if found.given == digest:
                return Receipt(found.id, found.status)
            advice = "Make a new Idempotency-Key for each feedback."
            raise ConflictError(Problem("the feedback that this Idempotency-Key came with before", "another", advice))
    same_prediction = columns.where(and_(mine, FEEDBACK.c.prediction_id == asked.prediction_id))
    if connection.execute(same_prediction).one_or_none() is not None:
        advice = "To send one again safely, send the same Idempotency-Key with it."
        raise ConflictError(Problem("one vote of a key on a prediction", "a second one", advice))
    return None


def _read(given: Mapping[str, Any], idempotency_key: str | None) -> _Given:
    """What was given, in our words; DataError tells everything that is wrong with it."""
    named = {_OTHER_WORDS.get(name, name): value for name, value in given.items()}
    problems = [
        Problem("a field of feedback", repr(plain_text(str(name)))[:60], near(str(name), _KNOWN))
        for name in named
        if name not in _KNOWN
    ]
    if len(named) < len(given):
        problems.append(Problem("each field once", "two names of the same field"))
    identity = named.get("prediction_id")
    if not isinstance(identity, str) or not 0 < len(identity) <= 200:
        problems.append(Problem("the id that came with the answer in prediction_id", _shown(identity)))
    kinds = [kind for kind in KINDS if named.get(kind) is not None]
    if len(kinds) != 1:
        found = " and ".join(kinds) or "none of them"
        problems.append(Problem("one of label, reward and rating", found))
    for kind in kinds:
        problems += _wrong(kind, named[kind])
    comment, source, origin = (named.get(name) for name in ("comment", "source", "origin"))
    if comment is not None and not (isinstance(comment, str) and len(comment) <= LONGEST_COMMENT):
        problems.append(Problem(f"a comment of at most {LONGEST_COMMENT:,} characters", _shown(comment)))
    if source is not None and not (isinstance(source, str) and _SOURCE.fullmatch(source)):
        problems.append(Problem("a source of at most 64 letters, digits and . - _", _shown(source)))
    elif isinstance(source, str) and source.casefold() in RESERVED:
        problems.append(
            Problem("a source of your own", _shown(source), "Labels of an audit come by `lingqu feedback`.")
        )
    if origin is not None and origin not in ORIGINS:
        problems.append(Problem("person or model as the origin", _shown(origin)))
    if idempotency_key is not None and _IDEMPOTENCY_KEY.fullmatch(idempotency_key) is None:
        problems.append(Problem("an Idempotency-Key of 1 to 128 visible ASCII characters", "something else"))
    if problems:
        raise DataError(problems)
    kind = kinds[0]
    return _Given(str(identity), kind, named[kind], comment or None, source or "api", origin or "person")


def _wrong(kind: str, value: Any) -> list[Problem]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= 1e15
    match kind:
        case "reward" if not is_number:
            return [Problem("a number as the reward", _shown(value))]
        case "rating" if not (is_number and value in (1, 2, 3, 4, 5)):
            return [Problem("a whole number from 1 to 5 as the rating", _shown(value))]
        case "label":
            parts = value if isinstance(value, list) and len(value) <= 1000 else [value]
            is_text = all(isinstance(part, str) and part for part in parts)
            long = sum(len(part) for part in parts if isinstance(part, str)) > LONGEST_LABEL
            if long or not (is_text or is_number):
                expected = f"the right answer as the label: a text of at most {LONGEST_LABEL:,} characters, or a number"
                return [Problem(expected, _shown(value))]
    return []


def _fitting(asked: _Given, answer: Mapping[str, Any]) -> Any:
    """The value as rows of the model hold it; DataError for a label of another kind than the answer."""
    value = asked.value
    if asked.kind != "label":
        return value
    if answer.get("kind") == "number-value":
        try:
            # Forms and command lines have texts only.
            number = value if isinstance(value, int | float) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise DataError(Problem("a number as the label, since the answer is one", _shown(value)))
        return number
    if isinstance(value, list):
        return JOINT.join(sorted(plain_text(part) for part in value))
    return plain_text(value) if isinstance(value, str) else str(value)


def _shown(value: Any) -> str:
    """A value as an error may repeat it: short, and of a text only how long it is."""
    if isinstance(value, str):
        return f"a text of {len(value):,} characters"
    if isinstance(value, Mapping | list):
        return "a list or a mapping"
    return "nothing" if value is None else str(value)[:40]


def _seconds_since(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
