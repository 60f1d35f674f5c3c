"""`lingqu serve` as a process of its own, as a user starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen


@dataclass
class Running:
    """A service that answers at `url`; `said` is what it wrote to standard error so far."""

    process: subprocess.Popen[str]
    url: str
    said: list[str]

    def get(self, path: str, seconds: float = 10.0) -> tuple[int, str]:
        """Status and body."""
        return self._open(Request(self.url + path), seconds)[:2]

    def predict(
        self, *values: Any, name: str = "echo", seconds: float = 30.0, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON of an answer to rows of the one column x."""
        body = json.dumps({"rows": [{"x": value} for value in values]}).encode()
        given = {"content-type": "application/json", **headers}
        status, text, _ = self._open(Request(f"{self.url}/v1/models/{name}/predict", body, given), seconds)
        return status, json.loads(text)

    def workers(self) -> list[int]:
        """The process ids of its children."""
        tasks = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(number) for number in tasks.read_text().split()]

    def stop(self, number: int = signal.SIGTERM, seconds: float = 25.0) -> int:
        """Ask it to end and wait; its exit status."""
        self.process.send_signal(number)
        return self.process.wait(seconds)

    def interrupt(self, seconds: float = 25.0) -> int:
        """Press Ctrl-C, which every process of a terminal hears, and wait; its exit status."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(seconds)

    def _open(self, request: Request, seconds: float) -> tuple[int, str, Any]:
        try:
            with urlopen(request, timeout=seconds) as answer:
                return answer.status, answer.read().decode(), answer.headers
        except HTTPError as error:
            return error.code, error.read().decode(), error.headers


@contextmanager
def running(home: Path, *models: str, spec: str = "", seconds: float = 60.0, **options: Any) -> Iterator[Running]:
    """`lingqu serve MODELS` with the store at `home`, on a free port; `spec` holds lines under `serve:`."""
    if spec:
        (home.parent / "lingqu.yaml").write_text(
            f"name: echo\ntask: tabular-regression\ndata: {{source: x.csv}}\nserve: {spec}\n"
        )
    asked = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    process = subprocess.Popen(
        [sys.executable, "-m", "lingqu", "serve", *models, "--port", "0", "--json", "--home", str(home), *asked],
        cwd=home.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    said: list[str] = []
    assert process.stderr is not None
    assert process.stdout is not None
    listening = threading.Thread(target=lambda: said.extend(process.stderr or ()), daemon=True)
    listening.start()
    late = threading.Timer(seconds, process.kill)
    late.start()
    try:
        line = process.stdout.readline()
        late.cancel()
        assert line, "".join(said)
        yield Running(process, json.loads(line)["url"], said)
    finally:
        late.cancel()
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(25)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        listening.join(5)
        process.stdout.close()
        process.stderr.close()
