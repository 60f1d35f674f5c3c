"""P9: what it takes to install and to import what serves a model."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from tools.loop.draw import bars
from tools.loop.record import Proof, Row

EVIDENTLY = {"packages": 83, "GB": 1.0, "seconds": 10}
"""As it was measured when the plan of the loop was made; not measured again here."""
IMPORTS = ("lingqu", "lingqu.serve.app", "lingqu.monitor.status", "lingqu.feedback.circle")
REPEATS = 5


def prove(_: Path) -> Proof:
    """Follow the base dependencies through the metadata of what is installed, and import in fresh processes."""
    packages = _closure("lingqu")
    sizes = {name: _bytes(name) for name in packages}
    whole = sum(sizes.values()) / 2**20
    seconds = {name: _import(name) for name in IMPORTS}
    largest = sorted(sizes, key=lambda name: -sizes[name])[:5]
    rows = [
        Row("packages of `pip install lingqu`", f"{len(packages)}", "Evidently (quoted)", f"{EVIDENTLY['packages']}"),
        Row("their size on disk", f"{whole:.0f} MB", "Evidently (quoted)", f"{EVIDENTLY['GB']:.1f} GB"),
        *(
            Row(f"`import {name}`, CPU seconds", f"{took:.2f}", "Evidently (quoted)", f"{EVIDENTLY['seconds']} s")
            for name, took in seconds.items()
        ),
    ]
    return Proof(
        "P9. What an installation takes",
        rows,
        [
            ("Counted in this environment: the packages that the metadata of lingqu asks for without an extra, and what those "
            "ask for, with the sizes of their installed files; "
            f"the largest are {', '.join(f'{name} ({sizes[name] / 2**20:.0f} MB)' for name in largest)}. Imports are each in "
            f"a process of its own, the median of {REPEATS}. Evidently's "
            "figures are quoted from an earlier measurement on another machine, and its seconds are of the clock."),
        ],
        {"loop-install": bars(
            "Packages that an installation brings", ["packages"],
            [("lingqu", [float(len(packages))]), ("Evidently (quoted)", [float(EVIDENTLY["packages"])])], up="packages",
        )},
        "The number of packages that lingqu's base installation brings, beside Evidently's as quoted.",
        {"packages": {name: sizes[name] for name in sorted(packages)}, "seconds": seconds},
    )  # fmt: skip


def _closure(name: str) -> set[str]:
    """A package and all that it needs without extras, by normalised name."""
    from packaging.requirements import Requirement

    found: set[str] = set()
    waiting = [(name, frozenset[str]())]
    while waiting:
        one, extras = waiting.pop()
        key = re.sub(r"[-_.]+", "-", one).lower()
        try:
            needs = distribution(key).requires or []
        except PackageNotFoundError:
            continue
        if key in found and not extras:
            continue
        found.add(key)
        for text in needs:
            need = Requirement(text)
            asked = [{"extra": extra} for extra in ("", *extras)]
            if need.marker is None or any(need.marker.evaluate(one) for one in asked):
                waiting.append((need.name, frozenset(need.extras)))
    return found


def _bytes(name: str) -> int:
    files = distribution(name).files or []
    places = (Path(str(file.locate())) for file in files)
    return sum(place.stat().st_size for place in places if place.is_file())


def _import(name: str) -> float:
    """CPU seconds of an import in a fresh process."""
    code = f"import time; t = time.process_time(); import {name}; print(time.process_time() - t)"
    taken = []
    for _ in range(REPEATS):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        taken.append(float(done.stdout))
        time.sleep(0.05)
    return sorted(taken)[REPEATS // 2]
