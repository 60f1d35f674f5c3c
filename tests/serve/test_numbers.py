"""The numbers for Prometheus where the disk is full: they wait in memory, and nothing else depends on them."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

from lingqu.contract.answers import NumberValue
from lingqu.serve.journal import Entry, new_id, recorded
from lingqu.serve.keys import ANYONE
from lingqu.serve.metrics import Metrics
from lingqu.serve.service import Service
from lingqu.serve.usage import report
from lingqu.spec.running import ServeSettings
from lingqu.store import Store


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """As on a full disk, what would be written beyond raises OSError."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def kept(file: Path) -> dict[str, float]:
    return {key: value for key, value, *_ in MmapedDict.read_all_values_from_file(str(file))}


def test_the_files_of_numbers_have_no_hole_that_a_full_disk_could_not_fill(tmp_path: Path) -> None:
    file = tmp_path / "counter_1.db"
    numbers = values.MmapedDict(str(file))
    wanted = {f"{number:0100}": float(number) for number in range(2000)}
    for place, (key, value) in enumerate(wanted.items()):
        numbers.write_value(key, value, 0.0)
        if place in (0, 1999):
            with file.open("rb") as opened:
                # A hole begins where the file ends.
                assert os.lseek(opened.fileno(), 0, os.SEEK_HOLE) == file.stat().st_size
    assert kept(file) == wanted
    # And they go on where another process of the same number left them.
    numbers.close()
    again = values.MmapedDict(str(file))
    assert again.read_value("1".zfill(100))[0] == 1.0
    again.close()


def test_numbers_wait_in_memory_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("lingqu.serve.allocated.AGAIN_SECONDS", 0.05)
    grown, late = tmp_path / "counter_1.db", tmp_path / "gauge_livesum_1.db"
    first = values.MmapedDict(str(grown))
    first.write_value("early", 1.0, 0.0)
    wanted = {f"{number:0100}": float(number) for number in range(1000)}
    with no_file_larger_than(1000):
        second = values.MmapedDict(str(late))
        for key, value in wanted.items():
            first.write_value(key, value, 0.0)
            second.write_value(key, value, 0.0)
        assert [path.name for path in tmp_path.iterdir()] == [grown.name]
        # What others read is what was there, and no half of an entry.
        assert kept(grown).items() <= {"early": 1.0, **wanted}.items()
        assert second.read_value("5".zfill(100))[0] == 5.0
    until = time.monotonic() + 30
    for numbers, file in ((first, grown), (second, late)):
        while not (file.exists() and "late" in kept(file)) and time.monotonic() < until:
            numbers.write_value("late", 2.0, 0.0)
            time.sleep(0.01)
        numbers.close()
    assert kept(grown) == {"early": 1.0, **wanted, "late": 2.0}
    assert kept(late) == {**wanted, "late": 2.0}
    assert sorted(path.name for path in tmp_path.iterdir()) == [grown.name, late.name]
    told = "Expected room for numbers in {}, found file too large. They stay in memory until there is some."
    assert {told.format(grown), told.format(late)} <= {record.getMessage() for record in caplog.records}


class Full(Metrics):
    """Numbers for which there is no room."""

    def __init__(self) -> None:
        super().__init__()
        self.tried = 0

    def flush(self) -> None:
        self.tried += 1
        raise OSError(errno.ENOSPC, "No space left on device")


def test_numbers_that_cannot_be_kept_stop_no_service_and_cost_no_books(tmp_path: Path) -> None:
    store, metrics = Store.open(tmp_path / "store"), Full()

    async def life() -> None:
        service = Service([], ServeSettings(), metrics, store)
        await service.start()
        async with asyncio.timeout(10):
            while metrics.tried < 2:
                await asyncio.sleep(0.01)
        assert service.journal is not None
        assert service.keys is not None
        about = ("r", time.time(), "m", 1, "champion", ANYONE, None, {"x": 1.0}, NumberValue(1.0, 0.0, 2.0), 1.0)
        service.journal.record(Entry(new_id(), *about))
        service.keys.meter(ANYONE, "m", rows=7, compute_seconds=0.1)
        await service.close()

    asyncio.run(life())
    assert len(recorded(store)) == 1
    assert [line.rows for line in report(store)] == [7]
