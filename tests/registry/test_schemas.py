"""A store of an older schema is brought up to date in place, at once or not at all, and loses nothing."""

import hashlib

import pytest
from sqlalchemy import Connection, NullPool, create_engine, insert, inspect, select, text

from lingqu.errors import StoreError
from lingqu.store import Store
from lingqu.store.database import read_url
from lingqu.store.history import append
from lingqu.store.tables import HISTORY, METADATA, RUNS, SCHEMA_VERSION
from lingqu.store.upgrades import CURRENT, UPGRADES, upgrade, upgrade_1, version_of

FIRST = "b175081b9276e61ec17e7966068fbf2fd3c088bbe2dcbdb40cd2ec56dd789cc6"
"""SHA-256 of what SQLite kept of the tables of schema 1 when it was the only one."""

OF_THE_SERVICE = {"predictions", "keys", "usage", "feedback"}


def test_the_first_upgrade_makes_what_it_always_made():
    with create_engine("sqlite://", poolclass=NullPool).begin() as connection:
        upgrade_1(connection)
        kept = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
        assert hashlib.sha256(repr(sorted(tuple(row) for row in kept)).encode()).hexdigest() == FIRST


def test_all_upgrades_together_make_every_table():
    with create_engine("sqlite://", poolclass=NullPool).begin() as connection:
        assert upgrade(connection) == CURRENT == 2
        assert set(inspect(connection).get_table_names()) == set(METADATA.tables)


def of_schema_1(store: Store) -> list[tuple[object, ...]]:
    """A database as the first lingqu left it, with a run and a decision in it."""
    engine = create_engine(read_url(store._database_url, store.folder), poolclass=NullPool)
    with engine.begin() as connection:
        upgrade(connection, UPGRADES[:1])
        connection.execute(
            insert(RUNS).values(id="r1", name="router", spec="{}", started="2026-01-01T00:00:00.000000Z")
        )
        append(connection, name="router", who="anna", action="register", version=1, evidence={"row": "x"})
        rows = [tuple(row) for row in connection.execute(select(HISTORY))]
        assert version_of(connection) == 1
        assert not OF_THE_SERVICE & set(inspect(connection).get_table_names())
    engine.dispose()
    return rows


def test_a_store_of_schema_1_is_brought_up_in_place(store: Store):
    before = of_schema_1(store)
    with store.database.reading() as connection:
        assert connection.execute(select(SCHEMA_VERSION.c.version)).scalar_one() == CURRENT
        assert set(inspect(connection).get_table_names()) >= OF_THE_SERVICE
        assert [tuple(row) for row in connection.execute(select(HISTORY))] == before
        assert connection.execute(select(RUNS.c.id)).scalars().all() == ["r1"]


def test_an_upgrade_that_fails_changes_nothing(store: Store):
    of_schema_1(store)

    def fails(connection: Connection) -> None:
        METADATA.create_all(connection, tables=[METADATA.tables["keys"]])
        raise StoreError

    engine = store.database._connectable()
    with pytest.raises(StoreError), store.database._writer(engine) as connection:
        upgrade(connection, (UPGRADES[0], fails))
    with engine.connect() as connection:
        assert version_of(connection) == 1
        assert not OF_THE_SERVICE & set(inspect(connection).get_table_names())
    engine.dispose()
    assert store.records.runs()[0]["id"] == "r1"
