"""Write constraints.txt: every package that development needs, pinned, with hashes and without index addresses.

torch is pinned to one version whose CPU build and whose PyPI builds both pass: pip takes the one it finds.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TORCH = "2.13.0"
HEAD = """\
# Made by `make lock`; do not edit. Every package of lingqu[train,pg] and of its development, with hashes.
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        pin, out = Path(scratch) / "pin.txt", Path(scratch) / "out.txt"
        pin.write_text(f"torch=={TORCH}\n")
        command = [sys.executable, "-m", "piptools", "compile", "--quiet", "--generate-hashes", "--allow-unsafe"]
        command += ["--strip-extras", "--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host", "--no-annotate", "--no-header"]
        command += ["--extra", "train", "--extra", "pg", "--extra", "dev", "--constraint", str(pin)]
        subprocess.run([*command, "--output-file", str(out), "pyproject.toml"], cwd=ROOT, check=True)
        text = out.read_text()
    text = re.sub(r"^torch==\S+", f"torch=={TORCH}", text, flags=re.M)
    (ROOT / "constraints.txt").write_text(HEAD + text)


if __name__ == "__main__":
    main()
