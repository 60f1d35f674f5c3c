"""Tables and queries of databases: read only, in plain values, and nothing of the address in what is told."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from lingqu.contract import Rows
from lingqu.data.ingest import ingest
from lingqu.data.prepare import prepare
from lingqu.data.readers import fingerprint, read, stream
from lingqu.data.sources import fingerprints
from lingqu.errors import DataError
from lingqu.spec import DataSettings
from lingqu.store import Store
from lingqu.tasks import find_task


@pytest.fixture
def shop(tmp_path: Path) -> str:
    """A SQLite file with a table of texts and one with a name that needs quotes."""
    with closing(sqlite3.connect(tmp_path / "shop #1.db")) as made, made:
        made.execute("CREATE TABLE tickets (text TEXT, label TEXT, n REAL, photo BLOB)")
        rows = [(f"text {i}", "ab"[i % 2], i / 2, None) for i in range(7)]
        made.executemany("INSERT INTO tickets VALUES (?, ?, ?, ?)", rows)
        made.execute('CREATE VIEW "it\'s 票" AS SELECT text, label FROM tickets WHERE n > 1 ORDER BY n')
    return f"sqlite:///{tmp_path}/shop #1.db"


def refusal(source: str) -> str:
    with pytest.raises(DataError) as error:
        read(source)
    return str(error.value)


def test_tables_views_and_queries_of_sqlite(shop: str) -> None:
    parts = list(stream(f"{shop}?table=tickets", 3))
    assert [(part.first, len(part.rows)) for part in parts] == [(1, 3), (4, 3), (7, 1)]
    assert parts[0].rows.row(1) == {"text": "text 1", "label": "b", "n": 0.5, "photo": None}
    assert read(f"{shop}?table=it's 票").rows["text"] == ["text 3", "text 4", "text 5", "text 6"]
    assert read(f"{shop}?query=SELECT n % 2 AS half, ':a' AS \"%s\" FROM tickets LIMIT 1").rows == Rows(
        {"half": [0.0], "%s": [":a"]}
    )
    assert read(f"{shop}?query=SELECT text FROM tickets WHERE n > 99").rows == Rows({"text": []})


def test_what_cannot_be_read_is_told_without_the_address(shop: str, tmp_path: Path) -> None:
    assert refusal(f"{shop}?table=ticket") == (
        "Expected the table 'ticket', found none in ticket of shop #1.db. Did you mean 'tickets'?"
    )
    assert refusal(f"{shop}?query=SELECT absent FROM tickets") == (
        "Expected rows from a query of shop #1.db, found no such column: absent. Check data.source."
    )
    assert refusal(f"{shop}?query=SELECT text AS a, label AS a FROM tickets") == (
        "Expected column names that differ in a query of shop #1.db, found 'a' twice. Rename one of them."
    )
    assert refusal(f"sqlite:///{tmp_path}/no.db?table=t") == (
        f"Expected a readable file {tmp_path}/no.db, found no such file. Check data.source."
    )
    (tmp_path / "text.db").write_text("no database, but long enough to be looked at as one\n" * 20)
    assert refusal(f"sqlite:///{tmp_path}/text.db?table=t") == (
        "Expected rows from t of text.db, found file is not a database. Check data.source."
    )
    assert not (tmp_path / "no.db").exists()


def test_a_query_cannot_write(shop: str, tmp_path: Path) -> None:
    before = fingerprint(f"{shop}?table=tickets")
    source = f"{shop}?query=WITH a AS (SELECT 1) DELETE FROM tickets"
    assert refusal(source) == (
        "Expected rows from a query of shop #1.db, found attempt to write a readonly database. Check data.source."
    )
    assert fingerprint(f"{shop}?table=tickets") == before
    assert sorted(one.name for one in tmp_path.iterdir()) == ["shop #1.db"]


def test_the_fingerprint_follows_the_rows_and_not_their_order(shop: str, tmp_path: Path) -> None:
    up, down = (fingerprint(f"{shop}?query=SELECT text FROM tickets ORDER BY n {way}") for way in ("ASC", "DESC"))
    assert up == down
    with closing(sqlite3.connect(tmp_path / "shop #1.db")) as made, made:
        made.execute("UPDATE tickets SET text = 'another' WHERE n = 0")
    assert fingerprint(f"{shop}?query=SELECT text FROM tickets") != up


def test_a_version_is_made_of_a_table(tmp_path: Path) -> None:
    task = find_task("text-classification")
    toys = task.toy(60)
    with closing(sqlite3.connect(tmp_path / "a.db")) as made, made:
        made.execute("CREATE TABLE t (text TEXT, label TEXT)")
        made.executemany("INSERT INTO t VALUES (?, ?)", list(zip(toys["text"], toys["label"], strict=True)))
    settings = DataSettings(source="sqlite:///a.db?table=t", near_duplicates=False).at(tmp_path)
    made_of = ingest(settings, task, Store.open(tmp_path / "store"))
    assert made_of.rows_in_all == 60
    assert made_of.sources == fingerprints(settings)


def test_a_table_that_changes_while_it_is_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.db"
    with closing(sqlite3.connect(file)) as made, made:
        made.execute("CREATE TABLE t (text TEXT, label TEXT)")
        made.executemany("INSERT INTO t VALUES (?, ?)", [(f"text {i}", "ab"[i % 2]) for i in range(60)])

    def prepare_while_written(*arguments):
        found = prepare(*arguments)
        with closing(sqlite3.connect(file)) as made, made:
            made.execute("INSERT INTO t VALUES ('one more', 'a')")
        return found

    monkeypatch.setattr("lingqu.data.ingest.prepare", prepare_while_written)
    settings = DataSettings(source=f"sqlite:///{file}?table=t")
    with pytest.raises(DataError) as error:
        ingest(settings, find_task("text-classification"), Store.open(tmp_path / "store"))
    assert str(error.value) == (
        "Expected rows that stay the same while they are read, found others in t of a.db a moment later. "
        "Bound the query (WHERE day < '2026-01-01', say), or run again."
    )
