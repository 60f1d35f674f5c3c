"""Keys: who may call, for what, how often, and what was counted."""

import json
import math
import os
import random
import stat
import subprocess
import sys
import time
import zlib

import pytest

from lingqu.errors import AccessError, QuotaError, RequestError, ScopeError, UnknownNameError
from lingqu.serve import keys as keys_module
from lingqu.serve.keys import ANYONE, Keys, all_keys, find_key, guard, new_key, revoke
from lingqu.serve.quota import Limits
from lingqu.spec.tariff import Allowance, Pace
from lingqu.store import Store
from tests.clock import fewest_seconds

NOON = 1_795_348_800.0
"""2026-11-22 12:00 UTC."""


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store")


def refused(keys, token, scope=None):
    with pytest.raises(AccessError) as error:
        keys.principal(token, scope)
    return str(error.value)


def test_who_calls(store):
    key, token = new_key(store, "anna", scopes=["predict"], rate="100 per minute", tenant="ward 3")
    _, gone = new_key(store, "ben")
    revoke(store, "ben")
    _, old = new_key(store, "carl", days=1e-9)
    with Keys(store, required=True) as keys:
        who = keys.principal(token, "predict")
        assert (who.id, who.name, who.scopes, who.tenant) == (key.id, "anna", {"predict"}, "ward 3")
        assert who.rate == Pace(100, 60.0, "100 per minute")
        again = "Send it as it was shown by: lingqu keys new"
        known = {
            None: "Expected a key, found none. Send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.",
            "": "Expected a key, found none. Send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'.",
            "secret": f"Expected a key such as lq_…, found one that is mistyped or cut off. {again}",
            token[:-1]: f"Expected a key such as lq_…, found one that is mistyped or cut off. {again}",
            gone: "Expected an active key, found one that is revoked. Ask for a new one.",
            old: "Expected an active key, found one that is expired. Ask for a new one.",
        }
        for wrong, message in known.items():
            assert refused(keys, wrong) == message
        with pytest.raises(ScopeError) as error:
            keys.principal(token, "feedback")
    assert str(error.value) == (
        "Expected a key that may feedback, found 'anna', which may predict. Ask for a key with the scope feedback."
    )


def test_a_forged_key_is_refused(store):
    """The right id with another secret and a right checksum, and a key of another store."""
    key, token = new_key(store, "anna")
    _, other = new_key(Store.open(store.folder.with_name("other")), "anna")
    forged = other.replace(other[3:15], key.id)
    body = forged.rpartition("_")[0]
    forged = f"{body}_{zlib.crc32(body.encode()):08x}"
    with Keys(store, required=True) as keys:
        message = "Expected a key of this service, found one that it does not know. "
        assert refused(keys, forged).startswith(message)
        assert refused(keys, other).startswith(message)
        # Any changed character of a true key is refused.
        for place in range(len(token)):
            changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
            assert refused(keys, changed)


def test_an_open_service_knows_nobody_but_checks_who_brings_a_key(store):
    _, token = new_key(store, "anna", scopes=["admin"])
    with Keys(store, required=False) as keys:
        assert keys.principal(None) is ANYONE
        assert ANYONE.scopes == {"predict", "feedback", "read"}
        assert keys.principal(token).name == "anna"
        assert "mistyped" in refused(keys, "x")
        with pytest.raises(ScopeError):
            keys.principal(None, "admin")


def test_a_revoked_key_is_refused_within_a_second(store):
    with Keys(store, required=True) as keys, Keys(store, required=True) as another_worker:

        def revoked() -> None:
            _, token = new_key(store, "anna")
            keys.refresh()
            another_worker.refresh()
            revoke(store, "anna")
            for worker in (keys, another_worker):
                with pytest.raises(AccessError):
                    while worker.principal(token):
                        time.sleep(0.01)

        assert fewest_seconds(revoked, enough=1.0, clock=time.monotonic) < 1


def test_keys_that_are_refused_make_room_for_others(store):
    (gone, _), (stays, _) = (new_key(store, name, rate="5 per day") for name in ("gone", "stays"))
    for kept in ({gone.id, stays.id}, {stays.id}):
        with Keys(store, required=True) as keys:
            if gone.id in kept:
                for key in (gone, stays):
                    keys.spend(key.principal(), 1)
                revoke(store, "gone")
        held = (store.folder / "serve" / "windows").read_bytes()
        assert {key.id for key in (gone, stays) if key.id.encode() in held} == kept


def test_a_host_that_others_reach_needs_a_key(store):
    assert guard("127.0.0.1", store) is False
    told = (
        "Expected a key before the service listens on 0.0.0.0, found none that is active. "
        "Make one: lingqu keys new NAME; or listen on 127.0.0.1."
    )
    with pytest.raises(RequestError) as error:
        guard("0.0.0.0", store)
    assert str(error.value) == told
    assert error.value.exit_status == 2
    new_key(store, "anna")
    assert guard("0.0.0.0", store) is True
    revoke(store, "anna")
    with pytest.raises(RequestError):
        guard("0.0.0.0", store)


def test_everything_wrong_with_a_new_key_is_told_at_once(store):
    with pytest.raises(RequestError) as error:
        new_key(store, "", scopes=["predicts"], days=0, rate="fast", quota="5", price="1 per row")
    assert [str(problem) for problem in error.value.problems] == [
        "Expected a name of at most 100 letters, digits, spaces and . - _ @ +, found ''. Choose another name.",
        "Expected a scope, found 'predicts'. Did you mean 'predict'?",
        "Expected an expiry within 3,660 days, found 0 days. Or let it never expire.",
        "Expected a rate such as '100 per minute', found 'fast'. Write it like that, in quotes.",
        "Expected a quota such as '10000 rows per month', found '5'. Write it like that, in quotes.",
        "Expected a price such as '0.01 CNY per row', found '1 per row'. Write it like that, in quotes.",
    ]
    assert all_keys(store) == []


def test_a_key_is_found_by_id_or_by_a_name_of_its_own(store):
    first, _ = new_key(store, "anna")
    second, _ = new_key(store, "anna")
    assert find_key(store, first.id) == first
    with pytest.raises(UnknownNameError) as error:
        revoke(store, "anna")
    assert str(error.value) == (
        f"Expected the id or the name of a key, found 2 keys of that name: {first.id}, {second.id}. Give the id."
    )
    revoke(store, second.id)
    assert revoke(store, "anna").id == first.id
    with pytest.raises(UnknownNameError):
        find_key(store, "ana")
    with pytest.raises(UnknownNameError) as error:
        revoke(store, "anna")
    assert str(error.value) == (
        "Expected the id or the name of an active key, found 'anna', which is revoked. "
        "It is refused already. See them: lingqu keys"
    )
    new_key(store, "anna", days=1e-9)
    with pytest.raises(UnknownNameError, match="found 'anna', which is expired or revoked"):
        find_key(store, "anna")
    assert revoke(store, first.id).id == first.id


@pytest.fixture
def limits(tmp_path):
    made = Limits(tmp_path / "limits")
    yield made
    made.close()


def test_a_pace_lets_a_burst_through_and_then_waits(limits):
    pace = Pace.parse("10 per minute")

    def passes(at):
        try:
            limits.spend("k", "anna", 1, pace=pace, quota=None, now=at)
        except QuotaError as error:
            assert error.retry_after >= 1
            return False
        return True

    assert [passes(NOON + i) for i in range(12)] == [True] * 10 + [False] * 2
    assert [passes(NOON + 59.9), passes(NOON + 60), passes(NOON + 60), passes(NOON + 61)] == [False, True, False, True]
    # In the long run, however often it is tried: 10 a minute.
    assert sum(passes(NOON + 70 + step) for step in range(3_600)) == pytest.approx(600, abs=11)


@pytest.mark.parametrize("text", ["1 per second", "7 per minute", "31 per minute", "32 per minute", "100 per hour"])
def test_a_pace_holds_in_any_window(limits, text):
    """Bursts, drizzle and silence at random moments: never more than it says, and a 31st fewer at the most."""
    pace, draw, now = Pace.parse(text), random.Random(text), NOON
    passed, group = [], -(-pace.count // 31)
    for _ in range(3_000):
        now += pace.seconds * draw.choice((0.0, 0.1 / pace.count, 0.9 / pace.count, 1 / pace.count, 0.3))
        within = sum(1 for one in passed[-pace.count :] if now < one + pace.seconds)
        try:
            limits.spend("k", "anna", 1, pace=pace, quota=None, now=now)
        except QuotaError as error:
            assert within > pace.count - group
            assert 1 <= error.retry_after <= math.ceil(pace.seconds)
        else:
            assert within < pace.count
            passed.append(now)
    assert len(passed) > pace.count


def test_a_worker_with_an_older_look_at_the_clock_opens_no_gap(limits):
    pace = Pace.parse("100 per minute")
    for i in range(100):
        limits.spend("k", "anna", 1, pace=pace, quota=None, now=NOON - (i % 2) * 0.01)
    with pytest.raises(QuotaError):
        limits.spend("k", "anna", 1, pace=pace, quota=None, now=NOON + 59.995)
    limits.spend("k", "anna", 1, pace=pace, quota=None, now=NOON + 60)


def test_a_clock_that_is_set_back_shuts_nobody_out(limits):
    pace = Pace.parse("1 per minute")
    limits.spend("k", "anna", 1, pace=pace, quota=None, now=NOON)
    limits.spend("k", "anna", 1, pace=pace, quota=None, now=NOON - 86_400)


def test_a_quota_ends_and_begins_again_with_its_period(limits):
    quota = Allowance.parse("10 rows per day")
    limits.spend("k", "anna", 8, pace=None, quota=quota, now=NOON)
    with pytest.raises(QuotaError) as error:
        limits.spend("k", "anna", 3, pace=None, quota=quota, now=NOON)
    assert str(error.value) == (
        "Expected at most 10 rows per day with the key 'anna', found 3 rows with 2 left. "
        "The next day begins in 43,200 s (UTC)."
    )
    assert error.value.retry_after == 43_200
    limits.spend("k", "anna", 2, pace=None, quota=quota, now=NOON)
    limits.give_back("k", 2, quota=quota, now=NOON)
    limits.spend("k", "anna", 2, pace=None, quota=quota, now=NOON)
    limits.spend("k", "anna", 10, pace=None, quota=quota, now=NOON + 43_200)


SPEND = """
import sys
from pathlib import Path
from lingqu.errors import QuotaError
from lingqu.serve.quota import Limits
from lingqu.spec.tariff import Allowance, Pace
limits = Limits(Path(sys.argv[1])); passed = 0
for _ in range(4000):
    try:
        limits.spend("k", "anna", 1, pace=Pace.parse("1000 per hour"), quota=Allowance.parse("700 rows per day"), now=1795348800.0)
        passed += 1
    except QuotaError:
        pass
print(passed)
"""


@pytest.mark.heavy
def test_workers_share_what_a_key_may_ask(tmp_path):
    command = [sys.executable, "-c", SPEND, str(tmp_path / "limits")]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    passed = [int(worker.communicate()[0]) for worker in workers]
    assert sum(passed) == 700, passed


def test_a_quota_counts_what_other_machines_have_answered(store, tmp_path):
    """Two folders are two machines; the database is one."""
    shared = f"sqlite:///{tmp_path / 'shared.db'}"
    here, there = Store.open(tmp_path / "here", shared), Store.open(tmp_path / "there", shared)
    _, token = new_key(here, "anna", quota="10 rows per month")
    with Keys(there, required=True) as other:
        who = other.principal(token)
        other.spend(who, 8)
        other.meter(who, "router", rows=8, compute_seconds=0.1)
        other.usage.flush()
        with Keys(here, required=True) as keys:
            with pytest.raises(QuotaError) as error:
                keys.spend(keys.principal(token), 3)
            assert "found 3 rows with 2 left" in str(error.value)
            keys.spend(keys.principal(token), 2)


def test_the_hash_alone_is_kept(store):
    _, token = new_key(store, "anna")
    secret = token.split("_", 2)[2][:43].encode()
    with Keys(store, required=True) as keys:
        keys.principal(token)
        kept = b"".join(path.read_bytes() for path in store.folder.rglob("*") if path.is_file())
    assert secret not in kept
    assert token.encode() not in kept
    assert token not in repr(keys.__dict__)
    assert json.loads(json.dumps(all_keys(store)[0].scopes)) == ["predict", "feedback", "read"]


def test_only_the_owner_reads_what_the_service_keeps(store):
    """X35: files 0600 and folders 0700, whatever the umask is."""
    before = os.umask(0)
    try:
        new_key(store, "anna")
        store.secret("users")
        with Keys(store, required=True):
            modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in store.folder.rglob("*")}
    finally:
        os.umask(before)
    assert {path.name for path in modes} >= {"lingqu.db", "windows", "users"}
    assert {oct(mode) for path, mode in modes.items() if path.is_file()} == {"0o600"}
    assert {oct(mode) for path, mode in modes.items() if path.is_dir()} == {"0o700"}


def test_a_stop_does_not_wait_for_a_busy_database(store, monkeypatch):
    monkeypatch.setattr(keys_module, "CLOSE_SECONDS", 0.2)
    keys = Keys(store, required=False)
    keys.start()
    keys.meter(ANYONE, "router", rows=1, compute_seconds=0)
    with store.database.writing():
        began = time.monotonic()
        keys.close()
        assert time.monotonic() - began < 2


def test_a_damaged_key_is_refused_and_found_and_harms_no_other(store):
    damaged, token = new_key(store, "anna", rate="100 per minute")
    broken, other = new_key(store, "ben")
    _, good = new_key(store, "carl")
    with store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE keys SET rate = '1\x01 per minute' WHERE id = ?", (damaged.id,))
        connection.exec_driver_sql("UPDATE keys SET scopes = '[\"predict' WHERE id = ?", (broken.id,))
    with Keys(store, required=True) as keys:
        assert "one that it does not know" in refused(keys, token)
        assert "which may nothing" in refused(keys, other, "predict")
        assert keys.principal(good, "predict").name == "carl"
    assert {str(problem) for problem in store.fsck()} == {
        f"Expected the key {key.id} as it was written, found other content. Revoke it: lingqu keys revoke {key.id}"
        for key in (damaged, broken)
    }
    revoke(store, damaged.id)
