"""Processes of our own beside this one: begun so that they end with it, and ended with patience.

A child asks the kernel itself to be ended with its parent, and then becomes what it was begun for: nothing of ours runs
between a fork and its exec, which would be unsafe beside the threads of this process.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NoReturn

from lingqu.cli import CHILD

PATIENCE_SECONDS = 20.0
LINGQU = (sys.executable, "-m", "lingqu")
_DIE_WITH_PARENT = 1


def begin(
    command: Sequence[str],
    folder: Path,
    *,
    nice: int = 0,
    stdout: int | None = None,
    stderr: IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Begin a child in a folder; on Linux, whoever kills this process ends the child too.

    It never hears a Ctrl-C of the terminal that they share: this process does, and ends it.
    """
    become = [sys.executable, "-m", "lingqu.cli.children", str(os.getpid()), str(nice)]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return subprocess.Popen([*become, *command], cwd=folder, stdout=stdout, stderr=stderr)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end(*processes: subprocess.Popen[bytes], patience: float = PATIENCE_SECONDS) -> None:
    """Ask children to end, all at once, and wait for them; one is killed when it does not."""
    for process in processes:
        process.terminate()
    given_up = time.monotonic() + patience
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, given_up - time.monotonic()))
        if process.poll() is None:
            process.kill()
            process.wait()


def main(parent: str, nice: str, *command: str) -> NoReturn:
    """Become the command, bound to the life of the parent."""
    os.nice(int(nice))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGTERM)
    if os.getppid() != int(parent):
        # It ended before the kernel was asked.
        sys.exit(128 + signal.SIGTERM)
    os.execve(command[0], command, {**os.environ, CHILD: "1"})  # noqa: S606 - the command is ours


if __name__ == "__main__":
    main(*sys.argv[1:])
