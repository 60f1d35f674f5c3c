"""The journal: everything answered is there, and nothing that happens to it slows or breaks an answer."""

import gc
import math
import os
import sqlite3
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lingqu.contract.answers import LabelScores, Refusal
from lingqu.errors import StoreError
from lingqu.privacy.encrypt import MasterKeys, new_master_key
from lingqu.serve import journal as journal_module
from lingqu.serve.formatter import Formatter
from lingqu.serve.journal import Entry, Journal, moment_of, new_id, pseudonym, purge, recorded
from lingqu.serve.keys import ANYONE
from lingqu.serve.sealed import Sealed
from lingqu.spec.running import JournalSettings
from lingqu.store import Store
from lingqu.store.database import Database

pytestmark = pytest.mark.heavy
YES = LabelScores.of({"yes": 0.75, "no": 0.25})


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store")


def entry(row=None, answer=YES, *, user=None, at=None, name="router", request_id="r1"):
    return Entry(new_id(), request_id, at or time.time(), name, 3, "champion", ANYONE, user, row, answer, 4.25)


def kept(store, *entries, policy=None, keys=None):
    with Journal(store, policy or JournalSettings(), keys=keys) as journal:
        for one in entries:
            journal.record(one)
    assert (journal.lost, journal.written) == (0, len(entries))
    return recorded(store, keys=keys)


def test_an_answer_as_it_is_kept(store):
    one = entry({"text": "Mail anna@example.org", "age": 31}, user="anna")
    (found,) = kept(store, one)
    assert (found.id, found.request_id, found.name, found.number) == (one.prediction_id, "r1", "router", 3)
    assert (found.role, found.principal, found.tenant, found.policy) == ("champion", "anyone", "", "masked")
    assert found.input == {"text": "Mail [EMAIL]", "age": 31}
    assert found.answer == {
        "kind": "label-scores", "prediction": "yes", "confidence": 0.75, "scores": {"yes": 0.75, "no": 0.25},
    }  # fmt: skip
    assert (found.confidence, found.latency_ms) == (0.75, 4.25)
    assert found.user not in (None, "anna")
    assert found.at == journal_module.iso(one.at)


def test_one_user_stays_one_user_and_nobody_can_try_names(store, tmp_path):
    first, second, third = kept(store, entry(user="anna"), entry(user="anna"), entry(user="ben"))
    assert first.user == second.user == pseudonym(store, "anna") != third.user
    other = kept(Store.open(tmp_path / "other"), entry(user="anna"))[0]
    assert other.user != first.user


@pytest.mark.parametrize(
    ("policy", "row", "expected"),
    [
        ("none", {"text": "a@b.cn"}, None),
        ("masked", {"text": "a@b.cn", "picture": b"12345"}, {"text": "[EMAIL]", "picture": {"$omitted": 5}}),
        ("plain", {"text": "a@b.cn", "picture": b"12345"}, {"text": "a@b.cn", "picture": b"12345"}),
        ("plain", {"picture": b"1" * 300_000}, {"picture": {"$omitted": 300_000}}),
    ],
)
def test_inputs_by_policy(store, policy, row, expected):
    (found,) = kept(store, entry(row), policy=JournalSettings(inputs=policy))
    assert found.input == expected
    assert found.policy == policy


def test_a_refusal_does_not_repeat_what_it_refused(store):
    refusal = Refusal("Expected a number in 'age', found '13800138000'.")
    assert kept(store, entry({"age": "13800138000"}, refusal))[0].answer == {"kind": "refusal"}
    assert b"13800138000" not in b"".join(path.read_bytes() for path in store.folder.glob("lingqu.db*"))


def test_a_refused_row_does_not_fill_the_disk(store):
    refusal, label = (
        Refusal("Expected a name of at most 10,000 characters in 'job', found 11,000,000."),
        LabelScores.of({"a": 1.0}),
    )
    long, short = entry({"job": "a" * 10_001, "age": 31}, refusal), entry({"job": "a" * 10_000}, refusal)
    rows = kept(store, long, short, entry({"text": "b" * 1_000_000}, label), entry({"age": "0" * 1_000_001}, label))
    assert [None if row.input is None else {name: len(text) for name, text in row.input.items()} for row in rows] == [
        None,
        {"job": 10_000},
        {"text": 1_000_000},
        None,
    ]


def test_a_number_that_names_somebody_is_masked_also_as_a_float(store):
    # Tensors of FP64 and columns with empty cells hold whole numbers as floats.
    assert kept(store, entry({"tel": 13800138000.0, "income": 50.5, "debt": 3e9}))[0].input == {
        "tel": "[PHONE]",
        "income": 50.5,
        "debt": 3e9,
    }


def test_a_share_of_inputs(store):
    found = kept(store, *(entry({"n": i}) for i in range(2000)), policy=JournalSettings(sample=0.25))
    shares = sum(one.input is not None for one in found) / 2000
    # Four standard errors of 2,000 draws.
    assert shares == pytest.approx(0.25, abs=0.04)
    assert {one.policy for one in found if one.input is None} == {"none"}


AWKWARD = [
    "", "渠", "a\0b", "\ud800", "\u2028", '"', "{\"$bytes\": 1}", 0, -1, 2**63, 10**30, 1e308, 5e-324, float("inf"), True, None,
    [1, "a"], {"a": 1},
]  # fmt: skip


def test_every_value_comes_back_as_it_was(store):
    rows = [{"value": value} for value in AWKWARD]
    found = kept(store, *(entry(row) for row in rows), policy=JournalSettings(inputs="plain"))
    assert {str(one.input) for one in found} == {str(row) for row in rows}


def test_inputs_are_encrypted_with_a_key(store):
    keys = MasterKeys((new_master_key(),))
    (found,) = kept(store, entry({"text": "the secret channel"}), keys=keys)
    assert found.input == {"text": "the secret channel"}
    assert b"channel" not in b"".join(path.read_bytes() for path in store.folder.glob("lingqu.db*"))
    with pytest.raises(StoreError) as error:
        recorded(store)
    assert str(error.value) == (
        "Expected the key that inputs were encrypted with, found none. Set LINGQU_ENCRYPTION_KEY."
    )
    with pytest.raises(StoreError) as error:
        recorded(store, keys=MasterKeys((new_master_key(),)))
    assert str(error.value) == (
        "Expected the key that this was encrypted with, found only 1 other. "
        "Add the key that it was written with to LINGQU_ENCRYPTION_KEY, after the new one."
    )
    newer = MasterKeys((new_master_key(), *keys.keys))
    assert recorded(store, keys=newer)[0].input == found.input


def test_inputs_that_change_places_are_refused(store):
    keys = MasterKeys((new_master_key(),))
    first, second = kept(store, entry({"text": "one"}), entry({"text": "two"}), keys=keys)
    with store.database.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE predictions SET input = (SELECT input FROM predictions WHERE id = ?) WHERE id = ?",
            (first.id, second.id),
        )
    with pytest.raises(StoreError, match="bytes of another place"):
        recorded(store, keys=keys)


def test_ids_sort_by_time_and_tell_it():
    ids = []
    for _ in range(20):
        ids.append(new_id())
        time.sleep(0.002)
    assert ids == sorted(ids)
    assert moment_of(ids[0]) == pytest.approx(time.time(), abs=5)
    assert moment_of("../../etc/passwd") is None


PIECES = st.sampled_from(
    ["13800138000", "a@b.cn", "京A12345", "10.0.0.7", "::1", "٣", "５", "渠", "no", " ", ":", "@", "x" * 3000]
)
TEXTS = st.lists(PIECES, max_size=4).map("".join)
CELLS = st.one_of(
    TEXTS, st.text(max_size=8), st.integers(), st.sampled_from([13800138000, -(2**70)]), st.floats(), st.booleans(), st.none(),
    st.binary(max_size=4), st.lists(TEXTS, max_size=2), st.dictionaries(TEXTS, st.one_of(TEXTS, st.floats()), max_size=2),
)  # fmt: skip


@given(
    st.dictionaries(st.text(max_size=5), CELLS, max_size=3),
    st.sampled_from(["none", "masked", "plain"]),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([None, "anna"]),
)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_a_row_that_is_made_at_once_is_the_one_that_would_be_made_later(row, policy, share, user):
    one = entry(row, user=user)
    formatter = Formatter(JournalSettings(inputs=policy, sample=share), Sealed(None), lambda: b"secret")
    formatter.row(one)
    made, size = formatter.at_once(one)
    kept = policy != "none" and int(one.prediction_id[-8:], 16) < share * 2**32
    later = formatter.row(one._replace(input=formatter._copy(row)[0] if kept else None))
    assert size >= 200
    assert (formatter.row(made) if isinstance(made, Entry) else made) == later
    plain = all(type(cell) in (float, bool, type(None)) and cell not in (math.inf, -math.inf) for cell in row.values())
    if plain and not any(cell != cell for cell in row.values()):
        assert not isinstance(made, Entry)


def test_with_a_key_nothing_is_made_before_it_is_encrypted():
    formatter = Formatter(JournalSettings(), Sealed(MasterKeys((new_master_key(),))), lambda: b"secret")
    one = entry({"age": 31})
    made, _ = formatter.at_once(one)
    assert made is one
    assert formatter.row(one)[9].startswith("enc:")


def test_old_answers_leave_and_their_bytes_too(store):
    now = time.time()
    kept(store, entry({"text": "an old canal"}, at=now - 100), entry({"text": "a new canal"}, at=now))
    assert purge(store, 50, now=now) == 1
    assert [one.input for one in recorded(store)] == [{"text": "a new canal"}]
    assert b"an old canal" not in b"".join(path.read_bytes() for path in store.folder.glob("lingqu.db*"))


def test_the_journal_removes_old_answers_by_itself(store):
    kept(store, entry(at=time.time() - 90_000), entry())
    with Journal(store, JournalSettings(keep="1 d")):
        deadline = time.monotonic() + 5
        while len(recorded(store)) > 1 and time.monotonic() < deadline:
            time.sleep(0.02)
    assert len(recorded(store)) == 1


def test_whatever_the_clock_says_all_that_is_over_leaves_within_one_cycle(store, monkeypatch):
    """P13: a month passes in steps of a week, and after one cycle nothing expired is there and nothing else is gone."""
    day = 86_400.0
    clock = [2_000_000_000.0]
    monkeypatch.setattr(journal_module.time, "time", lambda: clock[0])
    monkeypatch.setattr(journal_module, "CYCLE_SECONDS", 0.05)
    begin = clock[0]
    with Journal(store, JournalSettings(keep="30 d", inputs="plain")) as journal:
        for hours in range(1000):
            journal.record(entry({"text": f"canal{hours}"}, at=begin - hours * 3600, request_id=f"r{hours}"))
        for passed in (0, 7, 14, 21, 28, 35):
            clock[0] = begin + passed * day
            wanted = {f"r{hours}" for hours in range(1000) if hours * 3600 + passed * day <= 30 * day}
            deadline = time.monotonic() + 10
            while {one.request_id for one in recorded(store)} != wanted and time.monotonic() < deadline:
                time.sleep(0.02)
            assert {one.request_id for one in recorded(store)} == wanted
    assert wanted == set()
    assert b"canal" not in b"".join(path.read_bytes() for path in store.folder.glob("lingqu.db*"))


def impatient(store):
    """The same store, over connections that do not wait long for another writer."""
    opened = Store.open(store.folder)
    opened.__dict__["database"] = Database(None, store.folder, patience=0.02)
    return opened


def test_a_full_queue_loses_the_rest_and_counts_it(store, monkeypatch):
    monkeypatch.setattr(journal_module, "MOST_ENTRIES", 10)
    journal = Journal(store, JournalSettings())
    for _ in range(25):
        journal.record(entry())
    assert journal.lost == 15
    journal.start()
    journal.close()
    assert (journal.lost, journal.written) == (15, 10)


def test_large_inputs_do_not_fill_the_memory(store, monkeypatch):
    monkeypatch.setattr(journal_module, "MOST_BYTES", 10_000)
    journal = Journal(store, JournalSettings())
    for _ in range(10):
        journal.record(entry({"text": "x" * 4000}))
    assert journal.lost == 8
    journal.close()


@pytest.mark.parametrize(("policy", "held"), [("none", 0), ("masked", 0), ("plain", 1)])
def test_what_is_not_kept_is_not_held(store, policy, held):
    picture = os.urandom(1000)
    before = sys.getrefcount(picture)
    journal = Journal(store, JournalSettings(inputs=policy))
    journal.record(entry({"picture": picture}))
    gc.collect()
    assert sys.getrefcount(picture) == before + held
    journal.close()


def test_what_a_busy_database_refuses_is_written_later(store):
    journal = Journal(impatient(store), JournalSettings())
    with store.database.writing():
        journal.start()
        for _ in range(3):
            journal.record(entry())
        time.sleep(0.5)
        assert journal.written == 0
    journal.close()
    assert (journal.lost, journal.written) == (0, 3)


def test_a_database_that_was_put_back_from_a_copy_is_the_one_written_to(store):
    with Journal(store, JournalSettings()) as journal:
        journal.record(entry(request_id="before"))
        deadline = time.monotonic() + 10
        while journal.written < 1 and time.monotonic() < deadline:
            time.sleep(0.01)
        path = store.database.path
        copy = path.with_suffix(".copy")
        with sqlite3.connect(path) as source, sqlite3.connect(copy) as target:
            source.backup(target)
        source.close()
        target.close()
        for beside in ("-wal", "-shm"):
            path.with_name(path.name + beside).unlink(missing_ok=True)
        copy.replace(path)
        journal.record(entry(request_id="after"))
    assert {one.request_id for one in recorded(store)} == {"before", "after"}


def test_what_a_database_refuses_for_long_is_lost_and_counted(store):
    journal = Journal(impatient(store), JournalSettings(), retry_seconds=0.1)
    with store.database.writing():
        journal.start()
        journal.record(entry())
        journal.close(patience=0.2)
        assert journal.lost == 1
    assert recorded(store) == []


def test_an_id_that_comes_twice_harms_no_other(store):
    one, other = entry(), entry()
    with Journal(store, JournalSettings()) as journal:
        for each in (one, one, other):
            journal.record(each)
    assert (journal.lost, journal.written) == (1, 2)
    assert {found.id for found in recorded(store)} == {one.prediction_id, other.prediction_id}


class Odd(LabelScores):
    def cells(self, *, scores=False):
        raise RuntimeError("no cells")


def test_an_answer_that_cannot_be_recorded_harms_nobody(store, caplog):
    with Journal(store, JournalSettings()) as journal:
        journal.record(entry(answer=Odd("yes", 1.0)))
        journal.record(entry())
    assert (journal.lost, journal.written) == (1, 1)
    assert "journal: an answer of router cannot be recorded" in caplog.text


def test_to_record_takes_microseconds_whatever_the_database_does(store):
    journal = Journal(impatient(store), JournalSettings(), retry_seconds=0.2)
    row = {"text": "What is the phone number of anna? 13800138000 " * 10}
    with store.database.writing():
        journal.start()
        began = time.thread_time()
        for _ in range(2000):
            journal.record(entry(row))
        used = time.thread_time() - began
        journal.close(patience=0.1)
    assert used / 2000 < 100e-6, f"{used / 2000 * 1e6:.1f} µs"


def test_many_threads_may_record(store):
    with Journal(store, JournalSettings()) as journal:

        def work():
            for _ in range(200):
                journal.record(entry())

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(recorded(store)) == 800


FULL = """
import resource, signal, sys, time
from pathlib import Path
from lingqu.contract.answers import LabelScores
from lingqu.serve.journal import Entry, Journal, new_id
from lingqu.serve.keys import ANYONE
from lingqu.spec.running import JournalSettings
from lingqu.store import Store
store = Store.open(Path(sys.argv[1])); store.engine
journal = Journal(store, JournalSettings(), retry_seconds=0.3)
journal.start()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
size = max(path.stat().st_size for path in Path(sys.argv[1]).glob("lingqu.db*"))
resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
slowest = 0
for i in range(3000):
    began = time.perf_counter()
    journal.record(Entry(new_id(), "r", time.time(), "m", 1, "champion", ANYONE, None, {"text": "x" * 500}, LabelScores.of({"a": 1.0}), 1.0))
    slowest = max(slowest, time.perf_counter() - began)
    time.sleep(0.0002)
deadline = time.monotonic() + 20
while not journal.lost and time.monotonic() < deadline: time.sleep(0.05)
lost = journal.lost
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
time.sleep(0.5)
before = journal.written
journal.record(Entry(new_id(), "last", time.time(), "m", 1, "champion", ANYONE, None, None, LabelScores.of({"a": 1.0}), 1.0))
journal.close()
print(lost, journal.written > before, journal.written + journal.lost, slowest)
"""


def test_a_full_disk_costs_entries_and_no_answer(tmp_path):
    """S16: files may not grow (what a full disk is to who writes); then they may again."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "store")], capture_output=True, text=True, timeout=60, check=True
    )
    lost, recovered, together, slowest = done.stdout.split()
    assert int(lost) > 0
    assert recovered == "True"
    assert int(together) == 3001
    assert float(slowest) < 0.25
    problems = Store.open(tmp_path / "store").fsck()
    assert problems == []
