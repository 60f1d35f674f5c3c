"""A turn that has nothing to do: where nothing was said or decided since the last look, that look still holds.

To look means to read all that was ever said of a model, which takes seconds where there is much. What it rests on is
counted instead: feedback by its standing and the newest of it, the newest row of the history (decisions, files of labels,
rounds, promotions, what was forgotten), the keys, the data version and the spec. Only what the rules hold against a waiting label, how sure the model usually is, changes by
itself; so no look is older than an hour.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select

from lingqu.data.version import DataVersion
from lingqu.feedback.freeze import frozen
from lingqu.feedback.round import ROUND
from lingqu.feedback.trigger import consider
from lingqu.registry import Registry
from lingqu.serve.keys import all_keys
from lingqu.spec import Spec
from lingqu.store import Store, canonical_json
from lingqu.store.canonical import digest_of
from lingqu.store.history import EVERYTHING
from lingqu.store.tables import FEEDBACK, HISTORY

HOUR = 3600.0


class Idle:
    """The last look of a model that came to nothing; made before a look, so that what comes during it is none of it."""

    def __init__(self, store: Store, spec: Spec, base: DataVersion) -> None:
        self._store, self._spec, self._base = store, spec, base
        self._key = store.stage("idle", {"name": spec.name})
        self._seen = self._count()

    def still(self, alarm: str) -> dict[str, Any] | None:
        """What that look told, where another one would see the same and again find that it is not the time."""
        last = self._store.stage_result(self._key) or {}
        if last.get("seen") != self._seen:
            return None
        name, improve = self._spec.name, self._spec.improve
        due = consider(
            accepted=last["told"]["new"],
            needed=improve.new_labels,
            since_last=_seconds(self._last_round()),
            since_change=None if improve.proof == "unseen" else _seconds(Registry(self._store).last_change(name)),
            pause=improve.pause_seconds,
            alarm=alarm,
            frozen=frozen(self._store, name),
        )
        return None if due.go else {**last["told"], "why": due.why}

    def keep(self, told: dict[str, Any]) -> None:
        """Keep what a look told, unless it decided something or something came meanwhile."""
        if self._count() == self._seen:
            self._store.finish_stage(self._key, {"seen": self._seen, "told": told}, 0.0)

    def _count(self) -> dict[str, Any]:
        name, column = self._spec.name, FEEDBACK.c
        by_status = select(column.status, func.count(), func.max(column.id)).where(column.name == name)
        newest = select(func.max(HISTORY.c.seq)).where(HISTORY.c.name.in_((name, EVERYTHING)))
        with self._store.database.reading() as connection:
            counts = {status: [*rest] for status, *rest in connection.execute(by_status.group_by(column.status))}
            decided = connection.execute(newest).scalar_one()
        keys = [[key.id, sorted(key.scopes), key.revoked] for key in all_keys(self._store)]
        return {
            "feedback": counts,
            "history": decided,
            "keys": keys,
            "data": self._base.id,
            "spec": digest_of(canonical_json(self._spec.model_dump(mode="json"))),
            "hour": int(time.time() // HOUR),
        }

    def _last_round(self) -> str | None:
        rounds = select(HISTORY.c.at).where(HISTORY.c.name == self._spec.name, HISTORY.c.action == ROUND)
        with self._store.database.reading() as connection:
            return connection.execute(rounds.order_by(HISTORY.c.seq.desc()).limit(1)).scalar_one_or_none()


def _seconds(since: str | None) -> float | None:
    return None if since is None else (datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds()
