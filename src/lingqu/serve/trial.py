"""A candidate is tried in a process of its own before it comes near a request: loaded, asked, compared, timed.

    python -m lingqu.serve.trial FOLDER

A bundle that hangs, crashes ONNX Runtime or wants all memory harms that process alone, which has a low priority and a
limit on its memory. What passes has given its golden answers, twice the same, all of them finite.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lingqu.errors import BundleError, LingquError, Problem, StoreError
from lingqu.store.atomic import write_json
from lingqu.store.locks import hold

LEAST_PATIENCE, PATIENCE = 20.0, 10.0
"""A trial may take 20 seconds and ten times the deadline of a request; it has little of the processor."""
LEAST_MEMORY = 1 << 30
MEMORY_OF_BUNDLE = 8
"""A bundle may take so many times its size on disk, and a gibibyte in any case."""
ASKED = 5
SLOWER = 10.0
NOTICED_SECONDS = 0.05
LATELY_SECONDS = 30.0


def tried(folder: Path, *, measured_ms: float | None = None, deadline: float = 10.0) -> dict[str, Any]:
    """What the trial of this bundle found: {"seconds": of one row, "task", "answer"}; BundleError when it must not serve.

    StoreError where the machine could not read it, which says nothing of the bundle.

    `measured_ms` is what one answer took when the version was evaluated: ten times that, and 50 ms, is a fault of its own.
    """
    command = [sys.executable, "-m", "lingqu.serve.trial", str(folder)]
    patience = LEAST_PATIENCE + PATIENCE * deadline
    try:
        done = subprocess.run(command, capture_output=True, timeout=patience, stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        raise _unfit(folder, f"no answer in {patience:.0f} s") from None
    try:
        told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        raise _unfit(folder, f"a process that ended with status {done.returncode}") from None
    refuse(told)
    if "trouble" in told:
        raise StoreError(Problem(**told["trouble"]))
    seconds = told["seconds"]
    if seconds > deadline / 2:
        raise _unfit(folder, f"{seconds:.1f} s for one row, with a deadline of {deadline:.0f} s")
    if measured_ms and seconds > max(NOTICED_SECONDS, SLOWER * measured_ms / 1000):
        raise _unfit(
            folder, f"{1000 * seconds:.0f} ms for one row that took {measured_ms:.1f} ms when it was evaluated"
        )
    return told


def _unfit(folder: Path, found: str) -> BundleError:
    return BundleError(Problem(f"a bundle fit to serve in {folder.name[:12]}", found.rstrip("."), "It is not served."))


def verdict(
    folder: Path, shared: Path | None, *, measured_ms: float | None = None, deadline: float = 10.0
) -> dict[str, Any]:
    """As `tried`, but once for all workers of a service: what one of them found lately, the others take over.

    `shared` is the folder where they leave it; a bundle is known by its folder's name, which is its digest.
    """
    if shared is None:
        return tried(folder, measured_ms=measured_ms, deadline=deadline)
    with hold(shared / f"{folder.name}.lock"):
        told = kept(folder, shared, younger_than=LATELY_SECONDS)
        if told is None:
            try:
                told = tried(folder, measured_ms=measured_ms, deadline=deadline)
            except BundleError as error:
                told = {"problems": [asdict(problem) for problem in error.problems]}
            # On a full disk the other workers try it for themselves.
            with suppress(StoreError):
                write_json(shared / f"{folder.name}.json", told)
    refuse(told)
    return told


def kept(folder: Path, shared: Path, *, younger_than: float) -> dict[str, Any] | None:
    """What a worker found of this bundle; None when none has tried it in so many seconds."""
    path = shared / f"{folder.name}.json"
    try:
        if time.time() - path.stat().st_mtime <= younger_than:
            return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return None


def refuse(told: dict[str, Any] | None) -> None:
    """BundleError when a trial found a fault."""
    if told and "problems" in told:
        raise BundleError(Problem(**problem) for problem in told["problems"])


def main(folder: str) -> int:
    """Try one bundle and print what was found as one line of JSON."""
    os.nice(10)
    from lingqu.bundle.read import Bundle  # before the limit, which the libraries must not use up

    try:
        _limit_memory(sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()))
        told = _ask(Bundle.open(folder))
    except LingquError as error:
        told = {"problems": [asdict(problem) for problem in error.problems]}
    except OSError as error:
        found = (error.strerror or str(error)).lower()
        told = {"trouble": asdict(Problem(f"to read {folder}", found, "Look at the disk."))}
    except MemoryError:
        told = {"problems": [asdict(_unfit(Path(folder), "no memory left for it").problems[0])]}
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


def _ask(bundle: Any) -> dict[str, Any]:
    from lingqu.bundle import golden
    from lingqu.contract import Refusal, Rows

    golden.check(bundle)
    rows = golden.golden_rows(bundle.manifest, bundle.task)
    answers, times = [], []
    for _ in range(ASKED):
        start = time.perf_counter()
        answers = bundle.answer(Rows.from_dicts(rows[:1]))
        times.append(time.perf_counter() - start)
    if all(isinstance(answer, Refusal) for answer in answers):
        raise _unfit(bundle.path, f"a refusal of its own example: {answers[0].error}")
    return {"seconds": sorted(times)[ASKED // 2], "task": bundle.task.name, "answer": bundle.manifest["answer"]}


def _limit_memory(size: int) -> None:
    status = Path("/proc/self/statm")
    used = int(status.read_text().split()[0]) * resource.getpagesize() if status.exists() else 4 << 30
    limit = used + max(LEAST_MEMORY, MEMORY_OF_BUNDLE * size)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
