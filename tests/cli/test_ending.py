"""Children are ended all at once: none goes on with its work while another takes its time."""

from __future__ import annotations

import subprocess
import sys

from lingqu.cli.children import end

SLOW = """
import os, signal, sys, time
def tell(what):
    # Not by print: whoever is interrupted while it prints cannot print.
    os.write(1, f"{what}\\n".encode())
def end(*_):
    tell(time.monotonic())
    time.sleep(0.2)
    tell(time.monotonic())
    sys.exit()
signal.signal(signal.SIGTERM, end)
tell("here")
time.sleep(60)
"""


def test_children_are_asked_together_and_one_that_is_deaf_is_killed() -> None:
    deaf = SLOW.replace("signal.signal(signal.SIGTERM, end)", "signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    first, second, last = (
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for code in (SLOW, SLOW, deaf)
    )
    try:
        for child in (first, second, last):
            assert child.stdout is not None and child.stdout.readline() == "here\n"
        end(first, second, last, patience=1.0)
        heard = [[float(line) for line in child.stdout] for child in (first, second) if child.stdout is not None]
        assert heard[1][0] < heard[0][1], "the second was asked only when the first had ended"
        assert [first.returncode, second.returncode, last.returncode] == [0, 0, -9]
    finally:
        for child in (first, second, last):
            child.kill()
            child.wait()
            if child.stdout is not None:
                child.stdout.close()
