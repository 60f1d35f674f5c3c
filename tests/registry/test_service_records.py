"""What the service keeps, on SQLite and on PostgreSQL."""

import threading
import time
from decimal import Decimal

import pytest

from lingqu.contract.answers import LabelScores, Refusal
from lingqu.errors import AccessError, ConflictError, QuotaError
from lingqu.feedback.forget import forget
from lingqu.feedback.guardrails import watch
from lingqu.feedback.paired import compared
from lingqu.registry import Registry
from lingqu.registry.rollouts import begin, in_use, move, rollout
from lingqu.serve.inbox import Inbox, received
from lingqu.serve.journal import Entry, Journal, new_id, purge, recorded
from lingqu.serve.keys import ANYONE, Keys, all_keys, new_key, revoke
from lingqu.serve.usage import Usage, report, tidy
from lingqu.spec.running import JournalSettings, ServeSettings
from lingqu.store import Store
from lingqu.store.history import append
from lingqu.store.tables import METADATA

pytestmark = pytest.mark.heavy
YES = LabelScores.of({"yes": 0.75, "no": 0.25})
AWKWARD = ["渠 a@b.cn", "a\0b", "\ud800", "'; DROP TABLE keys; --", "\u2028", "😀", ""]


def entry(row, **more):
    return Entry(
        new_id(), "r\0\ud800", more.pop("at", time.time()), "router", 3, "champion", ANYONE, "u\0", row, YES, 1.0
    )


def test_the_journal(store: Store):
    now = time.time()
    with Journal(store, JournalSettings(inputs="plain")) as journal:
        for text in AWKWARD:
            journal.record(entry({"text": text}))
        journal.record(entry({"text": "old"}, at=now - 100))
    assert (journal.lost, journal.written) == (0, len(AWKWARD) + 1)
    assert purge(store, 50, now=now) == 1
    assert sorted(one.input["text"] for one in recorded(store, "router")) == sorted(AWKWARD)
    assert len(recorded(store, newest=2)) == 2


def test_keys_and_usage(store: Store):
    key, token = new_key(store, "anna", quota="10 rows per day", price="0.01 CNY per row")
    with Keys(store, required=True) as keys:
        who = keys.principal(token)
        keys.spend(who, 10)
        with pytest.raises(QuotaError):
            keys.spend(who, 1)
        keys.meter(who, "router", rows=10, compute_seconds=0.5)
        revoke(store, key.id)
        keys.refresh()
        with pytest.raises(AccessError):
            keys.principal(token)
    old = Usage(store)
    old.add(key.id, "router", requests=1, rows=5, compute_seconds=0, now=time.time() - 1e6)
    old.flush()
    tidy(store)
    (free, paid) = report(store)
    assert (free.rows, free.currency, paid.rows, paid.cost) == (5, "", 10, Decimal("0.1"))
    assert len(report(store, by=["day", "model"])) == 2
    assert [one.state() for one in all_keys(store)] == ["revoked"]


def test_many_givers_at_once_are_one_vote(store: Store):
    one = entry({"text": "a parcel"})
    with Journal(store, JournalSettings()) as journal:
        journal.record(one)
    given, receipts, refused = {"prediction_id": one.prediction_id, "label": "no"}, [], []

    def give(key: str | None) -> None:
        try:
            receipts.append(Inbox(store, ServeSettings()).receive(given, ANYONE, key))
        except ConflictError as error:
            refused.append(error)

    threads = [threading.Thread(target=give, args=("same" if i % 2 else f"k{i}",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (vote,) = received(store)
    assert {receipt.feedback_id for receipt in receipts} == {vote.id}
    # Either the four of one key are the vote and its retries, or one of the others was first.
    assert len(receipts) in (1, 4)
    assert len(receipts) + len(refused) == 8


def test_a_person_is_forgotten(store: Store):
    plain, person = JournalSettings(inputs="plain"), "anna@example.org"
    with Journal(store, plain) as journal:
        journal.record(mine := entry({"text": f"call {person}"}))
        journal.record(other := entry({"text": "call nobody"}))
    Inbox(store, ServeSettings(journal=plain)).receive({"prediction_id": mine.prediction_id, "label": "no"}, ANYONE)
    new_key(store, person)
    with store.database.writing() as connection:
        append(connection, name="router", who="ben", action="freeze", why=f"asked by {person}")
    found = forget(person, store=store, who="ben")
    assert (found.predictions, found.feedback, found.keys, found.history) == (1, 1, 1, 1)
    assert (found.done, found.left, found.compacted) == (True, [], True)
    assert [one.id for one in recorded(store)] == [other.prediction_id]
    assert (received(store), store.fsck()) == ([], [])
    with store.database.reading() as connection:
        for table in METADATA.sorted_tables:
            assert person not in repr(connection.execute(table.select()).all()), table.name


def test_a_canary_is_watched(store: Store, register):
    registry = Registry(store)
    versions = [register(registry, content) for content in "ab"]
    registry.promote("router", 1, who="anna", why="first")
    begin(store, versions[1], against=1, epoch=1, why="its gate was passed", evidence={})
    now = rollout(store, "router")
    assert now is not None
    now = move(store, now, "canary", 0.25, why="better", evidence={})
    with Journal(store, JournalSettings()) as journal:
        for place in range(40):
            role, number = ("canary", 2) if place % 4 == 0 else ("champion", 1)
            given = Refusal("no") if number == 2 else YES
            told = ("r", time.time(), "router", number, role, ANYONE, f"user {place}", {"text": "a"}, given, 1.0)
            journal.record(Entry(new_id(), *told))
    assert in_use(store, "router", now.began)
    seen = watch(store, now)
    assert (seen.answers, seen.of) == (10, 40)
    assert seen.broken == ("10 of 10 refusals are about it, where 25 % should be",)
    assert compared(store, now).ids == ()
