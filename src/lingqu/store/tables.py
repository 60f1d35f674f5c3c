"""The tables of the store, the same on SQLite and PostgreSQL.

JSON is kept as canonical text, not as a database type, because hashes are taken over its exact bytes; moments are ISO
8601 text in UTC for the same reason.

>>> sorted(METADATA.tables)[:4]
['aliases', 'alpha_ledger', 'data_versions', 'feedback']
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
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
    comment="registered versions, numbered from 1 without a gap for each name; only `forget` changes one, and says so",
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

# Since schema 2: what the service keeps.

PREDICTIONS = Table(
    "predictions",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("request_id", String(128), nullable=False),
    Column("at", String(32), nullable=False, index=True),
    Column("name", String(255), nullable=False),
    Column("number", Integer),
    Column("role", String(16), nullable=False),
    Column("principal", String(16), nullable=False),
    Column("tenant", String(255), nullable=False),
    Column("user", String(32)),
    Column("input", Text),
    Column("policy", String(8), nullable=False),
    Column("answer", Text, nullable=False),
    Column("confidence", Float),
    Column("latency_ms", Float, nullable=False),
    Index("ix_predictions_name_at", "name", "at"),
    comment="the journal: each answer that was given; rows leave when their time is over, so nothing refers to them",
)

KEYS = Table(
    "keys",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
    Column("scopes", Text, nullable=False),
    Column("tenant", String(255), nullable=False),
    Column("rate", String(64)),
    Column("quota", String(64)),
    Column("price", String(255)),
    Column("created", String(32), nullable=False),
    Column("expires", String(32)),
    Column("revoked", String(32)),
    comment="who may call the service; of the key itself only its SHA-256 is kept",
)

USAGE = Table(
    "usage",
    METADATA,
    Column("source", String(32), primary_key=True),
    Column("key", String(16), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("hour", String(13), primary_key=True),
    Column("currency", String(8), primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("compute_us", BigInteger, nullable=False),
    Column("cost_nano", BigInteger, nullable=False),
    comment="what each process of the service (source) has answered for a key in an hour, counted from its start; "
    "microseconds, and thousand-millionths of the currency",
)

FEEDBACK = Table(
    "feedback",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("prediction_id", String(32), nullable=False, index=True),
    Column("name", String(255), nullable=False),
    Column("number", Integer),
    Column("principal", String(16), nullable=False),
    Column("tenant", String(255), nullable=False),
    Column("user", String(32)),
    Column("source", String(64), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("value", Text, nullable=False),
    Column("comment", Text),
    Column("input", Text),
    Column("answer", Text, nullable=False),
    Column("idempotency_key", String(128)),
    Column("given", String(64), nullable=False),
    Column("at", String(32), nullable=False),
    Column("status", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("decided_by", String(255)),
    Column("decided_at", String(32)),
    UniqueConstraint("principal", "prediction_id"),
    UniqueConstraint("principal", "idempotency_key"),
    Index("ix_feedback_principal_at", "principal", "at"),
    Index("ix_feedback_name_status", "name", "status"),
    comment="what users said of answers; everything starts quarantined, one vote per key and prediction",
)
