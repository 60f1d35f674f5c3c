"""The processes of a service: graceful stops (S3), killed workers (S5), no orphans, cold starts (S20)."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lingqu.serve.supervisor import nursery
from lingqu.store import Store
from tests.serve.bundles import STEP, echo, large_graph, versions
from tests.serve.process import Running, running
from tools.lqbench import Report, Request, expects, fixed, load, quantile

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc"),
]
REQUESTS = [Request("/v1/models/echo/predict", b'{"rows":[{"x":%d}]}' % x) for x in range(20)]
ORACLE = expects({"1": [x + STEP for x in range(20)]})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    versions(Store.open(tmp_path / ".lingqu"), tmp_path / "bundles", 1)
    return tmp_path / ".lingqu"


def alive(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def cpu_seconds(number: int) -> float:
    fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(number: int) -> int:
    return int(Path(f"/proc/{number}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def gone_within(numbers: list[int], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while any(alive(number) for number in numbers) and time.monotonic() < until:
        time.sleep(0.02)
    return not any(alive(number) for number in numbers)


class Loading(threading.Thread):
    """An open loop over kept-alive connections, beside whatever the test does."""

    def __init__(self, service: Running, rate: float, seconds: float) -> None:
        super().__init__(daemon=True)
        self.service, self.rate, self.seconds = service, rate, seconds
        self.report: Report | None = None

    def run(self) -> None:
        arrivals = fixed(self.rate, self.seconds)
        self.began = time.monotonic()
        self.report = load(self.service.url, REQUESTS, arrivals=arrivals, connections=8, oracle=ORACLE)


def test_it_serves_without_torch_and_stops_when_asked(home: Path) -> None:
    with running(home, "echo") as service:
        (worker,) = service.workers()
        assert service.predict(1, 2)[1]["predictions"][1]["prediction"] == 2.25
        assert service.get("/livez")[0] == service.get("/readyz")[0] == 200
        loaded = Path(f"/proc/{worker}/maps").read_text()
        assert "onnxruntime" in loaded
        for library in ("torch", "sklearn", "pandas", "pyarrow", "scipy", "lightgbm"):
            assert f"site-packages/{library}/" not in loaded
        assert service.stop() == 0
        assert not alive(worker)
        assert service.said == []


def test_a_cold_start_of_a_large_model_takes_little_and_answers_nobody_too_early(tmp_path: Path) -> None:
    echo(tmp_path / "echo", 3, model=large_graph(3, 50))
    assert (tmp_path / "echo" / "model.onnx").stat().st_size > 50e6
    with running(tmp_path / ".lingqu", "echo") as service:
        (worker,) = service.workers()
        # Processor time, since others may use the machine; on one that is idle it is the time that passes.
        spent = sum(cpu_seconds(number) for number in (worker, service.process.pid))
        status, answer = service.predict(1)
        assert (status, answer["predictions"][0]["prediction"]) == (200, 1.75)
    print(f"{spent:.2f} s of processor time from start to ready")
    assert spent < 5


def test_memory_stays_flat(home: Path) -> None:
    with running(home, "echo") as service:
        (worker,) = service.workers()
        load(service.url, REQUESTS, connections=8, seconds=2)
        before = resident(worker)
        report = load(service.url, REQUESTS, connections=8, seconds=4)
        grown = resident(worker) - before
    assert len(report.good) > 500
    print(f"{before / 1e6:.0f} MB, {grown / 1e6:+.1f} MB after {len(report.good):,} requests")
    assert grown < 8e6


@pytest.mark.parametrize("restarts", [2, pytest.param(50, marks=pytest.mark.slow)])
def test_a_stop_under_load_loses_no_request_that_was_taken(
    restarts: int, home: Path, record_property: Callable[[str, str], None]
) -> None:
    late = []
    for _ in range(restarts):
        with running(home, "echo", spec="{drain: 0.6 s}") as service:
            loading = Loading(service, rate=100, seconds=1.5)
            loading.start()
            time.sleep(0.5)
            service.process.terminate()
            stopped = time.monotonic()
            while service.get("/readyz")[0] != 503:
                assert time.monotonic() - stopped < 5
            late.append(time.monotonic() - stopped)
            assert service.process.wait(20) == 0
            assert time.monotonic() - stopped < 20
            loading.join(30)
        assert loading.report is not None
        faults = {reply.fault for reply in loading.report.replies}
        # Whoever comes when the port is closed is refused; nobody who was let in is dropped.
        assert faults <= {"", "no connection: ConnectionRefusedError"}
        # The port closes 0.6 s after the signal at the earliest; a late client may come later than it was due.
        before = [reply for reply in loading.report.replies if reply.done < stopped - loading.began + 0.3]
        assert len(before) > 5
        assert {reply.fault for reply in before} == {""}
    told = f"/readyz said 503 after {1000 * quantile(late, 0.5):.1f} ms, at most {1000 * max(late):.1f} ms"
    record_property("measured", told)
    print(told)
    assert max(late) < 0.5
    if restarts > 10:
        # As few as one in ten may have waited for a processor that others had.
        assert quantile(late, 0.9) < 0.1


def test_a_killed_worker_is_replaced_and_the_other_goes_on(home: Path) -> None:
    with running(home, "echo", workers=2) as service:
        loading = Loading(service, rate=50, seconds=4)
        loading.start()
        time.sleep(0.5)
        killed = service.workers()[0]
        os.kill(killed, signal.SIGKILL)
        until = time.monotonic() + 3
        while (len(service.workers()) < 2 or killed in service.workers()) and time.monotonic() < until:
            time.sleep(0.02)
        found = service.workers()
        assert len(found) == 2
        loading.join(60)
        # It began within three seconds; what it needs from then on is processor time, and others may use the machine.
        assert max(map(cpu_seconds, found)) < 3
        assert loading.report is not None
        # What was on its connections is lost, and no more than that: eight connections with one request each.
        assert sum(loading.report.faults.values()) <= 8
        assert service.get("/readyz")[0] == 200
        assert f"Worker {killed} ended (SIGKILL); a new one starts.\n" in service.said
        # Ctrl-C while one of them is only beginning is a good end as well.
        os.kill(found[0], signal.SIGKILL)
        while len(service.workers()) < 2 or found[0] in service.workers():
            time.sleep(0.02)
        assert service.interrupt() == 0
        assert len(service.said) == 2, service.said


def test_nothing_is_left_when_the_parent_is_killed(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with running(home, "echo", workers=2) as service:
        workers = service.workers()
        assert len(workers) == 2
        (left,) = tmp_path.glob("lingqu-*")
        service.process.kill()
        service.process.wait()
        # Started again at once, it has the port as soon as they have let go of it.
        with running(home, "echo", port=service.url.rpartition(":")[2]) as again:
            assert (again.url, again.predict(1)[0], again.said) == (service.url, 200, [])
            assert gone_within(workers, 10)
    assert left.exists()
    with nursery(1):
        assert not left.exists()
        assert len(list(tmp_path.glob("lingqu-*"))) == 1
    assert list(tmp_path.glob("lingqu-*")) == []


def test_workers_that_cannot_begin_are_not_started_for_ever(home: Path) -> None:
    with running(home, "echo") as service:
        # The database is no database any more: whoever begins now fails at once.
        (home / "lingqu.db").write_bytes(b"nothing of the kind" * 1000)
        seen, until = set(service.workers()), time.monotonic() + 6
        os.kill(service.workers()[0], signal.SIGKILL)
        while time.monotonic() < until:
            seen |= set(service.workers())
            time.sleep(0.02)
        assert 2 <= len(seen) <= 5
        assert service.process.poll() is None
        assert any("file is not a database" in line for line in service.said)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nobody",), "Expected a model of the registry, found 'nobody'. Known: echo."),
        (("echo", "echo@1"), "Expected each model once, found echo twice."),
        ((), "Expected a model to serve, found none, and no lingqu.yaml here."),
        (("--spec", "other.yaml"), "Expected a spec, found no file 'other.yaml'."),
        (("echo", "--host", ""), "Expected an address such as 127.0.0.1 or 0.0.0.0 for host, found ''. Correct it;"),
        (("echo", "--workers", "257"), "Expected a whole number from 1 to 256 for workers, found 257. Correct it;"),
    ],
)
def test_what_cannot_be_served_is_told(arguments: tuple[str, ...], told: str, home: Path, lingqu) -> None:
    done = lingqu("serve", *arguments, "--port", "0", cwd=home.parent)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_a_store_that_cannot_be_written_is_told_once(home: Path, lingqu) -> None:
    (home / "serve").touch()
    done = lingqu("serve", "echo", "--port", "0", cwd=home.parent)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"Expected to write {home}/serve")


def test_a_port_that_is_taken_is_told(home: Path, lingqu) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = lingqu("serve", "echo", "--port", str(port), cwd=home.parent)
    assert done.returncode == 2
    assert done.stderr == (
        f"Expected an address to listen on, found 127.0.0.1:{port}, where address already in use. "
        "Choose another: --port 0 takes any.\n"
    )


def test_a_name_that_no_address_can_have_and_a_port_lost_at_the_last_moment_are_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import socket

    from lingqu.errors import RequestError
    from lingqu.serve.port import listen

    with pytest.raises(RequestError, match=r"^Expected an address of this machine, found 'a{70}': .*Give one such as"):
        listen("a" * 70, 0)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        taken, bound = other.getsockname(), socket.socket.bind

        def overtaken(ours: socket.socket, address: tuple[str, int]) -> None:
            """Both may bind while neither listens; the other listens first."""
            bound(ours, address)
            other.listen()

        monkeypatch.setattr(socket.socket, "bind", overtaken)
        with pytest.raises(
            RequestError, match=rf"^Expected an address to listen on, found 127\.0\.0\.1:{taken[1]}, where"
        ):
            listen(*taken)


def test_a_bundle_folder_is_served_without_a_store(tmp_path: Path) -> None:
    echo(tmp_path / "mine", 4, name="mine")
    with running(tmp_path / ".lingqu", "mine") as service:
        assert service.predict(1, name="mine")[1]["predictions"][0]["prediction"] == 2.0
    assert not (tmp_path / ".lingqu").exists()
