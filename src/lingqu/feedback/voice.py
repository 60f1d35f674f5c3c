"""What was said of an answer, as the store keeps it, and the one place where its standing changes.

Everything starts quarantined. It is accepted or rejected by a rule or by a person, with a reason that stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median_low
from typing import Any

from sqlalchemy import select, update

from lingqu.data.values import CellFault, left_out, to_known_labels, to_number
from lingqu.errors import Problem, UnknownNameError
from lingqu.monitor.audit import SOURCE as AUDIT
from lingqu.monitor.quality import right
from lingqu.privacy.encrypt import MasterKeys
from lingqu.serve.inbox import Feedback, received
from lingqu.serve.journal import Sealed, spell
from lingqu.store import Store
from lingqu.store.canonical import digest_of
from lingqu.store.history import append, now
from lingqu.store.tables import FEEDBACK

QUARANTINED, ACCEPTED, REJECTED = "quarantined", "accepted", "rejected"
STANDINGS = (QUARANTINED, ACCEPTED, REJECTED)
LABEL = "label"
RULE, TRIAL = "rule", "trial"
"""Who decided where no person did: a rule, or the trial of what a source does to a model, which no rule overrules."""


@dataclass(frozen=True, slots=True)
class Voice(Feedback):
    """One thing that was said of one answer, as those see it who decide on it."""

    @property
    def label(self) -> str:
        """The label, or the number as a text."""
        return str(self.value)

    @property
    def asked(self) -> str:
        """What the row held, as one digest: equal questions have equal ones.

        Two pictures that the journal left out may be of one size, which makes no equal row of them.
        """
        whole = self.input if self.input and not any(map(left_out, self.input.values())) else None
        return digest_of(spell(whole or {"prediction": self.prediction_id}).encode("utf-8", "replace"))

    @property
    def reviewed(self) -> bool:
        """Whether a person has decided on it."""
        return self.decided_by not in (None, RULE, TRIAL)


def voices(store: Store, name: str, *, status: str | None = None, kind: str | None = None) -> list[Voice]:
    """What was said of a model's answers, from the first."""
    found = [
        Voice(*(getattr(one, field) for field in Feedback.__slots__)) for one in received(store, name, status=status)
    ]
    return [voice for voice in found if kind is None or voice.kind == kind]


def settle(store: Store, name: str, rulings: Mapping[str, tuple[str, str]], *, who: str, why: str = "") -> int:
    """Give voices their standing: id -> (status, reason); how many changed.

    One row of the history tells of all of them; with a key it leaves out why, for its words are in plain. UnknownNameError
    for an id that this model does not have.
    """
    if not rulings:
        return 0
    seal = Sealed(MasterKeys.given())
    with store.database.writing() as connection:
        known = {
            row.id: row
            for row in connection.execute(
                select(FEEDBACK.c.id, FEEDBACK.c.status, FEEDBACK.c.reason).where(FEEDBACK.c.name == name)
            )
        }
        _all_known(rulings, known, name)
        changed = {id: ruling for id, ruling in rulings.items() if known[id].status != ruling[0]}
        for id, (status, reason) in rulings.items():
            place = f"reason:{id}"
            if (known[id].status, seal.open(known[id].reason, place)) == (status, reason):
                continue
            # It may repeat what was said.
            closed = reason and seal.close(reason, place)
            if id not in changed:
                # Where it stands is as before; why is news.
                connection.execute(update(FEEDBACK).where(FEEDBACK.c.id == id).values(reason=closed))
                continue
            values = {"status": status, "reason": closed, "decided_by": who, "decided_at": now()}
            connection.execute(update(FEEDBACK).where(FEEDBACK.c.id == id).values(**values))
        if changed:
            counts = {status: sum(ruling[0] == status for ruling in changed.values()) for status in STANDINGS}
            evidence = {**{status: count for status, count in counts.items() if count}, "ids": sorted(changed)[:1000]}
            append(connection, name=name, who=who, action="review", why="" if seal.keys else why, evidence=evidence)
    return len(changed)


def _all_known(ids: Iterable[str], known: Iterable[str], name: str) -> None:
    unknown = sorted(set(ids) - set(known))
    if unknown:
        raise UnknownNameError(
            Problem(f"the id of feedback on {name}", repr(one), "See: lingqu feedback queue") for one in unknown
        )


@dataclass(frozen=True, slots=True)
class Heard(Voice):
    """A voice as the rules hear it: they know by `row` what is spoken of, and compare by `said` what is said of it."""

    row: str
    said: str

    @property
    def label(self) -> str:
        """The label, spelled as all spell it who say the same."""
        return self.said

    @property
    def asked(self) -> str:
        """What the row held, or who speaks where nobody else is to be heard beside them."""
        return self.row


def labels_of(given: Sequence[Voice]) -> list[Voice]:
    """Those that say the right answer to a row that was kept, as far as they are evidence.

    What was rejected is none any more. A model's own answer is none either, so it is heard alone and the rules reject it,
    unless a person has accepted it. Sets of labels are one label however they are spelled, and numbers for equal rows
    where they lie no farther apart than the model's own range is wide: two people who measure never say the same.
    """
    labels = _one_judge([v for v in given if v.kind == LABEL and v.input is not None and v.status != REJECTED])
    own = {v.id for v in labels if v.origin != "person" and not v.reviewed}
    same = _one_number([v for v in labels if v.answer.get("kind") == "number-value" and v.id not in own])
    return [_heard(voice, alone=voice.id in own, said=same.get(voice.id) or spelled(voice)) for voice in labels]


def spelled(voice: Voice) -> str:
    """What a voice says, a set of labels spelled as its model spells one."""
    if voice.answer.get("kind") == "label-set":
        with suppress(CellFault):
            return str(to_known_labels(voice.value, voice.answer.get("scores", {})))
    return str(voice.value)


def _one_number(given: Sequence[Voice]) -> dict[str, str]:
    """What each says, by its id, of those whose number is near the middle one of all that were given for an equal row."""
    rows: dict[str, list[tuple[float, Voice]]] = defaultdict(list)
    for voice in given:
        with suppress(CellFault):
            if (number := to_number(voice.value)) is not None:
                rows[voice.asked].append((number, voice))
    said: dict[str, str] = {}
    for whose in rows.values():
        middle = median_low([number for number, _ in whose])
        wide = max(float(voice.answer.get("high", 0)) - float(voice.answer.get("low", 0)) for _, voice in whose)
        said.update({voice.id: str(middle) for number, voice in whose if abs(number - middle) <= wide})
    return said


def _heard(voice: Voice, *, alone: bool, said: str) -> Voice:
    if not alone and said == voice.label:
        return voice
    own: dict[str, Any] = {name: getattr(voice, name) for name in Feedback.__slots__}
    return Heard(**own, row=voice.id if alone else voice.asked, said=said)


def _one_judge(given: Sequence[Voice]) -> list[Voice]:
    """Of what trusted people said of one drawn answer the first: an answer has one vote, however many labelled it.

    It has none where they name different classes, for nobody knows which model was right there.
    """
    nobody, heard = contested(given), set[str]()
    found: list[Voice] = []
    for voice in given:
        if _judges(voice):
            if voice.prediction_id in heard or voice.prediction_id in nobody:
                continue
            heard.add(voice.prediction_id)
        found.append(voice)
    return found


def contested(given: Sequence[Voice]) -> set[str]:
    """The drawn answers to which trusted people gave different classes; numbers seldom agree to the last digit."""
    first: dict[str, Voice] = {}
    found: set[str] = set()
    for voice in given:
        if _judges(voice) and voice.answer.get("kind") != "number-value":
            one = first.setdefault(voice.prediction_id, voice)
            if not right({**one.answer, "prediction": one.value}, voice.value):
                found.add(voice.prediction_id)
    return found


def _judges(voice: Voice) -> bool:
    return voice.source == AUDIT and voice.status == ACCEPTED
