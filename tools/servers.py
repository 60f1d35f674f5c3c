"""Server processes under measurement: started, waited for, weighed and stopped, with every process that they started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tools.circumstances import ROOT
from tools.connections import Request

PATIENCE = 180.0
STOP = 20.0


@dataclass(frozen=True)
class Kind:
    """A service to measure: its name, its command line with PORT in it, and where rows are sent."""

    name: str
    command: Sequence[str]
    path: str


@dataclass(frozen=True)
class Running:
    """A service that has answered. `ready` is how many seconds that took from the start of its process."""

    url: str
    path: str
    process: subprocess.Popen[bytes]
    ready: float

    def memory(self) -> float:
        """Resident megabytes of its processes together; pages that they share count once (Pss of smaps_rollup)."""
        return sum(_pss(pid) for pid in family(self.process.pid)) / 1024

    def cpu(self) -> float:
        """CPU seconds that its living processes have used."""
        return sum(_cpu(pid) for pid in family(self.process.pid))


@contextmanager
def serving(kind: Kind, first: Request, *, cwd: Path | None = None) -> Iterator[Running]:
    """The service, from its first right answer to `first` on; stopped at the end, by force if need be."""
    port = free_port()
    command = [part.replace("PORT", str(port)) for part in kind.command]
    environment = {**os.environ, "OMP_NUM_THREADS": str(os.cpu_count()), "TOKENIZERS_PARALLELISM": "false"}
    environment |= {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "HF_HUB_OFFLINE": "1"}
    # Whoever installs a package has its bytecode compiled; in a checkout the first start does it, where it may.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    # A store that lies where the service is started would be used: keys, journal and all.
    with tempfile.TemporaryFile() as told, tempfile.TemporaryDirectory() as empty:
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=cwd or empty,
            env=environment,
            stdout=told,
            stderr=told,
            start_new_session=True,
        )
        try:
            url = f"http://127.0.0.1:{port}"
            while not answers(url, first):
                if process.poll() is not None or time.perf_counter() - start > PATIENCE:
                    told.seek(0)
                    raise RuntimeError(f"{kind.name} does not answer:\n{told.read().decode()[-4000:]}")
                time.sleep(0.01)
            yield Running(url, kind.path, process, time.perf_counter() - start)
        finally:
            _stop(process)


def answers(url: str, request: Request) -> bool:
    """Whether the service answers this request with 200."""
    headers = {"Content-Type": "application/json", **request.headers}
    asked = urllib.request.Request(url + request.path, request.body or None, headers, method=request.method)  # noqa: S310
    try:
        with urllib.request.urlopen(asked, timeout=30) as found:  # noqa: S310
            return found.status == 200
    except (OSError, urllib.error.URLError):
        return False


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    found = [pid]
    for parent in found:
        with suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _pss(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def _cpu(pid: int) -> float:
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask it to stop, wait, then take its whole session down."""
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP)
    # The session is its own: nobody else's process can be in it.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
