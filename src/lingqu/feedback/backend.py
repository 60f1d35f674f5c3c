"""The backend of all users: the one key that most of them come by, where there is one.

It is no source like another. What it brings is the traffic itself, and whoever wants to pass for it has to get more than
half of all answers, for which keys have rates and quotas.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import func, select

from lingqu.serve.shadow import SHADOW
from lingqu.store import Store
from lingqu.store.tables import PREDICTIONS

NEWEST = 5000
"""So many of the newest answers tell who asks."""


def backend_of(counts: Mapping[str, int]) -> str | None:
    """The principal who got more than half of these answers.

    >>> backend_of({"page": 60, "probe": 40}), backend_of({"page": 1, "app": 1})
    ('page', None)
    """
    return next((principal for principal, count in counts.items() if 2 * count > sum(counts.values())), None)


def backend(store: Store, name: str) -> str | None:
    """The principal who got more than half of the newest answers of this model, but for those that nobody got."""
    column = PREDICTIONS.c
    given = select(column.principal).where(column.name == name, column.role != SHADOW)
    newest = given.order_by(column.at.desc(), column.id.desc()).limit(NEWEST).subquery()
    counts = select(newest.c.principal, func.count()).group_by(newest.c.principal)
    with store.database.reading() as connection:
        return backend_of({row[0]: row[1] for row in connection.execute(counts)})
