from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lingqu.errors import ConflictError
from lingqu.store import Store

HOLD = """
import os, sys, time
from pathlib import Path
from lingqu.store import Store
with Store.open(Path(sys.argv[1])).lock("run"):
    if sys.argv[2] == "with-child" and os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    print("held", flush=True)
    time.sleep(60)
"""

# Each process reads the number, takes its time, and writes one more: without the lock some of them would be lost.
COUNT = """
import sys, time
from pathlib import Path
from lingqu.store import Store, write_bytes
store, path = Store.open(Path(sys.argv[1])), Path(sys.argv[1]) / "count"
for _ in range(int(sys.argv[2])):
    with store.lock("run"):
        before = int(path.read_text()) if path.exists() else 0
        time.sleep(0.001)
        write_bytes(path, str(before + 1).encode())
"""


def start(script: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


@pytest.fixture
def holder(tmp_path, request):
    process = start(HOLD, tmp_path, getattr(request, "param", "alone"))
    assert process.stdout and process.stdout.readline() == "held\n"
    yield process
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


def test_who_does_not_wait_is_told_who_holds_it(tmp_path, holder):
    with pytest.raises(ConflictError) as error, Store.open(tmp_path).lock("run", wait=False):
        pass
    told = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", str(error.value))
    assert told == (
        f"Expected run to be free, found it held by process {holder.pid} since TIME UTC. Wait until that has ended."
    )


@pytest.mark.parametrize("holder", ["alone", "with-child"], indirect=True)
def test_a_killed_holder_lets_go_at_once_and_so_do_its_children(tmp_path, holder):
    said: list[str] = []

    def hear(sentence: str) -> None:
        said.append(sentence)
        os.kill(holder.pid, signal.SIGKILL)

    with Store.open(tmp_path).lock("run", on_wait=hear):
        pass
    assert len(said) == 1
    assert said[0].startswith(f"Waiting for run, held by process {holder.pid} since ")


def test_a_lock_is_not_taken_twice_by_its_own_thread(tmp_path):
    store = Store.open(tmp_path)
    with (
        store.lock("run"),
        store.lock("other"),
        pytest.raises(RuntimeError, match=r"this thread already holds run\.lock"),
        store.lock("run"),
    ):
        pass


def test_threads_wait_for_each_other(tmp_path):
    store, order = Store.open(tmp_path), []

    def second() -> None:
        with store.lock("run"):
            order.append("second")

    with store.lock("run"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


@pytest.mark.parametrize("times", [5, pytest.param(500, marks=pytest.mark.slow)])
def test_processes_in_one_folder_do_no_harm(tmp_path: Path, times: int):
    processes = [start(COUNT, tmp_path, times) for _ in range(4)]
    assert [process.wait(300) for process in processes] == [0] * 4
    for process in processes:
        assert process.stdout
        process.stdout.close()
    assert (tmp_path / "count").read_text() == str(4 * times)


RACE = """
import sys
from pathlib import Path
from lingqu.store import Store
store = Store.open(Path(sys.argv[1]) / "store")
digest = store.put_folder(Path(sys.argv[1]) / "bundle")
key = store.stage("data", {"source": "a.csv"})
if store.stage_result(key) is None:
    store.finish_stage(key, {"digest": digest}, 0.1, blobs=[digest])
print(store.stage_result(key)["digest"])
"""


@pytest.mark.parametrize("times", [pytest.param(1, marks=pytest.mark.heavy), pytest.param(50, marks=pytest.mark.slow)])
def test_a_store_may_be_made_by_many_at_once(tmp_path: Path, times: int):
    for race in range(times):
        folder = tmp_path / str(race)
        (folder / "bundle").mkdir(parents=True)
        (folder / "bundle" / "model.onnx").write_bytes(bytes(100_000))
        processes = [start(RACE, folder) for _ in range(4)]
        said = [process.communicate(timeout=120)[0] for process in processes]
        assert [process.returncode for process in processes] == [0] * 4
        assert len(set(said)) == 1
        assert Store.open(folder / "store").fsck() == []
