"""The tables of the store, the same on SQLite and PostgreSQL.

JSON is kept as canonical text, not as a database type, because hashes are taken over its exact bytes; moments are ISO
8601 text in UTC for the same reason.

>>> sorted(METADATA.tables)[:4]
['aliases', 'alpha_ledger', 'data_versions', 'head']
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData()

SCHEMA_VERSION = Table(
    "schema_version",
    METADATA,
    Column("version", Integer, primary_key=True, autoincrement=False),
    comment="one row: the last numbered upgrade that was done",
)

DATA_VERSIONS = Table(
    "data_versions",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("folder", String(64), nullable=False),
    Column("about", Text, nullable=False),
    Column("at", String(32), nullable=False),
    Column("hash", String(64), nullable=False),
    comment="each data version and the folder blob that holds its rows",
)

STAGES = Table(
    "stages",
    METADATA,
    Column("key", String(64), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("inputs", Text, nullable=False),
    Column("result", Text, nullable=False),
    Column("blobs", Text, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("at", String(32), nullable=False),
    Column("hash", String(64), nullable=False),
    comment="the result of each stage by the hash of its inputs",
)

RUNS = Table(
    "runs",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("name", String(255), nullable=False, index=True),
    Column("spec", Text, nullable=False),
    Column("started", String(32), nullable=False),
    Column("finished", String(32)),
    Column("result", Text),
    comment="each run of the journey; one that was killed has no end",
)

VERSIONS = Table(
    "versions",
    METADATA,
    Column("name", String(255), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("bundle", String(64), nullable=False),
    Column("data_version", String(255), nullable=False),
    Column("run", String(255), nullable=False),
    Column("task", String(255), nullable=False),
    Column("metrics", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("lineage", Text, nullable=False),
    Column("spec", Text, nullable=False),
    Column("at", String(32), nullable=False),
    UniqueConstraint("name", "bundle", "data_version"),
    comment="registered versions, numbered from 1 without a gap for each name; never changed",
)

ALIASES = Table(
    "aliases",
    METADATA,
    Column("name", String(255), primary_key=True),
    Column("alias", String(255), primary_key=True),
    Column("version", Integer),
    Column("epoch", Integer, nullable=False),
    ForeignKeyConstraint(["name", "version"], ["versions.name", "versions.number"]),
    comment="which version an alias means; the epoch counts its changes; no version once there is none to go back to",
)

HISTORY = Table(
    "history",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("name", String(255), nullable=False, index=True),
    Column("at", String(32), nullable=False),
    Column("who", String(255), nullable=False),
    Column("action", String(32), nullable=False),
    Column("version", Integer),
    Column("alias", String(255)),
    Column("why", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    comment="every decision, in order; each row holds the hash of the one before",
)

HEAD = Table(
    "head",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
    comment="one row: where the history ends, so that a shortened one is seen",
)

ALPHA_LEDGER = Table(
    "alpha_ledger",
    METADATA,
    Column("name", String(255), primary_key=True),
    Column("gate_set", String(255), primary_key=True),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("alpha", Float, nullable=False),
    Column("p", Float),
    Column("decision", String(64), nullable=False),
    Column("at", String(32), nullable=False),
    Column("event", Integer, ForeignKey("history.seq"), nullable=False),
    comment="the error budget that each look at a gate set has spent",
)
