"""Run the slow proofs (kills, races, many seeds) and write docs/results/proofs.md.

python -m tools.proofs            all of them, which takes hours
python -m tools.proofs NAMES      those whose file or test has one of these words in its name (pytest -k), one after the other
python -m tools.proofs --list     what there is

A part that is run replaces its own rows of the page and leaves the others: each row says which machine and commit it is
from, and when.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from lingqu.store import write_bytes
from tools.circumstances import ROOT, circumstances

PAGE = ROOT / "docs" / "results" / "proofs.md"
HEAD = (
    "# Slow proofs\n\nWritten by `make proofs`, in parts by `python -m tools.proofs NAMES`.\n\n"
    "| proof | result | seconds | commit | date | machine |\n|---|---|---|---|---|---|\n"
)
ROW = re.compile(r"^\| (?!proof \||-)([^|]+) \|.*\|$", re.MULTILINE)
# xunit1 alone keeps what a proof has measured.
PYTEST = [sys.executable, "-m", "pytest", "-m", "slow", "-o", "junit_family=xunit1", "-o", "faulthandler_timeout=0"]


def main(names: list[str]) -> int:
    """Run what was asked for and bring the page up to date; pytest's exit status, the worst of all parts."""
    if names == ["--list"]:
        return subprocess.run([*PYTEST, "--collect-only", "-q"], cwd=ROOT, check=False).returncode
    statuses = []
    for part in names or [""]:
        # After each part, so that hours of proofs are not lost with the last.
        status, rows = run(part)
        statuses.append(status)
        write_bytes(PAGE, page(PAGE.read_text("utf-8") if PAGE.exists() else "", rows).encode())
    return max(statuses)


def run(part: str) -> tuple[int, dict[str, str]]:
    """Pytest's exit status, and a row of the page for each proof of this part."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.xml"
        command = [*PYTEST, f"--junit-xml={report}", *(["-k", part] if part else [])]
        status = subprocess.run(command, cwd=ROOT, check=False).returncode
        cases = list(ElementTree.parse(report).iter("testcase")) if report.exists() else []  # noqa: S314
    around = circumstances()
    where = f"{around['commit']} | {around['date']} | {around['machine']}"
    return status, {name(case): f"{result(case)} | {float(case.get('time', 0)):.0f} | {where}" for case in cases}


def name(case: ElementTree.Element) -> str:
    """A proof in words.

    >>> name(ElementTree.fromstring('<testcase classname="tests.test_kills" name="test_two_kills[1-a|b]"/>'))
    'test kills: two kills[1-a/b]'
    """
    words = f"{case.get('classname', '').removeprefix('tests.')}: {case.get('name', '').removeprefix('test_')}"
    return words.replace("_", " ").replace("|", "/").strip()


def result(case: ElementTree.Element) -> str:
    """passed, or what else: failure, error, skipped; and what the proof has `measured`, a property that it records.

    >>> result(ElementTree.fromstring("<testcase><skipped/></testcase>"))
    'skipped'
    >>> told = '<property name="measured" value="9 MB/s"/>'
    >>> result(ElementTree.fromstring(f"<testcase><properties>{told}</properties></testcase>"))
    'passed: 9 MB/s'
    """
    said = next((child.tag for child in case if child.tag in ("failure", "error", "skipped")), "passed")
    measured = [found.get("value", "") for found in case.iter("property") if found.get("name") == "measured"]
    return ": ".join([said, *measured])


def page(before: str, rows: dict[str, str]) -> str:
    """The page with these rows in the place of those of the same name, in the order of names.

    >>> first = page("", {"b": "passed | 2", "a": "failure | 1"})
    >>> page(first, {"a": "passed | 9"}).splitlines()[-2:]
    ['| a | passed | 9 |', '| b | passed | 2 |']
    """
    kept = {found[1]: found[0] for found in ROW.finditer(before)} if before.startswith(HEAD) else {}
    kept |= {proof: f"| {proof} | {told} |" for proof, told in rows.items()}
    return HEAD + "".join(f"{kept[proof]}\n" for proof in sorted(kept))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
