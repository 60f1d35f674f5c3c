"""What was said of an answer, as the store keeps it, and the one place where its standing changes.

Everything starts quarantined. It is accepted or rejected by a rule or by a person, with a reason that stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select, update

from lingqu.errors import Problem, UnknownNameError
from lingqu.serve.inbox import Feedback, received
from lingqu.serve.journal import spell
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
        """What the row held, as one digest: equal questions have equal ones."""
        return digest_of(spell(self.input or {"prediction": self.prediction_id}).encode("utf-8", "replace"))

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

    One row of the history tells of all of them. UnknownNameError for an id that this model does not have.
    """
    if not rulings:
        return 0
    with store.database.writing() as connection:
        known = {
            row.id: (row.status, row.reason)
            for row in connection.execute(
                select(FEEDBACK.c.id, FEEDBACK.c.status, FEEDBACK.c.reason).where(FEEDBACK.c.name == name)
            )
        }
        _all_known(rulings, known, name)
        changed = {id: ruling for id, ruling in rulings.items() if known[id][0] != ruling[0]}
        for id, (status, reason) in rulings.items():
            if known[id] == (status, reason):
                continue
            if id not in changed:
                # Where it stands is as before; why is news.
                connection.execute(update(FEEDBACK).where(FEEDBACK.c.id == id).values(reason=reason))
                continue
            values = {"status": status, "reason": reason, "decided_by": who, "decided_at": now()}
            connection.execute(update(FEEDBACK).where(FEEDBACK.c.id == id).values(**values))
        if changed:
            counts = {status: sum(ruling[0] == status for ruling in changed.values()) for status in STANDINGS}
            evidence = {**{status: count for status, count in counts.items() if count}, "ids": sorted(changed)[:1000]}
            append(connection, name=name, who=who, action="review", why=why, evidence=evidence)
    return len(changed)


def _all_known(ids: Iterable[str], known: Iterable[str], name: str) -> None:
    unknown = sorted(set(ids) - set(known))
    if unknown:
        raise UnknownNameError(
            Problem(f"the id of feedback on {name}", repr(one), "See: lingqu feedback queue") for one in unknown
        )


def labels_of(given: Sequence[Voice]) -> list[Voice]:
    """Those that say the right answer to a row that was kept."""
    return [voice for voice in given if voice.kind == LABEL and voice.input is not None]
