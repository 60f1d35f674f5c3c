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
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, NoReturn

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
    """Begin a child in a folder; on Linux, whoever kills this process ends the child too."""
    become = [sys.executable, "-m", "lingqu.cli.children", str(os.getpid()), str(nice)]
    return subprocess.Popen([*become, *command], cwd=folder, stdout=stdout, stderr=stderr)


def end(process: subprocess.Popen[bytes], patience: float = PATIENCE_SECONDS) -> None:
    """Ask a child to end, and wait for it; it is killed when it does not."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience)
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
    os.execv(command[0], command)  # noqa: S606 - the command is ours


if __name__ == "__main__":
    main(*sys.argv[1:])
