"""The inbox: what users say of answers, kept before they are thanked for it.

Whatever comes is quarantined: nobody has judged it yet, and nothing is learned from it until somebody or something has
(`lingqu.feedback`); only the label of a model, and a number out of all reach, are rejected at once. One key has one vote
on a prediction, on predictions of its own tenant, and so many in a day.

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

import asyncio
import math
import re
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, insert, select
from sqlalchemy.engine import RowMapping

from lingqu.contract.answers import JOINT
from lingqu.data.values import CellFault, to_known_labels, to_label
from lingqu.errors import ConflictError, DataError, Problem, QuotaError, ServiceError, UnknownNameError, near
from lingqu.privacy.encrypt import MasterKeys
from lingqu.privacy.mask import mask
from lingqu.serve.formatter import MOST_SCORES
from lingqu.serve.journal import Sealed, iso, moment_of, new_id, plain_text, spell, unspell
from lingqu.serve.keys import Principal
from lingqu.serve.labels import labels_of
from lingqu.serve.remembered import Remembered
from lingqu.serve.shadow import SHADOW
from lingqu.serve.targets import target_of
from lingqu.store import Store, digest_of
from lingqu.store.tables import FEEDBACK, PREDICTIONS

if TYPE_CHECKING:
    from lingqu.spec.running import ServeSettings

KINDS = ("label", "reward", "rating")
ORIGINS = ("person", "model")
LONGEST_ID = 200
LONGEST_LABEL = 10_000
MOST_LABELS, LONGEST_NAME = 200, 500
"""Of a list of labels, and of each of them."""
LONGEST_COMMENT = 2_000
FARTHEST = 1e15
"""Strangers send these, and they are squared and summed: nothing here becomes infinite in single precision."""
DAY_SECONDS = 86_400
YOUNG_SECONDS = 30.0
"""An id that is younger may be one that the journal has not written yet."""

PAUSES = (0.05, 0.1, 0.15, 0.25, 0.45)
"""The seconds after each of which such an id is looked for again: the journal writes five times a second."""

_OTHER_WORDS = {"truth": "label", "rationale": "comment"}
"""What Seldon and MLflow call the same."""

_KNOWN = ("prediction_id", *KINDS, "comment", "source", "origin")
SOURCE = r"([A-Za-z0-9._\u00c0-\u017e\u0180-\u024f\u0370-\u052f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3]|-){1,64}"
"""Letters of Latin, Greek, Cyrillic, Japanese, Chinese and Korean, listed, since what a word is differs from dialect to dialect;
without the long s, in which a reserved name could be written."""
NUMERIC = (
    "([+]|-)?("
    "([0-9]{1,15}([.][0-9]{0,30})?|[.][0-9]{1,30})([eE]-[0-9]{1,3})?"
    "|[0-9]([.][0-9]{0,30})?[eE][+]?0{0,2}([0-9]|1[0-4]))"
)
"""A number where only a text can be given, as on a command line, also as programs spell small and large ones (1e-05, 1.5E+07);
never as large as `FARTHEST`, so a power above one stands behind a single digit only."""
RESERVED = ("audit", "disputed", "file")
"""Sources of labels that trusted people bring beside this door; the first two judge models, so nobody may name them here."""
OF_A_MODEL = "a model's own answer is no evidence"
"""Why a label is rejected at the door that says of itself that a model gave it."""
_MARKS = "feedback"
"""The secret of the store under which requests are known again."""
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,128}")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the giver of feedback gets: its id, and that it waits to be judged."""

    feedback_id: str
    status: str
    reason: str = ""
    """Why it was rejected at the door."""


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
        self._labels = Remembered(partial(labels_of, store), unknown=frozenset[str]())
        self._targets = Remembered(partial(target_of, store), unknown=None)

    async def hear(self, given: Mapping[str, Any], principal: Principal, idempotency_key: str | None = None) -> Receipt:
        """As `receive`, in an event loop: no thread waits for an answer that is on its way to the database."""
        for pause in PAUSES:
            with suppress(ServiceError):
                return await asyncio.to_thread(self._take, given, principal, idempotency_key)
            await asyncio.sleep(pause)
        return await asyncio.to_thread(self._take, given, principal, idempotency_key)

    def receive(self, given: Mapping[str, Any], principal: Principal, idempotency_key: str | None = None) -> Receipt:
        """Keep feedback and give its receipt; it is on the disk when this returns. Waits for the database: not for an
        event loop.

        `given` holds a prediction_id and one of label, reward or rating, and may hold comment, source and origin.
        DataError for anything else (422), UnknownNameError for a prediction that this caller has not got (404),
        ConflictError for a second vote (409), QuotaError for too many in a day (429), ServiceError where an answer of
        this moment is not in the journal after a second (503). The same idempotency key with the same content gives the
        same receipt again, however often it is sent.
        """
        for pause in PAUSES:
            with suppress(ServiceError):
                return self._take(given, principal, idempotency_key)
            time.sleep(pause)
        return self._take(given, principal, idempotency_key)

    def _take(self, given: Mapping[str, Any], principal: Principal, idempotency_key: str | None) -> Receipt:
        asked = _read(given, idempotency_key)
        marks = self._marks(asked)
        prediction = self._prediction(asked.prediction_id, principal)
        row = self._row(asked, principal, prediction, idempotency_key, marks[0])
        with self.store.database.writing() as connection:
            if (earlier := _earlier(connection, principal, asked, idempotency_key, marks)) is not None:
                return self._receipt(earlier)
            self._check_cap(connection, principal)
            connection.execute(insert(FEEDBACK).values(**row))
        return self._receipt(row)

    def _marks(self, asked: _Given) -> tuple[str, ...]:
        """What this request is known by when it comes again: as it is kept now, and as older keys and stores have kept it.

        What was said is one of a few labels, and a comment that was masked holds one of so many phone numbers: whoever
        reads a plain digest finds them by trying.
        """
        said = spell([asked.prediction_id, asked.kind, asked.value, asked.comment]).encode()
        return (*self._known_by.marks(said), digest_of(said))

    @cached_property
    def _known_by(self) -> MasterKeys:
        keys = self.seal.keys.keys if self.seal.keys else ()
        return MasterKeys((*keys, self.store.secret(_MARKS)))

    def _receipt(self, row: Mapping[str, Any] | RowMapping) -> Receipt:
        return Receipt(row["id"], row["status"], self.seal.open(row["reason"], f"reason:{row['id']}"))

    def _prediction(self, identity: str, principal: Principal) -> RowMapping:
        """The answer that is spoken of; ServiceError for one that was given a moment ago and is not written yet."""
        found = self._found(identity)
        own = found is not None and (found["tenant"] == principal.tenant or "admin" in principal.scopes)
        # What a challenger answered unseen is nobody's answer: its id follows from that of the one beside it.
        if found is not None and own and found["role"] != SHADOW:
            return found
        # Who asks for another tenant's prediction is not told that there is one, not even by how long that takes.
        moment = moment_of(identity)
        if not own and moment is not None and abs(time.time() - moment) < YOUNG_SECONDS:
            raise ServiceError(Problem("the answer in the journal", "it not there yet", "Come again in 1 s."))
        advice = "Send the id that came with the answer; answers are kept for a time only."
        raise UnknownNameError(Problem("the id of a prediction", repr(plain_text(identity))[:60], advice))

    def _found(self, identity: str) -> RowMapping | None:
        with self.store.database.reading() as connection:
            return connection.execute(select(PREDICTIONS).where(PREDICTIONS.c.id == identity)).mappings().one_or_none()

    def _row(
        self, asked: _Given, principal: Principal, prediction: RowMapping, idempotency_key: str | None, mark: str
    ) -> dict[str, Any]:
        identity = new_id()
        answer = unspell(prediction["answer"])
        plain = self.settings.journal.inputs == "plain"
        known = self._known(asked, prediction, answer)
        value = _fitting(asked, answer, known)
        if isinstance(value, str) and not plain:
            value = _masked(value, answer, known)
        comment = asked.comment if plain or asked.comment is None else mask(asked.comment)
        reason = self._refused(asked, prediction, value)
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
            "given": mark,
            "at": iso(time.time()),
            "status": "rejected" if reason else "quarantined",
            # It may repeat what was said.
            "reason": reason and self.seal.close(reason, f"reason:{identity}"),
            # As a rule of `lingqu.feedback` would have it.
            "decided_by": "rule" if reason else None,
            "decided_at": iso(time.time()) if reason else None,
        }

    def _known(self, asked: _Given, prediction: RowMapping, answer: Mapping[str, Any]) -> Collection[str]:
        """The labels that the answer might have been: of more than a few, the journal keeps the likeliest alone."""
        scores = answer.get("scores", {})
        if asked.kind != "label" or len(scores) < MOST_SCORES:
            return scores
        return self._labels.of(prediction["name"], prediction["number"]).union(scores)

    def _refused(self, asked: _Given, prediction: RowMapping, value: Any) -> str:
        """Why nobody need look at a label; an empty text where somebody has to."""
        if asked.kind != "label":
            return ""
        if asked.origin == "model":
            return OF_A_MODEL
        target = self._targets.of(prediction["name"], prediction["number"]) if isinstance(value, float) else None
        return target.beyond(value) if target else ""

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
            "reason": seal.open(row["reason"], f"reason:{identity}"),
        }
    )


def _earlier(
    connection: Connection, principal: Principal, asked: _Given, idempotency_key: str | None, marks: Collection[str]
) -> RowMapping | None:
    """What this very request has left here before; ConflictError for another vote on the same prediction."""
    mine = FEEDBACK.c.principal == principal.id
    columns = select(FEEDBACK.c.id, FEEDBACK.c.status, FEEDBACK.c.reason, FEEDBACK.c.given)
    if idempotency_key is not None:
        same_key = columns.where(and_(mine, FEEDBACK.c.idempotency_key == idempotency_key))
        if (found := connection.execute(same_key).mappings().one_or_none()) is not None:
            if found["given"] in marks:
                return found
            advice = "Make a new Idempotency-Key for each feedback."
            raise ConflictError(Problem("the feedback that this Idempotency-Key came with before", "another", advice))
    same_prediction = columns.where(and_(mine, FEEDBACK.c.prediction_id == asked.prediction_id))
    if connection.execute(same_prediction).one_or_none() is not None:
        advice = "To send one again safely, send the same Idempotency-Key with it."
        raise ConflictError(Problem("one vote of a key on a prediction", "a second one", advice))
    return None


def _read(given: Mapping[str, Any], idempotency_key: str | None) -> _Given:
    """What was given, in our words; DataError tells everything that is wrong with it."""
    # Many a client sends every field that it knows.
    said = {name: value for name, value in given.items() if value is not None}
    named = {_OTHER_WORDS.get(name, name): value for name, value in said.items()}
    problems = [
        Problem("a field of feedback", repr(plain_text(str(name)))[:60], near(str(name), _KNOWN))
        for name in given
        if name not in _KNOWN and name not in _OTHER_WORDS
    ]
    if len(named) < len(said):
        problems.append(Problem("each field once", "two names of the same field", "Keep one of the two."))
    identity = named.get("prediction_id")
    if not isinstance(identity, str) or not 0 < len(identity) <= LONGEST_ID:
        advice = "Each prediction has its id, and so has the header X-Prediction-Id."
        problems.append(Problem("the id that came with the answer in prediction_id", _shown(identity), advice))
    kinds = [kind for kind in KINDS if kind in named]
    if len(kinds) != 1:
        found = " and ".join(kinds) or "none of them"
        advice = "Send the right answer as the label, or how good the answer was as one of the others."
        problems.append(Problem("one of label, reward and rating", found, advice))
    for kind in kinds:
        problems += _wrong(kind, named[kind])
    comment, source, origin = (named.get(name) for name in ("comment", "source", "origin"))
    if comment is not None and not (isinstance(comment, str) and len(comment) <= LONGEST_COMMENT):
        expected = f"a comment of at most {LONGEST_COMMENT:,} characters"
        problems.append(Problem(expected, _shown(comment), "Send a shorter text, or none."))
    if source is not None and not (isinstance(source, str) and re.fullmatch(SOURCE, source)):
        expected = "a source of at most 64 letters, digits and . - _"
        problems.append(Problem(expected, _shown(source), "Choose another name, such as my-app."))
    elif isinstance(source, str) and source.casefold() in RESERVED:
        problems.append(
            Problem("a source of your own", _shown(source), "Labels of an audit come by `lingqu feedback`.")
        )
    if origin is not None and origin not in ORIGINS:
        problems.append(Problem("person or model as the origin", _shown(origin), "Say which of the two has judged."))
    if idempotency_key is not None and _IDEMPOTENCY_KEY.fullmatch(idempotency_key) is None:
        expected = "an Idempotency-Key of 1 to 128 visible ASCII characters"
        problems.append(Problem(expected, "something else", "A UUID is one."))
    if problems:
        raise DataError(problems)
    kind = kinds[0]
    return _Given(str(identity), kind, named[kind], comment or None, source or "api", origin or "person")


def _wrong(kind: str, value: Any) -> list[Problem]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= FARTHEST
    match kind:
        case "reward" if not is_number:
            return [Problem("a number as the reward", _shown(value), "Send one such as 0.5, without quotes.")]
        case "rating" if not (is_number and value in (1, 2, 3, 4, 5)):
            return [Problem("a whole number from 1 to 5 as the rating", _shown(value), "5 is the best.")]
        case "label" if not (is_number or _is_name(value, LONGEST_LABEL) or _are_names(value)):
            expected = f"the right answer as the label: a text of at most {LONGEST_LABEL:,} characters, or a number"
            if isinstance(value, list):
                expected = f"the right labels: at most {MOST_LABELS} texts of at most {LONGEST_NAME} characters"
            return [Problem(expected, _shown(value), "Send it as the model would have answered it.")]
    return []


def _is_name(value: Any, longest: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= longest


def _are_names(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MOST_LABELS and all(_is_name(part, LONGEST_NAME) for part in value)


def _fitting(asked: _Given, answer: Mapping[str, Any], known: Collection[str]) -> Any:
    """The value as rows of the model hold it; DataError for a label of another kind than the answer."""
    value = asked.value
    if asked.kind != "label":
        return value
    if answer.get("kind") == "number-value":
        # Command lines have texts only.
        if not isinstance(value, int | float) and not (isinstance(value, str) and re.fullmatch(NUMERIC, value)):
            raise no_number(_shown(value))
        # Whoever says 3 and whoever says 3.0 say the same.
        return float(value)
    if isinstance(value, list):
        return JOINT.join(sorted({_label(part, known) for part in value}))
    if answer.get("kind") == "label-set":
        with suppress(CellFault):
            return to_known_labels(plain_text(str(value)), known)
    return _label(value, known)


def no_number(found: str) -> DataError:
    """What is said where an answer is a number and its label none."""
    expected = "a number as the label, since the answer is one"
    return DataError(Problem(expected, found, "Send the number that would have been right."))


def _masked(value: str, answer: Mapping[str, Any], known: Collection[str]) -> str:
    """A label without personal data; one that the model has is none, even if it looks like it, also among others.

    >>> _masked("it@b.cn|anna@b.cn", {"kind": "label-set"}, {"it@b.cn"})
    'it@b.cn|[EMAIL]'
    """
    parts = value.split(JOINT) if answer.get("kind") == "label-set" else [value]
    return JOINT.join(dict.fromkeys(part if part in known else mask(part) for part in parts))


def _label(value: str | float, known: Collection[str]) -> str:
    """A label as rows that train spell it, so that 1.0 is the label '1'; one that the model has stays what it is.

    >>> _label(1.0, {"1"}), _label("True", ()), _label("True", {"True"})
    ('1', 'true', 'True')
    """
    text = plain_text(value) if isinstance(value, str) else value
    return str(text) if text in known else to_label(text) or str(text)


def _shown(value: Any) -> str:
    """A value as an error may repeat it: short, and of a text only how long it is."""
    if isinstance(value, str):
        return f"a text of {len(value):,} characters"
    if isinstance(value, Mapping | list):
        return "a list or a mapping"
    return "nothing" if value is None else str(value)[:40]


def _seconds_since(earlier: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
