"""How the service's measurement reads its numbers; the measuring itself is `python -m tools.serving`."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.connections import Request
from tools.servers import Kind, family, serving
from tools.serving import in_turns, main, middle, same_as
from tools.serving_page import met, page, row, shown

HELLO = "import http.server as h, sys; h.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), h.SimpleHTTPRequestHandler).serve_forever()"


def test_goals_are_read_as_they_are_written() -> None:
    assert met(row("x", 3.0, ratio=0.79, goal=">= 0.8")) == ">= 0.8 (missed)"
    assert met(row("x", 0, goal="0")) == "0" and met(row("x", 1, goal="0")) == "0 (missed)"
    assert met(row("x", 1.0, goal="< 1")) == "< 1 (missed)" and met(row("x", 5.0)) == ""
    assert met(row("x", 5.0, ratio=0.4, goal="<= 1 ms more")) == "<= 1 ms more"


def test_the_page_shows_each_row_its_round_and_its_machine() -> None:
    around = {"machine": "one", "load": 0.1, "commit": "abc", "date": "2026-01-01"}
    rows = [row("requests/s", 812.4, peer="other", theirs=100.0, ratio=8.124, goal=">= 4")]
    told = page({"noop": {"rows": rows, "rounds": 5, "seconds": 5.0, "around": around}}, ["noop", "swap"])
    assert "| requests/s | 812 | other | 100 | 8.12 | >= 4 |" in told
    assert "| noop | 5 | 5.0 | one | 0.1 | abc | 2026-01-01 |" in told
    assert shown(0.5) == "0.5"


def test_an_answer_under_load_must_be_the_one_given_alone_where_that_was_sure() -> None:
    from tools.connections import Reply

    def reply(number: int) -> Reply:
        return Reply(number, 0, 0, 0, 200, b"", b'{"predictions": [{"prediction": "b"}]}')

    oracle = same_as([("a", 0.9), ("a", 0.6), ("b", 1.0)])
    assert [oracle(reply(number)) for number in range(4)] == [
        "'b' under load, 'a' alone",
        "",
        "",
        "'b' under load, 'a' alone",
    ]


def test_a_round_that_fails_is_told_and_the_others_count(capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[str] = []

    def measure(kind: Kind) -> dict[str, float]:
        asked.append(kind.name)
        if len(asked) == 2 or kind.name == "c":
            raise RuntimeError("no answer")
        return {"rate": float(len(asked))}

    kinds = [Kind(name, [], "/") for name in ("a", "b")]
    found = in_turns(kinds, 3, measure)
    assert asked == ["a", "b"] * 3
    assert (middle(found["a"], "rate"), middle(found["b"], "rate")) == (3.0, 5.0)
    assert "round 1 of b failed: no answer\n" in capsys.readouterr().err
    with pytest.raises(RuntimeError, match="every round of c failed"):
        in_turns([Kind("c", [], "/")], 2, measure)


def test_a_part_that_fails_is_told_and_the_others_go_on(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(work: Path, rounds: int, seconds: float) -> tuple[list[dict[str, object]], dict[str, object]]:
        raise ValueError("no network")

    def well(work: Path, rounds: int, seconds: float) -> tuple[list[dict[str, object]], dict[str, object]]:
        return [row("requests/s", 4.0, goal=">= 3")], {"a": [{"rate": 4.0}]}

    monkeypatch.setattr("tools.serving.PARTS", {"first": broken, "second": well})
    assert main(["--dry"]) == 1
    told = capsys.readouterr()
    assert told.out == "requests/s: 4 |   |  | >= 3\n"
    assert told.err.endswith("ValueError: no network\nFailed: first.\n")


def lives(pid: int) -> bool:
    """Whether a process still runs; one that ended may stand in the table until somebody asks how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.heavy
@pytest.mark.skipif(sys.platform != "linux", reason="processes are weighed by Linux's /proc")
def test_a_server_is_waited_for_weighed_and_stopped_with_all_that_it_started() -> None:
    started = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[2], sys.argv[1]])"
    with serving(Kind("two", ["-c", started, "PORT", HELLO], "/"), Request("/", method="GET")) as running:
        pids = family(running.process.pid)
        assert len(pids) == 2 and 0 < running.ready < 60
        assert 5 < running.memory() < 200 and running.cpu() > 0
    until = time.monotonic() + 5
    while any(map(lives, pids)) and time.monotonic() < until:
        time.sleep(0.01)
    assert not any(map(lives, pids))


def test_a_server_that_fails_says_how() -> None:
    failing = Kind("broken", ["-c", "raise SystemExit('no such model')"], "/")
    with pytest.raises(RuntimeError, match="broken does not answer:\nno such model"), serving(failing, Request("/")):
        pass


@pytest.mark.heavy
def test_the_peers_answer_as_the_client_asks() -> None:
    asked = Request("/predict", b'{"row": {"x": 3.0}}')
    with serving(Kind("noop", ["-m", "tools.peers.fastapi_noop", "PORT"], "/predict"), asked) as running:
        assert running.ready > 0
    wrong = subprocess.run([sys.executable, "-m", "tools.serving", "nothing"], capture_output=True, check=False)
    assert wrong.returncode == 2
