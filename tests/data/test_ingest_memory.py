"""HARDENING D10: a file becomes a data version in bounded memory; it is measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

INGEST = """
import json, sys, time
from itertools import islice
from pathlib import Path

import pyarrow.parquet

from lingqu.data.ingest import ingest
from lingqu.spec import DataSettings
from lingqu.store import Store
from lingqu.tasks import find_task


def peak():
    # Not ru_maxrss: a child inherits the peak of the process that forked it.
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


settings = DataSettings(source=sys.argv[1], columns={"text": "message"})
task, store = find_task("text-classification"), Store.open(Path(sys.argv[2]))
# The first array of Arrow looks for pandas, and where that is installed its import takes 50 MiB.
pyarrow.array(["a"])
# What is loaded once, however large the file is, is no growth.
with open(sys.argv[1]) as whole:
    Path(sys.argv[1] + ".head.csv").write_text("".join(islice(whole, 200)))
ingest(settings.model_copy(update={"source": sys.argv[1] + ".head.csv"}), task, store)
before = peak()
started, used = time.perf_counter(), time.process_time()
version = ingest(settings, task, store)
told = {"rows": version.rows_in_all, "kinds": version.kinds, "before": before, "peak": peak()}
print(json.dumps(told | {"seconds": time.perf_counter() - started, "cpu": time.process_time() - used}))
"""


def write(path: Path, mib: int) -> int:
    """A CSV of so many MiB with numbers, texts of eighty words and names; one text in forty nearly repeats another."""
    draw = np.random.default_rng(0)
    words = np.array(["".join(word) + " " for word in draw.choice(list("abcdefghijklmnopqrstuvwxyz"), (5000, 5))], "S6")
    rows = size = 0
    with path.open("wb") as file:
        file.write(b"number,message,amount,city,label\n")
        while size < mib * 2**20:
            texts = words[draw.integers(0, 5000, (2000, 80))]
            texts[::40] = texts[1::40]
            texts[::40, 5] = words[0]
            others = zip(draw.normal(100, 20, 2000), draw.integers(0, 60, 2000), draw.integers(0, 3, 2000), strict=True)
            block = b"".join(
                b"%d,%s,%.3f,city %d,%d\n" % (rows + i, text.tobytes()[:-1], *other)
                for i, (text, other) in enumerate(zip(texts, others, strict=True))
            )
            rows, size = rows + 2000, size + file.write(block)
    return rows


def ingested(folder: Path, mib: int) -> dict[str, Any]:
    """What the process tells that made a version of a file of so many MiB."""
    path = folder / f"{mib}.csv"
    rows = write(path, mib)
    size = path.stat().st_size / 1e6
    done = subprocess.run(
        [sys.executable, "-c", INGEST, str(path), str(folder / "store")], capture_output=True, text=True, check=True
    )
    path.unlink()
    told = json.loads(done.stdout)
    assert told["rows"] == rows
    assert told["kinds"] == {"text": "text", "label": "label", "number": "id", "amount": "number", "city": "category"}
    return told | {"speed": size / told["seconds"]}


@pytest.mark.heavy
def test_memory_hardly_grows_with_the_file(tmp_path: Path) -> None:
    small, large = (ingested(tmp_path, mib) for mib in (8, 30))
    # All rows as objects cost 8.5 MiB above the base for each MiB of the file: 257 here, and 188 more than the small one.
    assert large["peak"] - large["before"] < 190, large
    assert large["peak"] - small["peak"] < 100, (small, large)


@pytest.mark.slow
def test_two_gigabytes_become_a_version(tmp_path: Path, record_property: Any) -> None:
    told = ingested(tmp_path, 2048)
    record_property("measured", f"{told['speed']:.1f} MB/s, {told['peak']:.0f} MiB at most")
    assert told["peak"] <= 800, told
