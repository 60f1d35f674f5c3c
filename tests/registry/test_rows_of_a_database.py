"""Rows of a table of a real PostgreSQL server: streamed, read only, and nothing of the address in what is told."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lingqu.contract import Rows
from lingqu.data.readers import read, stream
from lingqu.errors import DataError


def refusal(source: str) -> str:
    with pytest.raises(DataError) as error:
        read(source)
    return str(error.value)


@pytest.mark.heavy
def test_tables_and_queries_of_postgresql(postgresql: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> None:
    import psycopg

    url = postgresql()
    home, schema = url.partition("host=")[2].partition("&")[0], url.rpartition("%3D")[2]
    with psycopg.connect(f"host={home} user=anna dbname=postgres", autocommit=True) as made:
        made.execute(
            f'CREATE TABLE {schema}."票" (文本 text, n numeric, at timestamp, tags text[], extra jsonb, raw bytea)'
        )
        made.execute(
            f"INSERT INTO {schema}.\"票\" SELECT 'text ' || i, i / 4.0, '2024-01-31', "
            f"'{{a,b}}', '{{\"k\": 1}}', 'x' FROM generate_series(1, 2500) i"
        )
    place = f"postgresql://anna@/postgres?host={home}"
    table = f"{place}&table={schema}.票"
    parts = list(stream(table))
    assert [len(part.rows) for part in parts] == [1000, 1000, 500]
    assert parts[0].rows.row(0) == {
        "文本": "text 1",
        "n": 0.25,
        "at": "2024-01-31T00:00:00",
        "tags": '["a", "b"]',
        "extra": '{"k": 1}',
        "raw": b"x",
    }
    assert read(f"{place}&query=SELECT n % 2 AS half FROM {schema}.\"票\" WHERE 文本 LIKE '%1000'").rows == Rows(
        {"half": [0.0]}
    )
    monkeypatch.setenv("PGPASSWORD", "canary")
    assert refusal(f'{place}&query=WITH a AS (DELETE FROM {schema}."票" RETURNING n) SELECT n FROM a') == (
        "Expected rows from a query of postgres, found DECLARE CURSOR must not contain data-modifying statements in "
        "WITH. Check data.source."
    )
    assert refusal(f"{place}&table={schema}.票票") == (
        f"Expected the table '{schema}.票票', found none in {schema}.票票 of postgres. Known: none yet."
    )
    away = refusal(f"postgresql://anna@/postgres?host={home}/away&table=t")
    assert away.startswith("Expected rows from t of postgres, found connection failed") or "No such file" in away
    assert "canary" not in away
