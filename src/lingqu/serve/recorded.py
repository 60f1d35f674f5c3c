"""What the journal has kept: read it, and let go of it when its time is over.

>>> from lingqu.store import Store
>>> store = Store.open(getfixture("tmp_path") / ".lingqu")
>>> recorded(store, "router"), purge(store, 30 * 86_400)
([], 0)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, or_, select, update

from lingqu.privacy.encrypt import MasterKeys
from lingqu.serve.sealed import Sealed, iso, unspell
from lingqu.store import Store
from lingqu.store.tables import FEEDBACK, PREDICTIONS


@dataclass(frozen=True, slots=True)
class Recorded:
    """One answer, as the journal has kept it; `input` None where the policy or the sample kept none."""

    id: str
    request_id: str
    at: str
    name: str
    number: int | None
    role: str
    principal: str
    tenant: str
    user: str | None
    input: dict[str, Any] | None
    policy: str
    answer: dict[str, Any]
    confidence: float | None
    latency_ms: float


def recorded(
    store: Store,
    name: str | None = None,
    *,
    since: str = "",
    until: str = "9999",
    newest: int | None = None,
    keys: MasterKeys | None = None,
) -> list[Recorded]:
    """The answers of a model (or of all) from `since` to before `until` (ISO 8601, UTC), from the first; or the newest.

    Inputs are decrypted with the keys given, or those of the environment.
    """
    seal = Sealed(keys or MasterKeys.given())
    query = select(PREDICTIONS).where(PREDICTIONS.c.at >= since, PREDICTIONS.c.at < until)
    query = query if name is None else query.where(PREDICTIONS.c.name == name)
    newest_first = query.order_by(PREDICTIONS.c.at.desc(), PREDICTIONS.c.id.desc()).limit(newest)
    with store.database.reading() as connection:
        rows = connection.execute(newest_first).mappings().all()
    return [
        Recorded(**{**row, "input": seal.row(row["id"], row["input"]), "answer": unspell(row["answer"])})
        for row in reversed(rows)
    ]


def purge(
    store: Store, keep_seconds: float, *, now: float | None = None, between: Callable[[], None] = lambda: None
) -> int:
    """Delete the answers that are older, and the inputs and words of feedback that was never accepted; gives how many
    answers.

    They leave in small parts, with a call of `between` after each. In SQLite the bytes are overwritten, and the write-ahead
    log is emptied too.
    """
    before = iso((time.time() if now is None else now) - keep_seconds)
    count = changed = 0
    for gone, cleared in _purge_some(store, before):
        count, changed = count + gone, changed + gone + cleared
        between()
    if changed and store.database.is_sqlite:
        with store.database.engine.connect() as connection:
            connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return count


def _purge_some(store: Store, before: str) -> Iterator[tuple[int, int]]:
    """In small transactions, so that nobody waits for long: how many answers went, and how much feedback was cleared."""
    column = FEEDBACK.c
    while True:
        with store.database.erasing() as connection:
            old = select(PREDICTIONS.c.id).where(PREDICTIONS.c.at < before).limit(2000)
            ids = connection.execute(old).scalars().all()
            connection.execute(delete(PREDICTIONS).where(PREDICTIONS.c.id.in_(ids)))
            cleared = 0
            if not ids:
                unaccepted = (column.at < before, column.status != "accepted")
                held = or_(column.input.is_not(None), column.comment.is_not(None))
                changes = update(FEEDBACK).where(*unaccepted, held).values(input=None, comment=None)
                cleared = connection.execute(changes).rowcount
                # Nobody sends again what is said of an answer that is gone.
                known = update(FEEDBACK).where(column.at < before, column.given != "").values(given="")
                cleared += connection.execute(known).rowcount
        yield len(ids), cleared
        if not ids:
            return
