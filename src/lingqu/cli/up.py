"""The verb `up`: the whole loop under one roof until Ctrl-C. The service answers, the circle goes round.

Each is a process of its own, so that learning anew never slows an answer; they share nothing but the store. The circle
is the more patient of the two: it runs at a lower priority, and when it breaks it is begun again a little later.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from lingqu.cli.children import LINGQU, begin, end
from lingqu.cli.journey import tell_result
from lingqu.cli.present import err, progress
from lingqu.errors import GateError, Problem
from lingqu.loop import check, home, run
from lingqu.registry import Registry
from lingqu.spec import Spec
from lingqu.store import Store

LOOK_SECONDS = 0.2
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0
NICE = 10


def up(arguments: argparse.Namespace) -> int:
    """Serve and improve until SIGTERM or Ctrl-C; a model that has no champion yet is learned first."""
    spec = check(arguments.spec)
    folder = Path(arguments.home) if arguments.home else home(spec.folder)
    _champion(arguments, spec, Store.open(folder))
    here = ["--home", str(folder.absolute())]
    port = [] if arguments.port is None else ["--port", str(arguments.port)]
    # With --json the service's object has standard output to itself; what the circle says goes to standard error.
    form, aside = (["--json"], sys.stderr.fileno()) if arguments.json else ([], None)
    # Both read the one file that was named, whatever it is called.
    file = str(Path(arguments.spec).absolute())
    serve = begin([*LINGQU, "serve", spec.name, "--spec", file, *port, *form, *here], spec.folder)
    watch = [*LINGQU, "improve", file, "--watch", "--every", arguments.every, *here]
    try:
        return _stand(serve, watch, spec.folder, aside)
    finally:
        end(serve)


def _champion(arguments: argparse.Namespace, spec: Spec, store: Store) -> None:
    """GateError when even the first model did not pass its gate: there is nothing to serve."""
    if Registry(store).alias(spec.name, "champion") is not None:
        return
    with progress() as tell:
        result = run(arguments.spec, store=store, tell=tell)
    if not arguments.json:
        tell_result(arguments, result)
    if result["champion"] is None:
        found = f"none: the gate said {result['gate']['decision']}"
        raise GateError(Problem(f"a champion of {spec.name} to serve", found, f"See: lingqu show {spec.name}"))


def _stand(serve: subprocess.Popen[bytes], watch: list[str], folder: Path, stdout: int | None) -> int:
    """Until the service ends: keep the circle going round; the service's status."""
    pause, circle, again, began = 0.0, begin(watch, folder, nice=NICE, stdout=stdout), 0.0, time.monotonic()
    try:
        while serve.poll() is None:
            time.sleep(LOOK_SECONDS)
            if circle.poll() is None:
                continue
            if not again:
                pause = next_pause(pause, time.monotonic() - began)
                err.print(f"The circle ended with status {circle.returncode}; it begins again in {pause:.0f} s.")
                again = time.monotonic() + pause
            elif time.monotonic() >= again:
                circle, again, began = begin(watch, folder, nice=NICE, stdout=stdout), 0.0, time.monotonic()
    finally:
        # Both are asked at once: the service must not go on letting requests in while the circle takes its time.
        end(serve, circle)
    return serve.returncode


def next_pause(before: float, stood: float) -> float:
    """Seconds until a circle that broke is begun again: twice as many each time, and few once it stood for long.

    >>> [next_pause(before, stood=5.0) for before in (0.0, 1.0, 64.0, 256.0)], next_pause(300.0, stood=86_400.0)
    ([1.0, 2.0, 128.0, 300.0], 1.0)
    """
    return FIRST_PAUSE if not before or stood > LONGEST_PAUSE else min(2 * before, LONGEST_PAUSE)
