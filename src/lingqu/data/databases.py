"""Tables and queries of SQLite and PostgreSQL, read only, row by row.

SQLite files are opened read-only and PostgreSQL in a read-only transaction with a cursor on the server, so that a table
larger than the memory can be read and nothing can be changed. Rows come in the order of the database.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lingqu.contract import Rows
from lingqu.data.cells import cell_faults, plain_cells
from lingqu.data.delimited import check_header
from lingqu.data.quarantine import Batch
from lingqu.errors import DataError, Problem, missing_package, near
from lingqu.spec.addresses import AddressFault, TableOf, called, read_database

CONNECT_SECONDS = 10


def read_table(source: str, batch: int = 1000) -> Generator[Batch, None, None]:
    """The rows of the table or query that an address names; DataError in plain words, without the address.

    >>> import sqlite3
    >>> path = getfixture("tmp_path") / "shop.db"
    >>> shop = sqlite3.connect(path)
    >>> _ = shop.execute("CREATE TABLE tickets AS SELECT 'hello' AS text, 3 AS n")
    >>> shop.close()
    >>> next(read_table(f"sqlite:///{path}?query=SELECT n FROM tickets")).rows
    Rows(1 rows of n)
    """
    try:
        place = read_database(source)
    except AddressFault as error:
        raise DataError(error.problem) from None
    name = called(source)
    with _connected(place, name) as connection:
        query = place.query or f"SELECT * FROM {_table(connection, place, name)}"
        # Without parameters nothing in the query is taken for a placeholder.
        options = {"no_parameters": True, "stream_results": True, "yield_per": batch}
        found = connection.exec_driver_sql(query, execution_options=options)
        header = check_header(list(found.keys()), name)
        first = 1
        for part in found.partitions(batch):
            columns = {
                column: plain_cells(cells) for column, cells in zip(header, zip(*part, strict=True), strict=True)
            }
            yield Batch(Rows(columns), first, cell_faults(columns))
            first += len(part)
        if first == 1:
            yield Batch(Rows({column: [] for column in header}))


@contextmanager
def _connected(place: TableOf, name: str) -> Iterator[Any]:
    """A connection that can only read."""
    from sqlalchemy import NullPool, create_engine
    from sqlalchemy.engine import URL
    from sqlalchemy.exc import SQLAlchemyError

    if place.backend == "sqlite":
        if not Path(place.database).is_file():
            raise DataError(Problem(f"a readable file {place.database}", "no such file", "Check data.source."))
        # The driver's own form: the path is quoted, so that no part of it is taken for an option.
        file = Path(place.database).absolute().as_uri()
        url = URL.create("sqlite", database=file, query={"mode": "ro", "uri": "true"})
        connect: dict[str, Any] = {}
    else:
        url = URL.create(
            "postgresql+psycopg", place.user, None, place.host, place.port, place.database, dict(place.options)
        )
        connect = {"connect_timeout": CONNECT_SECONDS}
    try:
        engine = create_engine(url, poolclass=NullPool, connect_args=connect)
    except ModuleNotFoundError:
        raise missing_package("psycopg", "pg", "reading a PostgreSQL database") from None
    try:
        with engine.connect() as connection:
            if place.backend == "sqlite":
                connection.exec_driver_sql("PRAGMA query_only = ON")
            else:
                connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield connection
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", None) or error).splitlines()[0][:200].rstrip(".")
        raise DataError(Problem(f"rows from {name}", said, "Check data.source.")) from None
    finally:
        engine.dispose()


def _table(connection: Any, place: TableOf, name: str) -> str:
    """The table's quoted name; DataError with the nearest one when there is none."""
    from sqlalchemy import inspect

    schema, dot, table = place.table.rpartition(".")
    inspector = inspect(connection)
    known = _names(inspector, None)
    if place.table in known:
        schema, dot, table = "", "", place.table
    elif not (dot and table in _names(inspector, schema)):
        raise DataError(Problem(f"the table {place.table!r}", f"none in {name}", near(place.table, known)))
    quote = connection.dialect.identifier_preparer.quote
    return f"{quote(schema)}.{quote(table)}" if dot else quote(table)


def _names(inspector: Any, schema: str | None) -> list[str]:
    return [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]
