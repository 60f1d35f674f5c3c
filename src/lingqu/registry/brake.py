"""Whether somebody has pulled the hand brake of a model: then nothing happens to it by itself.

>>> from lingqu.store import Store
>>> frozen(Store.open(getfixture("tmp_path")), "ticket-router")
''
"""

from __future__ import annotations

from sqlalchemy import select

from lingqu.store import Store
from lingqu.store.tables import HISTORY

FREEZE, THAW = "freeze", "thaw"


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
