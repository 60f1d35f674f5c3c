"""F15: whoever edits the record of decisions once, anywhere, is found out; and each promotion says who, why, by which numbers."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, Table, text
from sqlalchemy.exc import IntegrityError

from lingqu.errors import RequestError
from lingqu.store.audit import verify
from lingqu.store.history import seal
from lingqu.store.tables import ALIASES, ALPHA_LEDGER, HEAD, HISTORY, VERSIONS

EDITS = 1000
Edit = Callable[[random.Random, Connection, Table], None]


@pytest.fixture
def told(local, register):
    """Two models that were registered, gated, promoted and rolled back."""
    rng = random.Random(1)
    for name in ("router", "t票务"):
        for number in range(1, 5):
            register(local, f"{name}{number}", name=name)
            gate = {"p": rng.random() / 100, "alpha": 0.025, "rows": 2000}
            local.spend(name, "g0", number, 0.05 / (number * (number + 1)), gate["p"], "promote")
            local.promote(name, number, who=rng.choice(["anna", "ben"]), why="its gate was passed", evidence=gate)
        local.rollback(name, who="anna", why="complaints")
        local.set_alias(name, "challenger", 4, expect_epoch=0, who="ben")
    assert local.store.fsck() == []
    return local


def other(rng: random.Random, value: Any) -> Any:
    """The value with one thing in it changed."""
    if value is None:
        return 1
    if isinstance(value, int):
        return value + rng.choice([-1, 1])
    if isinstance(value, float):
        return value + rng.choice([-1e-9, 1e-9])
    place = rng.randrange(len(value) + 1)
    if rng.random() < 0.3 or not value:
        return f"{value[:place]}{rng.choice('aZ9渠 ')}{value[place:]}"
    place = min(place, len(value) - 1)
    sign = rng.choice([one for one in "bY8灵" if one != value[place]])
    return f"{value[:place]}{sign}{value[place + 1 :]}"


def key_of(table: Table) -> list[str]:
    return [column.name for column in table.primary_key.columns]


def change(rng: random.Random, connection: Connection, table: Table) -> None:
    row = rng.choice(connection.execute(table.select()).mappings().all())
    column = rng.choice([one.name for one in table.columns if (table, one.name) != (HEAD, "id")])
    same = [table.c[name] == row[name] for name in key_of(table)]
    connection.execute(table.update().where(*same).values({column: other(rng, row[column])}))


def delete(rng: random.Random, connection: Connection, table: Table) -> None:
    row = rng.choice(connection.execute(table.select()).mappings().all())
    connection.execute(table.delete().where(*(table.c[name] == row[name] for name in key_of(table))))


def reorder(rng: random.Random, connection: Connection, table: Table) -> None:
    first, second = rng.sample([row.seq for row in connection.execute(table.select())], 2)
    for before, after in ((first, -1), (second, first), (-1, second)):
        connection.execute(table.update().where(table.c.seq == before).values(seq=after))


def insert(rng: random.Random, connection: Connection, table: Table) -> None:
    rows = connection.execute(table.select().order_by(table.c.seq)).mappings().all()
    place = rng.randrange(len(rows) + 1)
    for row in reversed(rows[place:]):
        connection.execute(table.update().where(table.c.seq == row["seq"]).values(seq=row["seq"] + 1))
    # Sealed as lingqu would have sealed it: it is what follows, or the head, that does not know it.
    fields = {**rng.choice(rows), "seq": place + 1, "why": f"forged {rng.random()}"}
    previous = rows[place - 1]["hash"] if place else "0" * 64
    plain = {name: value for name, value in fields.items() if name not in ("previous", "hash")}
    connection.execute(table.insert().values(**plain, previous=previous, hash=seal(previous, plain)))


# Every way to edit every table, as often as it stands here for each hundred edits.
HUNDRED: list[tuple[Edit, Table]] = [
    *[(change, HISTORY)] * 36,
    *[(change, VERSIONS)] * 14,
    *[(change, ALIASES)] * 7,
    *[(change, ALPHA_LEDGER)] * 7,
    *[(change, HEAD)] * 6,
    *[(delete, HISTORY)] * 4,
    *[(delete, VERSIONS)] * 2,
    *[(delete, ALIASES)] * 2,
    *[(delete, ALPHA_LEDGER)] * 2,
    *[(reorder, HISTORY)] * 10,
    *[(insert, HISTORY)] * 10,
]


def is_found(rng: random.Random, engine: Engine, edit: Edit, table: Table) -> bool | None:
    """Whether one edit is found, which is undone then; None where the database itself refuses it, which is no edit."""
    with engine.connect() as connection:
        connection.execute(text("PRAGMA foreign_keys = OFF"))
        connection.execute(text("PRAGMA defer_foreign_keys = ON"))
        try:
            edit(rng, connection, table)
            return bool(verify(connection))
        except IntegrityError:
            return None
        finally:
            connection.rollback()


@pytest.mark.heavy
def test_each_of_a_thousand_single_edits_is_found(told) -> None:
    rng = random.Random(15)
    missed = []
    for edit, table in HUNDRED * (EDITS // len(HUNDRED)):
        while (found := is_found(rng, told.store.engine, edit, table)) is None:
            continue
        if not found:
            missed.append((edit.__name__, table.name))
    assert missed == []
    assert told.store.fsck() == [], "every edit was undone"


def test_every_promotion_says_who_why_and_by_which_numbers(local, register) -> None:
    for content in "abc":
        register(local, content)
    local.promote("router", 1, who="anna", why="the first")
    local.promote("router", 2, who="lingqu", evidence={"p": 0.01, "alpha": 0.05, "rows": 500})
    local.promote("router", 3, who="ben", why="asked for", evidence={"override": True})
    promotions = [event for event in local.history("router") if event.action == "promote"]
    assert len(promotions) == 3
    for event in promotions:
        assert event.who and event.why
        assert {"p", "alpha"} <= event.evidence.keys(), "the numbers of its own gate stand where none were given"
    assert [event.evidence["p"] for event in promotions] == [0.004, 0.01, 0.004]
    assert promotions[2].evidence["override"] is True
    with pytest.raises(RequestError, match="Expected who it was, in words, found nothing"):
        local.promote("router", 1, who="", why="nobody")
