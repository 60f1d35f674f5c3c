"""The guardrails of a canary: complaints, refusals and slow answers, held against those of the champion beside it.

If users are as content with the canary as with the champion, each complaint is about the canary with a probability of
no more than its share of all answers; a bet against that (`lingqu.statistics.live_risk`) reaches 100 with probability
0.01 at most, however often one looks and however late complaints come. Of one user only the first complaint and the
first refusal count, for one angry user is no crowd, and one who sends broken rows gets refusals from any model. Users are
named by the key that asks for them, and names can be made up: what is said has to be as clear without the key that says
most, unless more than half of the answers to named users went to it, as they do to a backend of all users. Errors and
timeouts are judged where they happen, by the circuit breaker of the service.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import and_, case, func, select

from lingqu.feedback.backend import backend_of
from lingqu.feedback.voice import LABEL, Voice, voices
from lingqu.monitor.quality import right
from lingqu.registry.rollouts import CANARY, Rollout
from lingqu.serve.journal import unspell
from lingqu.statistics import live_risk
from lingqu.store import Store
from lingqu.store.history import CHAMPION
from lingqu.store.tables import FEEDBACK, PREDICTIONS

MOST = 20_000
"""So many of the newest answers of a step are looked at; all are counted."""
LEAST, MOST_SHARE = 20, 0.95
"""Without so many answers of the champion nobody knows how slow is slow, nor where the canary gives nearly all how usual a
complaint is."""
PATIENT, SLACK_MS, SLOW = 2.0, 10.0, 0.1
"""More than a tenth of the canary's answers may not take twice as long as the champion's 95th percentile, and 10 ms."""


class Said(NamedTuple):
    """What one user met: the key that asked for them, and whether it was the challenger's."""

    key: str
    ours: bool


@dataclass(frozen=True, slots=True)
class Watched:
    """How a canary did in a step.

    >>> print(Watched(40, 800, ("9 of 9 complaints are about it",), {}).sentence())
    40 of 800 answers were the challenger's; 9 of 9 complaints are about it
    """

    answers: int
    of: int
    """Its answers, and those of both."""
    broken: tuple[str, ...]
    """The guardrails that it broke, in words."""
    numbers: dict[str, Any]

    def sentence(self) -> str:
        """What was seen, in words."""
        return "; ".join([f"{self.answers:,} of {self.of:,} answers were the challenger's", *self.broken])


def watch(store: Store, now: Rollout, limit_ms: float | None = None) -> Watched:
    """What users met since this step began; `limit_ms` is the 95th percentile that the spec allows, if it says one."""
    column = PREDICTIONS.c
    there = (column.name == now.name, column.at >= now.since, column.role.in_((CHAMPION, CANARY)))
    is_ours = and_(column.role == CANARY, column.number == now.version)
    kept = select(is_ours.label("ours"), column.principal, column.user, column.answer, column.latency_ms).where(*there)
    with store.database.reading() as connection:
        # Who asks for no user in particular, as a job by night does, takes no voice from those who do.
        each = (func.sum(case((is_ours, 1), else_=0)), func.count(), func.count(column.user))
        counts = select(column.principal, *each).where(*there)
        by_key = connection.execute(counts.group_by(column.principal)).all()
        rows = connection.execute(kept.order_by(column.at.desc(), column.id.desc()).limit(MOST)).all()[::-1]
    answers, of = (sum(int(row[place]) for row in by_key) for place in (1, 2))
    backend = backend_of({row[0]: row[3] for row in by_key})
    mine = [row.latency_ms for row in rows if row.ours]
    theirs = [row.latency_ms for row in rows if not row.ours]
    share = max(now.share, answers / max(1, of))
    complaints, refused = _complaints(store, now), _refused(rows)
    slow = _slow(mine, theirs, limit_ms)
    blamed = [*_blamed("complaints", complaints, share, backend), *_blamed("refusals", refused, share, backend)]
    numbers = {
        "answers": answers,
        "of": of,
        "complaints": [sum(said.ours for said in complaints), len(complaints)],
        "refusals": [sum(said.ours for said in refused), len(refused)],
        "p95_ms": [round(float(np.quantile(some, 0.95)), 3) if some else None for some in (mine, theirs)],
    }
    return Watched(answers, of, (*blamed, *slow), numbers)


def complains(voice: Voice) -> bool:
    """Whether a user says that an answer was bad: a rating of 1 or 2, a reward below zero, another label."""
    match voice.kind:
        case "rating":
            return voice.value <= 2
        case "reward":
            return voice.value < 0
        case _:
            return voice.kind == LABEL and voice.origin == "person" and not right(voice.answer, voice.value)


def _complaints(store: Store, now: Rollout) -> list[Said]:
    """For each user who complained since this step began, whether it was about the challenger."""
    seen: dict[str, Said] = {}
    # Who brings complaints may be one key for all; it is the one that asked who named the user.
    asked = select(PREDICTIONS.c.id, PREDICTIONS.c.principal).join(
        FEEDBACK, FEEDBACK.c.prediction_id == PREDICTIONS.c.id
    )
    with store.database.reading() as connection:
        found = connection.execute(asked.where(FEEDBACK.c.name == now.name, FEEDBACK.c.at >= now.since)).all()
    keys = {row.id: row.principal for row in found}
    for voice in voices(store, now.name):
        about = voice.at >= now.since and voice.number in (now.version, now.against)
        # Trusted people who label a sample have no user's name: whatever they say is counted by the sign test.
        if about and voice.user is not None and complains(voice):
            key = keys.get(voice.prediction_id, voice.principal)
            seen.setdefault(voice.user, Said(key, voice.number == now.version))
    return [*seen.values()]


def _refused(rows: Iterable[Any]) -> list[Said]:
    """For each named user whom a model refused an answer, whether it was the challenger; nobody else can meet it."""
    seen: dict[str, Said] = {}
    for row in rows:
        # Few answers are: of twenty thousand only those are read that may be one.
        if row.user is not None and "refusal" in row.answer and unspell(row.answer)["kind"] == "refusal":
            seen.setdefault(row.user, Said(row.principal, bool(row.ours)))
    return [*seen.values()]


def _blamed(what: str, said: Sequence[Said], share: float, backend: str | None) -> Iterable[str]:
    """The sentence of a guardrail that was broken, if it was: more of these are the canary's than is its share.

    They have to be so without the key that says it most often, too; the `backend` alone may say all of it.
    """
    limit, ours = max(share, 1e-3), [float(one.ours) for one in said]
    blaming = Counter(one.key for one in said if one.ours and one.key != backend)
    loudest = max(blaming, key=blaming.__getitem__, default=None)
    without = [float(one.ours) for one in said if one.key != loudest]
    if limit <= MOST_SHARE and all(live_risk(some, limit).level == "act" for some in (ours, without)):
        yield f"{sum(ours):,.0f} of {len(ours):,} {what} are about it, where {100 * limit:.3g} % should be"


def _slow(mine: Sequence[float], theirs: Sequence[float], limit_ms: float | None) -> Iterable[str]:
    if limit_ms is None and len(theirs) < LEAST:
        return
    limit = limit_ms or PATIENT * float(np.quantile(theirs, 0.95)) + SLACK_MS
    slow = [float(one > limit) for one in mine]
    if live_risk(slow, SLOW).level == "act":
        yield f"{sum(slow):,.0f} of {len(slow):,} of its answers took longer than {limit:.3g} ms"
