"""Many processes at once, and a kill at any moment."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lingqu.registry import Registry
from lingqu.store import Store

# Registers versions that no other process has, and promotes each of them.
WRITE = """
import sys
from pathlib import Path
from lingqu.registry import Registry
from lingqu.store import Store
folder, url, me, times, bundle = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5]
registry = Registry(Store.open(folder, url))
facts = {"run": "r", "task": "t", "metrics": {}, "decision": {}, "lineage": {}, "spec": {}}
for i in range(times):
    version = registry.register("router", bundle=bundle, data_version=f"{me}-{i}", **facts)
    registry.promote("router", version.number, who="process " + me, why="newer")
    round = registry.next_alpha("router", me)
    registry.spend("router", me, round.round, round.alpha, 0.5, "promote")
"""

READ = """
import sys, time
from pathlib import Path
from sqlalchemy import text
from lingqu.store import Store
store = Store.open(Path(sys.argv[1]), sys.argv[2])
reads, stop = 0, Path(sys.argv[3])
query = text("SELECT count(*), max(version), (SELECT max(number) FROM versions) FROM aliases WHERE alias = 'champion'")
while not stop.exists():
    with store.database.reading() as connection:
        count, champion, newest = connection.execute(query).one()
    assert count == (1 if champion else 0), count
    assert not champion or champion <= newest, (champion, newest)
    reads += 1
print(reads)
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


def url_of(registry: Registry) -> str:
    return registry.store.database.url.render_as_string(hide_password=False)


@pytest.mark.parametrize(
    ("processes", "times"), [pytest.param(3, 4, marks=pytest.mark.heavy), pytest.param(8, 200, marks=pytest.mark.slow)]
)
def test_processes_together_keep_numbers_dense_and_one_champion(
    registry: Registry, bundle: Callable[[Registry, str], str], tmp_path: Path, processes: int, times: int
):
    digest, stop = bundle(registry, "a"), tmp_path / "stop"
    registry.store.engine  # noqa: B018
    place = (registry.store.folder, url_of(registry))
    readers = [start(READ, *place, stop) for _ in range(1 if processes < 8 else 2)]
    writers = [start(WRITE, *place, number, times, digest) for number in range(processes)]
    assert [writer.communicate(timeout=1200)[0] for writer in writers] == [""] * processes
    stop.touch()
    reads = [int(reader.communicate(timeout=60)[0]) for reader in readers]
    assert [process.returncode for process in (*writers, *readers)] == [0] * len([*writers, *readers])
    assert min(reads) > 0
    assert [v.number for v in registry.versions("router")] == list(range(1, processes * times + 1))
    assert registry.verify_history() == []
    promoted = [event.version for event in registry.history("router") if event.action == "promote"]
    assert sorted(promoted, key=int) == list(range(1, processes * times + 1))


@pytest.mark.parametrize("kills", [1, pytest.param(50, marks=pytest.mark.slow)])
def test_a_kill_leaves_all_of_a_change_or_nothing(
    registry: Registry, bundle: Callable[[Registry, str], str], kills: int
):
    dice, digest = random.Random(4), bundle(registry, "a")
    registry.store.engine  # noqa: B018
    for kill in range(kills):
        writer = start(WRITE, registry.store.folder, url_of(registry), kill, 10_000, digest)
        before = len(registry.history())
        while len(registry.history()) == before:
            time.sleep(0.01)
        time.sleep(dice.random() * 0.05)
        os.kill(writer.pid, signal.SIGKILL)
        writer.communicate()
        again = Registry(Store.open(registry.store.folder, url_of(registry)))
        assert again.store.fsck() == []
        promoted = [event.version for event in again.history() if event.action == "promote"]
        assert again.aliases("router").get("champion") == (promoted[-1] if promoted else None)
