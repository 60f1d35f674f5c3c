"""`lingqu up`: one command that learns, serves, listens and goes round; and that leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from sqlalchemy import select

from lingqu.cli import call
from lingqu.store import Store
from lingqu.store.tables import PREDICTIONS


def posted(url: str, body: dict[str, object]) -> dict[str, object]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def children(parent: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False).stdout.split()
    return [int(one) for one in found]


@pytest.mark.heavy
def test_it_learns_serves_goes_round_and_ends_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(["new", "kinds", "--task", "text-classification"]) == 0
    spec = (tmp_path / "kinds" / "lingqu.yaml").rename(tmp_path / "kinds" / "other.yaml")
    more = "model: ngram-linear\nimprove: {after: 1 new labels}\nserve: {port: 0, journal: {inputs: none}}\n"
    spec.write_text(spec.read_text() + more, encoding="utf-8")
    command = [sys.executable, "-m", "lingqu", "up", str(spec), "--every", "1 s", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            url = json.loads(process.stdout.readline())["url"]
            # The service reads the file that was named, not lingqu.yaml, which is not there.
            assert not url.endswith(":8000")
            base = f"{url}/v1/models/kinds"
            told = posted(f"{base}/predict", {"row": {"text": "ramen with egg"}})
            identity = told["predictions"][0]["id"]  # type: ignore[index]
            assert posted(f"{url}/v1/feedback", {"prediction_id": identity, "label": "food"})["status"] == "quarantined"
            said = next(line for line in process.stderr if "Waiting: " in line or "Learned" in line)
            assert said
            family = [process.pid, *children(process.pid)]
            assert len(family) == 3
        finally:
            os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.read() == "", "one object and nothing else"
        assert process.wait(30) == 130
        rest = process.stderr.read()
        assert "Traceback" not in rest
        assert rest.count("Nothing is lost") == 1
    with Store.open(spec.parent / ".lingqu").database.reading() as connection:
        kept = connection.execute(select(PREDICTIONS.c.policy, PREDICTIONS.c.input)).all()
    assert set(kept) == {("none", None)}
    deadline = time.monotonic() + 5
    while alive := [pid for pid in family if Path(f"/proc/{pid}").exists() and os.getpid() != pid]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.05)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        command = [*command[:-1], "--port", str(taken.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "Choose another" in done.stderr
    assert "Nothing is lost" not in done.stderr, "it did not begin"
