"""What a source may be besides a path: a bundled set, a set of the Hub, a table or a query of a database, a sheet.

    sklearn:iris
    hf://owner/name[/config][@revision]#split        hf://./folder#split        a set that `datasets` reads
    sqlite:///shop.db?table=tickets                  postgresql://anna@host/shop?query=SELECT text, label FROM tickets
    book.xlsx#Sheet 2

An address holds no password: it would travel with the spec into every version. `query` is the last part, written as it is.

>>> called("postgresql://anna@host/shop?table=tickets"), called("hf://owner/name#train"), called("rows/a.csv")
('tickets of shop', 'owner/name', 'a.csv')
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from lingqu.errors import Problem, near

BUNDLED = ("breast_cancer", "diabetes", "digits", "iris", "wine")
"""What may follow `sklearn:`."""

KINDS = "a file, a folder or an address"
SHEETS = (".xlsx", ".xlsm")
DATABASES = ("sqlite", "postgresql")
OPTIONS = ("host", "port", "sslmode", "sslrootcert")
"""What may stand behind the `?` of a PostgreSQL address besides `table` or `query`; a list of what is allowed, for
others of the driver's words name programs and files."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):(?://)")
_HUB = re.compile(r"(?P<owner>[\w.\-]+)/(?P<name>[\w.\-]+)(?:/(?P<config>[^@#/]+))?(?:@(?P<revision>[\w.\-/]+))?")
_READS = re.compile(r"\s*(?:SELECT|WITH|VALUES|TABLE)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class HubSet:
    """A set of the Hub, or a folder on disk that `datasets` has written or can read.

    >>> read_hub("hf://owner/name/zh@v1#test")
    HubSet(path='owner/name', config='zh', revision='v1', split='test', local=False)
    """

    path: str
    config: str | None
    revision: str | None
    split: str | None
    local: bool


@dataclass(frozen=True, slots=True)
class TableOf:
    """A table, or what a query reads, of a database.

    >>> read_database("sqlite:///shop.db?table=tickets").table
    'tickets'
    """

    backend: str
    database: str
    table: str = ""
    query: str = ""
    user: str | None = None
    host: str | None = None
    port: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)


class AddressFault(ValueError):  # noqa: N818 - a fault of what was written, told as a problem
    """An address that cannot be read; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


def scheme(source: str) -> str:
    """The kind of address in small letters, or nothing for a path.

    >>> scheme("sklearn:iris"), scheme("hf://a/b"), scheme("postgres://h/d"), scheme("C:/a.csv"), scheme("a.csv")
    ('sklearn', 'hf', 'postgresql', '', '')
    """
    if source.startswith("sklearn:"):
        return "sklearn"
    found = _SCHEME.match(source)
    name = found[1].lower() if found else "jdbc" if source.startswith("jdbc:") else ""
    return "postgresql" if name == "postgres" else name


def sheet_of(source: str) -> tuple[str, str]:
    """The path of a workbook and the name of its sheet; of any other path the whole and nothing.

    >>> sheet_of("a/book.xlsx#Sheet 2"), sheet_of("row #2.csv")
    (('a/book.xlsx', 'Sheet 2'), ('row #2.csv', ''))
    """
    path, mark, sheet = source.rpartition("#")
    return (path, sheet) if mark and path.lower().endswith(SHEETS) else (source, "")


def located(source: str, folder: Path) -> str:
    """The source with any path in it made absolute, taken from this folder.

    >>> located("sqlite:///shop.db?table=t", Path("/data")), located("hf://./reviews#train", Path("/data"))
    ('sqlite:////data/shop.db?table=t', 'hf:///data/reviews#train')
    """
    kind = scheme(source)
    if kind == "sqlite":
        path, mark, rest = source[len("sqlite:///") :].partition("?")
        return f"sqlite:///{folder / path}{mark}{rest}" if path else source
    if kind == "hf" and source[5:6] in (".", "/"):
        path, mark, split = source[5:].partition("#")
        return f"hf://{(folder / path).absolute()}{mark}{split}"
    return source if kind else str((folder / source).absolute())


def called(source: str) -> str:
    """How a source is called in messages and reports: its last part, never a server, a user or a query."""
    kind = scheme(source)
    if kind in DATABASES:
        try:
            read = read_database(source)
        except AddressFault:
            return "a database"
        name = read.database.replace("\\", "/").rsplit("/", 1)[-1]
        return f"{read.table or 'a query'} of {name}"
    if kind == "hf":
        path = source[5:].partition("#")[0].rstrip("/")
        return path.rsplit("/", 1)[-1] if path.startswith((".", "/")) else path
    return source if kind else source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]


def fault(source: str) -> Problem | None:
    """What is wrong with an address before anything is read; None for a path.

    >>> print(fault("sklearn:irsi"))
    Expected a bundled set, found 'sklearn:irsi'. Did you mean 'iris'?
    """
    kind = scheme(source)
    try:
        if kind == "sklearn" and source.removeprefix("sklearn:") not in BUNDLED:
            return Problem("a bundled set", repr(source), near(source.removeprefix("sklearn:"), BUNDLED))
        if kind == "hf":
            read_hub(source)
        elif kind in DATABASES:
            read_database(source)
        elif kind not in ("", "sklearn"):
            # Neither the user's part nor what follows the question mark is repeated: there may be a key in it.
            shown = source.partition("?")[0][:60] if "@" not in source else f"{kind}://…"
            advice = "Known: sklearn:, hf://, sqlite:///, postgresql://. Or save the rows to a file."
            return Problem(KINDS, f"the address {shown!r}", advice)
    except AddressFault as error:
        return error.problem
    return None


def read_hub(source: str) -> HubSet:
    """The parts of `hf://…`; AddressFault when it has other parts."""
    path, _, split = source[5:].partition("#")
    if path[:1] in (".", "/"):
        return HubSet(path, None, None, split or None, True)
    found = _HUB.fullmatch(path)
    if found is None:
        advice = "A folder on disk is written hf://./folder#split."
        raise AddressFault(Problem("hf://owner/name[/config][@revision]#split", repr(source[:100]), advice))
    owner_name = f"{found['owner']}/{found['name']}"
    return HubSet(owner_name, found["config"], found["revision"], split or None, False)


def read_database(source: str) -> TableOf:
    """The parts of a database's address; AddressFault for a password, unknown options, or a query that may write.

    >>> read_database("postgresql://anna:secret@host/shop?table=t")
    Traceback (most recent call last):
    lingqu.spec.addresses.AddressFault: Expected an address without a password, found one. Set PGPASSWORD, or write it to ~/.pgpass.
    """
    head, _, rest = source.partition("?")
    given, reads = _reads(rest)
    table, query = given.pop("table", ""), given.pop("query", "")
    if scheme(source) == "sqlite":
        path = head[len("sqlite:///") :] if head.startswith("sqlite:///") else ""
        if not path or given:
            raise AddressFault(Problem("sqlite:///FILE?table=NAME", _hidden(head), reads))
        return TableOf("sqlite", path, table, query)
    parts = _split(head)
    if parts.password is not None or "password" in given:
        raise AddressFault(Problem("an address without a password", "one", "Set PGPASSWORD, or write it to ~/.pgpass."))
    unknown = sorted(set(given) - set(OPTIONS))
    if unknown:
        raise AddressFault(Problem("an option that an address may have", repr(unknown[0]), near(unknown[0], OPTIONS)))
    port = given.pop("port", None) or parts.port
    database = unquote(parts.path.strip("/"))
    if not database or (port is not None and not str(port).isdigit()):
        raise AddressFault(Problem("postgresql://USER@HOST/DATABASE?table=NAME", _hidden(head), reads))
    host = given.pop("host", None) or parts.hostname
    user = unquote(parts.username) if parts.username else None
    return TableOf("postgresql", database, table, query, user, host, int(port) if port else None, given)


def _split(head: str) -> _Parts:
    try:
        parts = urlsplit(head)
        return _Parts(parts.path, parts.username, parts.password, parts.hostname, parts.port)
    except ValueError as error:
        raise AddressFault(Problem("postgresql://USER@HOST/DATABASE?table=NAME", f"a wrong one ({error})")) from None


@dataclass(frozen=True, slots=True)
class _Parts:
    path: str
    username: str | None
    password: str | None
    hostname: str | None
    port: int | None


def _hidden(head: str) -> str:
    return repr(f"{head.partition('://')[0]}://…" if "@" in head else head[:100])


def _reads(rest: str) -> tuple[dict[str, str], str]:
    """What stands behind the question mark; one table or one query must be among it."""
    advice = "Write ?table=NAME, or last of all ?query=SELECT …."
    before, mark, query = rest.partition("query=")
    if mark and before[-1:] not in ("", "&"):
        before, mark, query = rest, "", ""
    given: dict[str, str] = {}
    for part in filter(None, before.split("&")):
        name, equals, value = part.partition("=")
        if not equals or name in given:
            raise AddressFault(Problem("NAME=VALUE, each once, behind the ? of an address", repr(name), advice))
        given[name] = unquote(value)
    if mark:
        given["query"] = query.strip()
        if not _READS.match(query) or ";" in query:
            found = "a semicolon" if ";" in query else f"{query.split()[0] if query.split() else 'nothing'}"
            next_step = "Only reading is done; make a view of anything more."
            raise AddressFault(Problem("one query that begins with SELECT or WITH", found, next_step))
    if bool(given.get("table")) == bool(given.get("query")):
        found = "both" if given.get("table") else "neither"
        raise AddressFault(Problem("a table or a query in the address of a database", found, advice))
    return given, advice
