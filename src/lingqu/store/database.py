"""The database of the store: SQLite in its folder, or PostgreSQL by URL; one writer at a time on both.

>>> from sqlalchemy import text
>>> database = Database(None, getfixture("tmp_path"))
>>> with database.reading() as connection:
...     connection.execute(text("PRAGMA journal_mode")).scalar_one()
'wal'
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError, NotSupportedError, ProgrammingError

from lingqu.errors import Problem, RequestError, StoreError, missing_package, near
from lingqu.store.atomic import make_folder, not_written
from lingqu.store.locks import hold
from lingqu.store.upgrades import CURRENT, too_new, upgrade, version_of

FILE = "lingqu.db"
PATIENCE_SECONDS = 60
COMPACT_SECONDS = 10
_BUSY = "Another process has been writing for long; try again when it has ended."
_WRITES = "lingqu_writes"
# Any constant will do: PostgreSQL's advisory locks are numbers that the users of one database agree on.
_WRITER_LOCK = 0x6C696E677175


class Database:
    """One database, opened on first use and brought up to date then.

    A writer waits for another one for `patience` seconds before it gives up.
    """

    def __init__(self, url: str | None, folder: Path, *, patience: float = PATIENCE_SECONDS) -> None:
        self.folder = folder
        self.url = read_url(url, folder)
        self.patience = patience

    @cached_property
    def engine(self) -> Engine:
        """The engine, with every numbered upgrade done."""
        engine = self._connectable()
        with _told(self.url):
            with engine.connect() as connection:
                version = version_of(connection)
            if version < CURRENT:
                self._upgrade(engine)
            elif version > CURRENT:
                raise StoreError(too_new(version))
        return engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one moment of the database, however many queries it makes.

        StoreError when another process wrote meanwhile in a database that is read as it stands.
        """
        engine = self.engine
        with _told(self.url), _unchanged(engine.url), engine.connect() as connection:
            if not self.is_sqlite:
                connection = connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield connection

    @contextmanager
    def writing(self, kept: Connection | None = None) -> Iterator[Connection]:
        """A transaction that no other writer runs beside; kept when the block ends well, undone otherwise.

        `kept` is a connection of `keep_writing`, for who writes a few times a second.
        """
        if kept is not None:
            with _told(self.url), kept.begin():
                yield kept
            return
        engine = self.engine
        with _told(self.url), self._writer(engine) as connection:
            yield connection

    def keep_writing(self) -> Connection:
        """A connection to a SQLite file for many transactions of `writing`; whoever asks for it closes it."""
        with _told(self.url):
            return self.engine.connect().execution_options(**{_WRITES: True})

    @contextmanager
    def erasing(self) -> Iterator[Connection]:
        """As `writing`; in SQLite the bytes of what is deleted or replaced are overwritten."""
        with self.writing() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("PRAGMA secure_delete = ON")
            yield connection

    def compact(self) -> bool:
        """Write the tables anew, so that no free page and no write-ahead log holds what was deleted before.

        Whether that was possible: false when another process reads for longer than a few seconds, and the log could not be
        emptied.
        """
        with _told(self.url), self.engine.connect() as connection:
            raw = connection.connection
            if not self.is_sqlite:
                connection.rollback()
                connection = connection.execution_options(isolation_level="AUTOCOMMIT")
                connection.exec_driver_sql("VACUUM FULL")
                return True
            cursor = raw.cursor()
            cursor.execute("VACUUM")
            # How long is waited for a reader is counted here, and not by SQLite, which has the patience of a writer.
            cursor.execute("PRAGMA busy_timeout = 0")
            deadline = time.monotonic() + COMPACT_SECONDS
            while cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.1)
            return True

    @property
    def is_sqlite(self) -> bool:
        """Whether this is a SQLite file."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def path(self) -> Path | None:
        """The SQLite file, or None."""
        return Path(str(self.url.database)) if self.is_sqlite else None

    @property
    def writable(self) -> bool:
        """Whether this process may write in the file and beside it; of a server nobody knows before it is asked."""
        return self.path is None or (
            os.access(self.path.parent, os.W_OK) and (not self.path.exists() or os.access(self.path, os.W_OK))
        )

    def _connectable(self) -> Engine:
        # Connections are opened for each use: it costs a millisecond, survives a fork and a restart of the server,
        # and leaves nothing open behind. What a statement holds, inputs of users too, is no part of any error.
        if self.path is None:
            try:
                return create_engine(
                    self.url, poolclass=NullPool, isolation_level="READ COMMITTED", hide_parameters=True
                )
            except ModuleNotFoundError as error:
                raise missing_package("psycopg", "pg", "a PostgreSQL database") from error
        url = _as_it_stands(self.path) or self.url
        if url is self.url:
            _make_private(self.path)
        engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": self.patience}, hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine

    def _upgrade(self, engine: Engine) -> None:
        if self.path is None:
            with self._writer(engine) as connection:
                _bring_up(connection)
            return
        # Going over to WAL needs the file for oneself, which SQLite refuses at once where it should wait.
        with hold(self.folder / "locks" / "database.lock"):
            with closing(engine.raw_connection()) as raw:
                raw.cursor().execute("PRAGMA journal_mode = WAL")
            with self._writer(engine) as connection:
                _bring_up(connection)

    @contextmanager
    def _writer(self, engine: Engine) -> Iterator[Connection]:
        with engine.execution_options(**{_WRITES: True}).begin() as connection:
            if not self.is_sqlite:
                connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(self.patience * 1000)}")
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _WRITER_LOCK})
            yield connection


def read_url(url: str | None, folder: Path) -> URL:
    """The address of the database, SQLite in the folder when none is given.

    >>> read_url("postgresql://anna@db/lingqu", Path(".")).drivername
    'postgresql+psycopg'
    >>> read_url("mysql://db/x", Path("."))
    Traceback (most recent call last):
    lingqu.errors.RequestError: Expected a database URL that begins with postgresql:// or sqlite:///, found mysql://. Known: postgresql, sqlite.
    """
    if not url:
        return URL.create("sqlite", database=str(folder.absolute() / FILE))
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # The URL itself is not repeated: it may hold a password.
        raise RequestError(_wrong_url("something else")) from None
    backend = "postgresql" if parsed.get_backend_name() == "postgres" else parsed.get_backend_name()
    if backend == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return URL.create("sqlite", database=str(Path(str(parsed.database)).absolute()))
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite":
        raise RequestError(_wrong_url("sqlite:// without a file"))
    advice = near(backend, ("postgresql", "sqlite"))
    raise RequestError(_wrong_url(f"{backend}://", advice))


def _wrong_url(found: str, advice: str = "Look at LINGQU_DATABASE_URL.") -> Problem:
    return Problem("a database URL that begins with postgresql:// or sqlite:///", found, advice)


_AS_IT_STANDS = {"mode": "ro", "immutable": "1", "uri": "true"}


def _as_it_stands(path: Path) -> URL | None:
    """How a database is read in a folder that may not be written: reads go on, and a write is refused.

    SQLite would make its side files there first. Where they are, another process is writing, or was killed, and SQLite reads
    them; where they are not, all is in the file.
    """
    log, index = (path.with_name(f"{path.name}-{end}") for end in ("wal", "shm"))
    if os.access(path.parent, os.W_OK) or not path.is_file() or index.exists():
        return None
    if log.exists() and log.stat().st_size:
        return None
    return URL.create("sqlite", database=f"file:{quote(str(path))}", query=_AS_IT_STANDS)


@contextmanager
def _unchanged(url: URL) -> Iterator[None]:
    """What was read of a file as it stands counts only if nobody wrote in it meanwhile: SQLite takes no lock on it."""
    if url.query.get("immutable") is None:
        yield
        return
    path = Path(unquote(str(url.database).removeprefix("file:")))
    before = path.stat()
    problem: DatabaseError | UnicodeDecodeError | None = None
    try:
        yield
    except (DatabaseError, UnicodeDecodeError) as error:
        problem = error
    after = path.stat()
    if (before.st_ino, before.st_size, before.st_mtime_ns) != (after.st_ino, after.st_size, after.st_mtime_ns):
        found = "that another process wrote in it"
        raise StoreError(Problem(f"{path} to stay as it is while it is read", found, "Run the same command again."))
    if problem is not None:
        raise problem


def _make_private(path: Path) -> None:
    # SQLite gives its side files the permissions of the database, so it is made here with those that it shall have.
    make_folder(path.parent)
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        pass
    except OSError as error:
        raise not_written(error, path) from error


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver's own handling of transactions is switched off: it begins them late, and never at once for writing.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")


def _begin_sqlite(connection: Connection) -> None:
    # IMMEDIATE: a transaction that reads first and writes later would be refused when another wrote in between.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _bring_up(connection: Connection) -> None:
    try:
        upgrade(connection)
    except IntegrityError as error:
        # Tables are there although the number of the last upgrade is not.
        raise StoreError(Problem("a sound database", "no schema version in it", "Restore it from a backup.")) from error


@contextmanager
def _told(url: URL) -> Iterator[None]:
    """What the database refuses, in our own words; a mistake of ours in a query keeps its traceback."""
    try:
        yield
    except (IntegrityError, ProgrammingError, NotSupportedError):
        raise
    except UnicodeDecodeError as error:
        # SQLite repeats what it found in a damaged schema, and that is no text.
        raise StoreError(_not_working(url, "malformed text")) from error
    except DatabaseError as error:
        lines = str(error.orig).strip().splitlines()
        raise StoreError(_not_working(url, lines[0] if lines else type(error.orig).__name__)) from error


def _not_working(url: URL, reason: str) -> Problem:
    place = url.database if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)
    return Problem(f"the database {place} to work", reason, _advice(reason))


def _advice(reason: str) -> str:
    known = {
        "unable to open": "Look at who may read it; with a log beside it (-wal), copy both to a folder of yours first.",
        "readonly": "Choose another place (--home, or LINGQU_HOME), or change who may write there.",
        "full": "Free some space, then run the same command again.",
        "disk I/O": "If the disk is full, free some space; if not, look at the disk.",
        "locked": _BUSY,
        "lock timeout": _BUSY,
        "malformed": "It is damaged: restore it from a backup.",
        "not a database": "It is damaged: restore it from a backup.",
    }
    return next((advice for word, advice in known.items() if word in reason), "Look at the database server or disk.")
