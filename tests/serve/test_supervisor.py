"""The parent of the workers ends one that hangs, soon after the last of its requests is past its deadline."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lingqu.serve import supervisor
from lingqu.serve.plan import Plan
from lingqu.serve.port import listen, take_no_more
from lingqu.serve.shared import Shared
from lingqu.serve.supervisor import Child, Supervisor


def watching(tmp_path: Path, child: Child, said: list[str], deadline: float = 10.0) -> Supervisor:
    plan = Plan(["m"], settings={"deadline_seconds": deadline})
    return Supervisor(plan, socket.socket(), Shared(tmp_path, -1), [], lambda _: None, said.append, children=[child])


@pytest.fixture
def child():
    line, theirs = socket.socketpair()
    reports, status = os.pipe()
    process = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    with theirs:
        yield Child(process, line, reports, time.monotonic(), ready=True)
    process.kill()
    process.wait()
    line.close()
    os.close(reports)
    os.close(status)


@pytest.mark.parametrize(("deadline", "silence"), [(0.5, 10.0), (10.0, 15.0), (120.0, 30.0)])
def test_how_long_a_worker_may_be_silent_follows_the_deadline(
    deadline: float, silence: float, child: Child, tmp_path: Path
) -> None:
    watch = watching(tmp_path, child, [], deadline)
    with watch.listener:
        assert watch.silence == silence


def test_a_worker_that_says_nothing_is_ended_and_not_where_the_machine_stood_still(
    child: Child, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    watch = watching(tmp_path, child, said)
    wake, signals = os.pipe()
    monkeypatch.setattr(supervisor, "LONGEST_LOOK", 0.02)
    with watch.listener:
        child.silent = watch.silence - 0.03
        # However long this look took, it counts little.
        watch._listen(wake, 0.1)
        assert child.process.poll() is None
        assert said == []
        watch._listen(wake, 0.1)
    assert child.process.wait(10) == -9
    assert said == [f"Worker {child.process.pid} has said nothing for 15 s and is ended."]
    os.close(wake)
    os.close(signals)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a packet filter")
def test_a_port_that_closes_resets_nobody() -> None:
    with listen("127.0.0.1", 0) as listener, socket.socket() as late:
        address = listener.getsockname()
        with socket.create_connection(address, 5) as early:
            take_no_more(listener)
            late.settimeout(0.05)
            with pytest.raises(TimeoutError):
                late.connect(address)
            taken, _ = listener.accept()
            listener.setblocking(False)
            with pytest.raises(BlockingIOError):
                listener.accept()
            listener.close()
            with taken, pytest.raises(ConnectionRefusedError):
                early.sendall(b"still here")
                assert taken.recv(20) == b"still here"
                socket.create_connection(address, 5)
