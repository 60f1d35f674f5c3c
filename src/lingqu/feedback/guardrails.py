"""The guardrails of a canary: complaints, refusals and slow answers, held against those of the champion beside it.

If users are as content with the canary as with the champion, each complaint is about the canary with a probability of
no more than its share of all answers; a bet against that (`lingqu.statistics.live_risk`) reaches 100 with probability
0.01 at most, however often one looks and however late complaints come. Of one user only the first complaint and the
first refusal count, for one angry user is no crowd, and one who sends broken rows gets refusals from any model. Errors
and timeouts are judged where they happen, by the circuit breaker of the service.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import and_, case, func, select

from lingqu.feedback.voice import LABEL, Voice, voices
from lingqu.monitor.quality import right
from lingqu.registry.rollouts import CANARY, Rollout
from lingqu.serve.journal import unspell
from lingqu.statistics import live_risk
from lingqu.store import Store
from lingqu.store.history import CHAMPION
from lingqu.store.tables import PREDICTIONS

MOST = 20_000
"""So many of the newest answers of a step are looked at; all are counted."""
LEAST, MOST_SHARE = 20, 0.95
"""Without so many answers of the champion nobody knows how slow is slow, nor where the canary gives nearly all how usual a
complaint is."""
PATIENT, SLACK_MS, SLOW = 2.0, 10.0, 0.1
"""More than a tenth of the canary's answers may not take twice as long as the champion's 95th percentile, and 10 ms."""


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
    kept = select(is_ours.label("ours"), column.user, column.answer, column.latency_ms).where(*there)
    with store.database.reading() as connection:
        counts = select(func.coalesce(func.sum(case((is_ours, 1), else_=0)), 0), func.count())
        answers, of = map(int, connection.execute(counts.where(*there)).one())
        rows = connection.execute(kept.order_by(column.at.desc(), column.id.desc()).limit(MOST)).all()[::-1]
    mine = [row.latency_ms for row in rows if row.ours]
    theirs = [row.latency_ms for row in rows if not row.ours]
    share = max(now.share, answers / max(1, of))
    complaints, refused = _complaints(store, now), _refused(rows)
    slow = _slow(mine, theirs, limit_ms)
    broken = [*_blamed("complaints", complaints, share), *_blamed("refusals", refused, share), *slow]
    numbers = {
        "answers": answers,
        "of": of,
        "complaints": [sum(complaints), len(complaints)],
        "refusals": [sum(refused), len(refused)],
        "p95_ms": [round(float(np.quantile(some, 0.95)), 3) if some else None for some in (mine, theirs)],
    }
    return Watched(answers, of, tuple(broken), numbers)


def complains(voice: Voice) -> bool:
    """Whether a user says that an answer was bad: a rating of 1 or 2, a reward below zero, another label."""
    match voice.kind:
        case "rating":
            return voice.value <= 2
        case "reward":
            return voice.value < 0
        case _:
            return voice.kind == LABEL and voice.origin == "person" and not right(voice.answer, voice.value)


def _complaints(store: Store, now: Rollout) -> list[bool]:
    """For each user who complained since this step began, whether it was about the challenger."""
    seen: dict[str, bool] = {}
    for voice in voices(store, now.name):
        about = voice.at >= now.since and voice.number in (now.version, now.against)
        # Trusted people who label a sample have no user's name: whatever they say is counted by the sign test.
        if about and voice.user is not None and complains(voice):
            seen.setdefault(voice.user, voice.number == now.version)
    return [*seen.values()]


def _refused(rows: Iterable[Any]) -> list[bool]:
    """For each named user whom a model refused an answer, whether it was the challenger; nobody else can meet it."""
    seen: dict[str, bool] = {}
    for row in rows:
        # Few answers are: of twenty thousand only those are read that may be one.
        if row.user is not None and "refusal" in row.answer and unspell(row.answer)["kind"] == "refusal":
            seen.setdefault(row.user, bool(row.ours))
    return [*seen.values()]


def _blamed(what: str, ours: Sequence[bool], share: float) -> Iterable[str]:
    """The sentence of a guardrail that was broken, if it was: more of these are the canary's than is its share."""
    limit = max(share, 1e-3)
    if limit <= MOST_SHARE and live_risk([float(our) for our in ours], limit).level == "act":
        yield f"{sum(ours):,} of {len(ours):,} {what} are about it, where {100 * limit:.3g} % should be"


def _slow(mine: Sequence[float], theirs: Sequence[float], limit_ms: float | None) -> Iterable[str]:
    if limit_ms is None and len(theirs) < LEAST:
        return
    limit = limit_ms or PATIENT * float(np.quantile(theirs, 0.95)) + SLACK_MS
    slow = [float(one > limit) for one in mine]
    if live_risk(slow, SLOW).level == "act":
        yield f"{sum(slow):,.0f} of {len(slow):,} of its answers took longer than {limit:.3g} ms"
