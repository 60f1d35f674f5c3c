"""The hand brake: while a model is frozen, nothing happens to it by itself. A row of the history, so it outlives all."""

from __future__ import annotations

from sqlalchemy import select

from lingqu.store import Store
from lingqu.store.history import append
from lingqu.store.tables import HISTORY

FREEZE, THAW = "freeze", "thaw"


def freeze(store: Store, name: str, *, who: str, why: str = "") -> bool:
    """Stop all automation of a model; whether it was not frozen before."""
    return _put(store, name, FREEZE, who, why)


def thaw(store: Store, name: str, *, who: str, why: str = "") -> bool:
    """Let automation go on; whether the model was frozen."""
    return _put(store, name, THAW, who, why)


def frozen(store: Store, name: str) -> str:
    """Who froze a model and why, in a few words; empty when it is not frozen."""
    query = (
        select(HISTORY.c.action, HISTORY.c.who, HISTORY.c.why)
        .where(HISTORY.c.name == name, HISTORY.c.action.in_((FREEZE, THAW)))
        .order_by(HISTORY.c.seq.desc())
        .limit(1)
    )
    with store.database.reading() as connection:
        row = connection.execute(query).one_or_none()
    if row is None or row.action == THAW:
        return ""
    return f"{row.why} ({row.who})" if row.why else f"by {row.who}"


def _put(store: Store, name: str, action: str, who: str, why: str) -> bool:
    if bool(frozen(store, name)) == (action == FREEZE):
        return False
    with store.database.writing() as connection:
        append(connection, name=name, who=who, action=action, why=why)
    return True
