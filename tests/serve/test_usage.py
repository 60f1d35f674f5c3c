"""Usage: every count is there once, whatever is repeated, killed or summed."""

import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from types import SimpleNamespace

import pytest

from lingqu.errors import StoreError
from lingqu.serve.keys import Keys, new_key
from lingqu.serve.usage import Usage, hour_of, report, tidy
from lingqu.spec.tariff import Price
from lingqu.store import Store
from lingqu.store.database import Database


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "store")


def test_a_bill(store):
    key, token = new_key(store, "anna", price="0.01 CNY per row + 0.5 CNY per request + 2 CNY per compute second")
    with Keys(store, required=True) as keys:
        who = keys.principal(token)
        keys.meter(who, "router", rows=3, compute_seconds=0.25)
        keys.meter(who, "router", rows=4, compute_seconds=0.25)
        keys.meter(who, "digits", rows=1, compute_seconds=0.0)
    (line,) = report(store)
    assert (line.key, line.key_name, line.requests, line.rows, line.compute_seconds) == (key.id, "anna", 3, 8, 0.5)
    assert (line.cost, line.currency) == (Decimal("2.58"), "CNY")
    assert [(line.model, line.rows) for line in report(store, by=["model"])] == [("digits", 1), ("router", 7)]
    assert report(store, until="2020-01-01") == report(store, since="2100") == report(store, keys=["nobody"]) == []


def test_a_price_changes_what_comes_and_not_what_was(store):
    usage = Usage(store)
    for text in ("1 CNY per row", "2 CNY per row", "3 EUR per row"):
        usage.add("k", "m", requests=1, rows=1, compute_seconds=0, price=Price.parse(text))
    usage.flush()
    assert [(line.currency, line.cost) for line in report(store)] == [("CNY", 3), ("EUR", 3)]


def test_shares_below_a_microsecond_add_up(store):
    usage = Usage(store)
    for _ in range(1000):
        usage.add("k", "m", requests=1, rows=1, compute_seconds=4e-7, price=Price.parse("1 CNY per compute second"))
    usage.flush()
    (line,) = report(store)
    assert (line.compute_seconds, line.cost) == (0.0004, Decimal("0.0004"))


def test_writing_again_doubles_nothing(store):
    usage, other = Usage(store), Usage(store)
    for _ in range(5):
        usage.add("k", "m", requests=1, rows=2, compute_seconds=0.1)
        other.add("k", "m", requests=1, rows=2, compute_seconds=0.1)
        usage.flush()
        usage.flush()
        other.flush()
    assert [(line.requests, line.rows, line.compute_seconds) for line in report(store)] == [(10, 20, 1.0)]


def test_what_could_not_be_written_is_written_later(store):
    impatient = Store.open(store.folder)
    impatient.__dict__["database"] = Database(None, store.folder, patience=0.05)
    usage = Usage(impatient)
    usage.add("k", "m", requests=1, rows=2, compute_seconds=0.1)
    with store.database.writing(), pytest.raises(StoreError):
        usage.flush()
    usage.flush()
    assert report(store)[0].rows == 2


def test_summing_old_hours_changes_no_sum(store):
    long_ago = time.time() - 100 * 3600
    for _ in range(3):
        usage = Usage(store)
        for hour in range(3):
            usage.add("k", "m", requests=1, rows=2, compute_seconds=0.1, now=long_ago + 3600 * hour)
        usage.add("k", "m", requests=1, rows=1, compute_seconds=0)
        usage.flush()
    before = report(store, by=["day", "model"])
    tidy(store)
    tidy(store)
    assert report(store, by=["day", "model"]) == before
    with store.database.reading() as connection:
        kept = connection.exec_driver_sql("SELECT source, hour FROM usage ORDER BY hour").all()
    assert [source for source, _ in kept[:3]] == ["sum"] * 3
    assert len(kept) == 6
    assert kept[-1][1] == hour_of(time.time())


def test_a_clock_that_is_set_wrong_and_right_again_neither_loses_nor_doubles(store, monkeypatch):
    usage, other, price = Usage(store), Usage(store), Price.parse("1 CNY per row")
    ahead = 0
    monkeypatch.setattr("lingqu.serve.usage.time", SimpleNamespace(time=lambda: time.time() + 3600 * ahead))
    counted = 0
    for step in (
        (0, 100, False),
        (3, 10, False),
        (0, 1, False),
        (50, 0, True),
        (0, 1000, True),
        (0, 5, False),
    ):
        ahead, rows, tidied = step
        if tidied:
            tidy(store)
        for one in (usage, other) if rows else ():
            one.add("k", "m", requests=1, rows=rows, compute_seconds=0.1, price=price)
            one.flush()
            counted += rows
        assert [(line.rows, line.cost) for line in report(store)] == [(counted, counted)]
    assert report(store)[0].compute_seconds == pytest.approx(1.0)


KILLED = """
import sys, time
from pathlib import Path
from lingqu.serve.keys import ANYONE, Keys
from lingqu.store import Store
with Keys(Store.open(Path(sys.argv[1])), required=False) as keys:
    count = 0
    while True:
        keys.meter(ANYONE, "m", rows=1, compute_seconds=0.001)
        count += 1
        print(count, time.monotonic(), flush=True)
        time.sleep(0.002)
"""


@pytest.mark.heavy
def test_a_kill_costs_at_most_what_came_since_the_last_write(store):
    store.engine  # noqa: B018
    told = 0
    least = 0
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(store.folder)], stdout=subprocess.PIPE, text=True)
        lines = [process.stdout.readline() for _ in range(700)]
        os.kill(process.pid, signal.SIGKILL)
        lines += process.stdout.read().splitlines()
        process.stdout.close()
        process.wait()
        moments = [float(line.split()[1]) for line in lines if len(line.split()) == 2]
        told += len(moments)
        # One second between writes, and half of one for a machine that is busy.
        least += sum(moment < moments[-1] - 1.5 for moment in moments)
    (line,) = report(store)
    assert least <= line.requests <= told
    assert least > 0
