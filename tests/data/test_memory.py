"""HARDENING D10: a file is streamed row by row, so memory does not grow with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

READ = """
import sys
from pathlib import Path
from lingqu.data.readers import stream

rows = sum(len(part.rows) for part in stream(sys.argv[1]))
# Not ru_maxrss: a child inherits the peak of the process that forked it.
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(rows, int(peak.split()[1]) // 1024)
"""


def streamed(path: Path, mib: int) -> tuple[int, int, int]:
    """How many rows a CSV of so many MiB has, how many were read from it, and the reader's largest memory in MiB."""
    block = "".join(f'"a text, number {i}, of some words {"x" * 460}",{"ab"[i % 2]}\n' for i in range(2000))
    times = -(-mib * 2**20 // len(block))
    with path.open("w") as file:
        file.write("text,label\n")
        for _ in range(times):
            file.write(block)
    done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True)
    rows, largest = map(int, done.stdout.split())
    return 2000 * times, rows, largest


@pytest.mark.heavy
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    for mib in (8, 64):
        written, rows, largest = streamed(tmp_path / "a.csv", mib)
        assert rows == written
        assert largest < 100, f"{largest} MiB for a file of {mib} MiB"


@pytest.mark.slow
def test_two_gigabytes_are_streamed(tmp_path: Path) -> None:
    written, rows, largest = streamed(tmp_path / "a.csv", 2048)
    assert rows == written
    assert largest <= 800, largest
