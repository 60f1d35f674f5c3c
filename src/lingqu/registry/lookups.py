"""What the registry asks and changes inside one transaction.

>>> from lingqu.store import Store
>>> with Store.open(getfixture("tmp_path")).database.reading() as connection:
...     newest(connection, "ticket-router"), alias_of(connection, "ticket-router", "champion")
(0, (None, 0))
"""

from __future__ import annotations

from sqlalchemy import Connection, func, insert, select, update

from lingqu.errors import ConflictError, Problem, RequestError, UnknownNameError, near
from lingqu.registry.versions import LATEST, Reference, Version
from lingqu.store.history import CHAMPION, Standing
from lingqu.store.tables import ALIASES, ALPHA_LEDGER, HISTORY, VERSIONS

_FEW = 20


def newest(connection: Connection, name: str) -> int:
    """The highest number of a name, 0 when it has no version."""
    query = select(func.max(VERSIONS.c.number)).where(VERSIONS.c.name == name)
    return connection.execute(query).scalar_one() or 0


def rounds(connection: Connection, name: str, gate_set: str) -> int:
    """How many rounds a gate set has seen."""
    ledger = ALPHA_LEDGER.c
    query = select(func.max(ledger.round)).where(ledger.name == name, ledger.gate_set == gate_set)
    return connection.execute(query).scalar_one() or 0


def alias_of(connection: Connection, name: str, alias: str) -> tuple[int | None, int]:
    """The version that an alias means, or None, and its epoch, 0 when it never meant any."""
    query = select(ALIASES.c.version, ALIASES.c.epoch).where(ALIASES.c.name == name, ALIASES.c.alias == alias)
    row = connection.execute(query).one_or_none()
    return (None, 0) if row is None else (row.version, row.epoch)


def point(connection: Connection, name: str, alias: str, version: int | None) -> None:
    """Let an alias mean a version and count its epoch; nothing when it means that already."""
    before, epoch = alias_of(connection, name, alias)
    if before == version:
        return
    if epoch == 0:
        connection.execute(insert(ALIASES).values(name=name, alias=alias, version=version, epoch=1))
    else:
        here = (ALIASES.c.name == name, ALIASES.c.alias == alias)
        connection.execute(update(ALIASES).where(*here).values(version=version, epoch=epoch + 1))


def expect_epoch(connection: Connection, name: str, alias: str, expected: int) -> None:
    """ConflictError when an alias has moved since its epoch was the expected one."""
    version, epoch = alias_of(connection, name, alias)
    if epoch != expected:
        means = "no version" if version is None else f"version {version}"
        found = f"epoch {epoch} ({means})"
        raise ConflictError(
            Problem(
                f"{alias} of {name} at epoch {expected}", found, "Somebody moved it first; look at it and decide again."
            )
        )


def find(connection: Connection, wanted: Reference) -> Version:
    """The version that a reference means; UnknownNameError with the nearest right name when there is none."""
    last = newest(connection, wanted.name)
    if last == 0:
        names = connection.execute(select(VERSIONS.c.name).distinct()).scalars().all()
        raise UnknownNameError(Problem("a model of the registry", repr(wanted.name), near(wanted.name, names)))
    number = wanted.number
    if wanted.alias == LATEST:
        number = last
    elif wanted.alias is not None:
        number = _aliased(connection, wanted.name, wanted.alias, last)
    query = select(VERSIONS).where(VERSIONS.c.name == wanted.name, VERSIONS.c.number == number)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        advice = f"Its versions are 1 to {last}." if last > 1 else "Its only version is 1."
        raise UnknownNameError(Problem(f"a version of {wanted.name}", f"{wanted.name}@{number}", advice))
    return Version.of_row(row)


def last_change(connection: Connection, name: str) -> str | None:
    """When another version last became champion in place of one that was; None when the first still is."""
    history = HISTORY.c
    query = select(history.at).where(history.name == name, history.action.in_(("promote", "rollback")))
    times = connection.execute(query.order_by(history.seq)).scalars().all()
    return times[-1] if len(times) > 1 else None


def rollback_target(name: str, past: Standing, to: int | None) -> int:
    """The version that a rollback goes back to; RequestError when there is none that was champion."""
    earlier = sorted(past.ever - set(past.champions[-1:]))
    if to is None and len(past.champions) > 1:
        return past.champions[-2]
    if to is not None and to in earlier:
        return to
    known = f"Those that were: {', '.join(map(str, earlier[-_FEW:]))}." if earlier else "Promote a version first."
    if to is None:
        champion = past.champions[-1] if past.champions else None
        found = "no champion" if champion is None else f"version {champion}, the first of all"
        raise RequestError(Problem(f"a champion of {name} before the one it has", found, known))
    found = f"version {to}, {'champion now' if to in past.champions[-1:] else 'never champion'}"
    raise RequestError(Problem(f"a version of {name} that was champion before", found, known))


def _aliased(connection: Connection, name: str, alias: str, last: int) -> int:
    version, _ = alias_of(connection, name, alias)
    if version is not None:
        return version
    if alias == CHAMPION:
        advice = f"No version has been promoted yet; the newest is {name}@{last}."
        raise UnknownNameError(Problem(f"a champion of {name}", "none", advice))
    query = select(ALIASES.c.alias).where(ALIASES.c.name == name, ALIASES.c.version.is_not(None))
    known = [*connection.execute(query).scalars(), LATEST]
    raise UnknownNameError(Problem(f"an alias of {name}", repr(alias), near(alias, known)))
