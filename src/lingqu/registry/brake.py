"""Whether somebody has pulled the hand brake of a model: then nothing happens to it by itself.

>>> from lingqu.store import Store
>>> frozen(Store.open(getfixture("tmp_path")), "ticket-router")
''
"""

from __future__ import annotations

import json

from sqlalchemy import Connection, select

from lingqu.store import Store
from lingqu.store.tables import HISTORY

FREEZE, THAW, WORLD = "freeze", "thaw", "world"


def frozen(store: Store, name: str) -> str:
    """Who froze a model and why, in a few words; empty when it is not frozen."""
    with store.database.reading() as connection:
        return pulled(connection, name)


def pulled(connection: Connection, name: str) -> str:
    """The same inside a transaction."""
    query = (
        select(HISTORY.c.action, HISTORY.c.who, HISTORY.c.why)
        .where(HISTORY.c.name == name, HISTORY.c.action.in_((FREEZE, THAW)))
        .order_by(HISTORY.c.seq.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    if row is None or row.action == THAW:
        return ""
    return f"{row.why} ({row.who})" if row.why else f"by {row.who}"


def world_moved(store: Store, name: str) -> tuple[str, str] | None:
    """When and why it was told that the world has moved and not the model; None once somebody has thawed or promoted."""
    ends = (THAW, "promote", "rollback")
    query = (
        select(HISTORY.c.action, HISTORY.c.at, HISTORY.c.why, HISTORY.c.evidence)
        .where(HISTORY.c.name == name, HISTORY.c.action.in_((*ends, "alarm")))
        .order_by(HISTORY.c.seq.desc())
    )
    with store.database.reading() as connection:
        for row in connection.execute(query):
            if row.action in ends:
                return None
            if json.loads(row.evidence).get("kind") == WORLD:
                return row.at, row.why
    return None
