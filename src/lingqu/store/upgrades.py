"""Numbered upgrades of the database: each takes it from the version before to its own, in one transaction.

They are never edited once released. When a table changes, a new upgrade is added at the end, and the shape that an
older upgrade made is written out in it.

>>> CURRENT == len(UPGRADES)
True
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, delete, insert, inspect, select

from lingqu.errors import Problem, StoreError
from lingqu.store.history import BEGINNING
from lingqu.store.tables import (
    ALIASES,
    ALPHA_LEDGER,
    DATA_VERSIONS,
    FEEDBACK,
    HEAD,
    HISTORY,
    KEYS,
    METADATA,
    PREDICTIONS,
    RUNS,
    SCHEMA_VERSION,
    STAGES,
    USAGE,
    VERSIONS,
)

_FIRST = [SCHEMA_VERSION, DATA_VERSIONS, STAGES, RUNS, VERSIONS, ALIASES, HISTORY, HEAD, ALPHA_LEDGER]
_OF_THE_SERVICE = [PREDICTIONS, KEYS, USAGE, FEEDBACK]


def upgrade_1(connection: Connection) -> None:
    """The first tables, and a history that is empty."""
    METADATA.create_all(connection, tables=_FIRST)
    connection.execute(insert(HEAD).values(id=1, seq=0, hash=BEGINNING))


def upgrade_2(connection: Connection) -> None:
    """What the service keeps: its journal, keys, usage and feedback."""
    METADATA.create_all(connection, tables=_OF_THE_SERVICE)


UPGRADES: tuple[Callable[[Connection], None], ...] = (upgrade_1, upgrade_2)
CURRENT = len(UPGRADES)


def version_of(connection: Connection) -> int:
    """The number of the last upgrade that this database has had; 0 for an empty one.

    >>> from sqlalchemy import NullPool, create_engine
    >>> with create_engine("sqlite://", poolclass=NullPool).connect() as connection:
    ...     version_of(connection)
    0
    """
    if not inspect(connection).has_table(SCHEMA_VERSION.name):
        return 0
    return connection.execute(select(SCHEMA_VERSION.c.version)).scalar_one_or_none() or 0


def upgrade(connection: Connection, upgrades: tuple[Callable[[Connection], None], ...] = UPGRADES) -> int:
    """Do the upgrades that this database has not had, in order; StoreError when it comes from a newer lingqu.

    >>> from sqlalchemy import NullPool, create_engine
    >>> with create_engine("sqlite://", poolclass=NullPool).begin() as connection:
    ...     upgrade(connection), upgrade(connection)
    (2, 2)
    """
    version = version_of(connection)
    if version > len(upgrades):
        raise StoreError(too_new(version, len(upgrades)))
    for step in upgrades[version:]:
        step(connection)
    if version < len(upgrades):
        connection.execute(delete(SCHEMA_VERSION))
        connection.execute(insert(SCHEMA_VERSION).values(version=len(upgrades)))
    return len(upgrades)


def too_new(version: int, known: int = CURRENT) -> Problem:
    """What is told of a database that a newer lingqu has made."""
    found = f"version {version}, made by a newer lingqu"
    return Problem(f"a database of version {known} or older", found, "Run: pip install --upgrade lingqu")
