"""Run the slow proofs (kills, races, many seeds) and write docs/results/proofs.md.

python -m tools.proofs [PYTEST ARGUMENTS]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from lingqu.store import write_bytes
from tools.circumstances import ROOT, circumstances

PAGE = ROOT / "docs" / "results" / "proofs.md"


def main() -> None:
    """Run them all; exit status of pytest."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-m", "slow", f"--junit-xml={report}", *sys.argv[1:]]
        status = subprocess.run(command, cwd=ROOT, check=False).returncode
        cases = list(ElementTree.parse(report).iter("testcase"))  # noqa: S314
    around = circumstances()
    out = ["# Slow proofs", "", "Written by `make proofs`.", ""]
    out += [f"{around['machine']}, commit {around['commit']}, {around['date']}.", ""]
    out += ["| proof | result | seconds |", "|---|---|---|"]
    for case in cases:
        failed = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        name = f"{case.get('classname', '').removeprefix('tests.')}: {case.get('name', '').removeprefix('test_')}"
        out.append(
            f"| {name.replace('_', ' ')} | {failed[0] if failed else 'passed'} | {float(case.get('time', 0)):.0f} |"
        )
    write_bytes(PAGE, ("\n".join(out) + "\n").encode())
    sys.exit(status)


if __name__ == "__main__":
    main()
