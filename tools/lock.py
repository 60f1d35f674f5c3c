"""Write constraints.txt: every package that development needs, pinned, with hashes and without index addresses.

torch is pinned to one version, with the hashes of its CPU build (as pip finds it here) and of its usual builds: pip
takes whichever it finds elsewhere.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TORCH = "torch==2.13.0"
EXTRAS = ("train", "pretrained", "tune", "hub", "excel", "track", "pg", "docs", "bench", "dev")
HEAD = "# Made by `make lock`; do not edit. Every package of lingqu, its extras and its development, with hashes.\n"
COMPILE = [
    sys.executable,
    "-m",
    "piptools",
    "compile",
    "--quiet",
    "--generate-hashes",
    "--allow-unsafe",
    "--strip-extras",
]
COMPILE += ["--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host", "--no-annotate", "--no-header"]


def compiled(*arguments: str, **environment: str) -> str:
    """The lock that pip-tools finds, by its own resolver."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "lock.txt"
        command = [*COMPILE, *arguments, "--output-file", str(out)]
        subprocess.run(command, cwd=ROOT, check=True, env={**os.environ, **environment})
        return out.read_text()


def entry(lock: str, name: str) -> str:
    """The lines of one package."""
    found = re.search(rf"^{name}==.*(?:\n    --hash.*)+", lock, flags=re.M)
    if found is None:
        raise SystemExit(f"{name} is not in the lock")
    return found.group()


def main() -> None:
    """Write the lock."""
    with tempfile.TemporaryDirectory() as scratch:
        pin = Path(scratch) / "torch.in"
        pin.write_text(f"{TORCH}\n")
        extras = [part for extra in EXTRAS for part in ("--extra", extra)]
        lock = compiled(*extras, "--constraint", str(pin), "pyproject.toml")
        plain = compiled(str(pin), PIP_CONFIG_FILE=os.devnull, PIP_FIND_LINKS="")
    here = entry(lock, "torch")
    hashes = sorted({*re.findall(r"--hash=\S+", here), *re.findall(r"--hash=\S+", entry(plain, "torch"))})
    lock = lock.replace(here, TORCH + "".join(f" \\\n    {digest}" for digest in hashes))
    (ROOT / "constraints.txt").write_text(HEAD + lock)


if __name__ == "__main__":
    main()
