"""P8: sixteen processes that register and promote at once, and a file that is read, changed and written beside it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from lingqu.registry import Registry
from lingqu.store import Store, write_bytes
from tests.registry.test_processes import WRITE
from tools.loop.draw import bars
from tools.loop.record import Proof, Row

PROCESSES, TIMES = 16, 10
NAIVE = """
import json, sys
from pathlib import Path
from lingqu.store import write_bytes
file, me, times = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for i in range(times):
    held = json.loads(file.read_text())
    held.append({"number": 1 + max((one["number"] for one in held), default=0), "of": f"{me}-{i}"})
    write_bytes(file, json.dumps(held).encode())
"""


def prove(_: Path) -> Proof:
    """Let the processes loose on a store, and on a file."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        store = Store.open(folder / "store")
        registry = Registry(store)
        write_bytes(folder / "bundle" / "model.onnx", b"small")
        digest = store.put_folder(folder / "bundle")
        store.engine  # noqa: B018 - made before the others come
        url = store.database.url.render_as_string(hide_password=False)
        failed = _together(WRITE, [(store.folder, url, number, TIMES, digest) for number in range(PROCESSES)])
        numbers = [version.number for version in registry.versions("router")]
        promoted = [event.version for event in registry.history("router") if event.action == "promote"]
        broken = registry.verify_history()
        file = folder / "versions.json"
        write_bytes(file, b"[]")
        _together(NAIVE, [(file, number, TIMES) for number in range(PROCESSES)])
        naive = [one["number"] for one in json.loads(file.read_text("utf-8"))]
    whole = PROCESSES * TIMES
    lost, doubled = whole - len(set(numbers)), len(numbers) - len(set(numbers))
    rule = "a JSON file, read, changed and renamed into place"
    rows = [
        Row(f"{PROCESSES} processes, {whole} versions: lost", f"{lost}", rule, f"{whole - len(naive)}", "0", lost == 0),
        Row("numbers given twice", f"{doubled}", rule, f"{len(naive) - len(set(naive))}", "0", doubled == 0),
        Row(
            "numbers without a gap, each promoted once, the chained history whole",
            "yes" if numbers == [*range(1, whole + 1)] and len(set(promoted)) == whole and not broken else "no",
            goal="yes",
            met=numbers == [*range(1, whole + 1)] and len(set(promoted)) == whole and not broken,
        ),
        Row("processes that failed", f"{failed}", goal="0", met=failed == 0),
    ]
    return Proof(
        "P8. Sixteen registrars at once",
        rows,
        [
            (f"{PROCESSES} processes register {TIMES} versions each in one store (SQLite) and promote each of them at once, by "
            "`lingqu.registry`. Beside it the usual file: each write is atomic, and what another wrote meanwhile is lost. "
            "More processes, readers beside them, kills and PostgreSQL: `tests/registry/test_processes.py`."),
        ],
        {"loop-registrars": bars(
            f"Versions kept of {whole}", ["kept"],
            [("lingqu", [float(len(set(numbers)))]), ("a JSON file", [float(len(naive))])], up="versions",
        )},
        "Versions that are kept when sixteen processes register at once: all with lingqu, few in a file.",
        {"lost": lost, "doubled": doubled, "naive kept": len(naive), "failed": failed},
    )  # fmt: skip


def _together(script: str, given: list[tuple[object, ...]]) -> int:
    """How many of these processes failed."""
    running = [subprocess.Popen([sys.executable, "-c", script, *map(str, one)]) for one in given]
    return sum(process.wait(timeout=600) != 0 for process in running)
