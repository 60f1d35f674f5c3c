"""docs/results/loop.md from what docs/results/loop.json holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

HEAD = """# What the loop's rules do

Written by `python -m tools.loop`, in parts by `python -m tools.loop NAMES`; a part that is run replaces its own section
and leaves the others. Every figure is seeded and stands beside that of the usual rule, measured in the same run on the
same draws. The numbers behind tables and plots are in `loop.json`. A + at a commit: the source held changes that were
not committed yet.
"""


def page(parts: Mapping[str, Mapping[str, Any]], order: Sequence[str]) -> str:
    """The whole page.

    >>> row = {"what": "alarms", "ours": "0", "rule": "usual", "theirs": "9", "goal": "<= 1", "met": True}
    >>> around = {"commit": "abc", "date": "2026-01-01", "machine": "one", "load": 0.1}
    >>> told = page({"quiet": {"title": "Quiet", "rows": [row], "told": ["Why."], "plots": [], "alt": "",
    ...     "cpu_seconds": 2.0, "around": around}}, ["quiet"])
    >>> "| alarms | 0 | usual: 9 | <= 1 |" in told
    True
    """
    known = [name for name in order if name in parts]
    return "\n".join([HEAD, *(_section(name, parts[name]) for name in known)])


def _section(name: str, part: Mapping[str, Any]) -> str:
    around = part["around"]
    out = [f"## {part['title']}", ""]
    out += ["| measured | lingqu | beside it | goal |", "|---|---|---|---|"]
    for row in part["rows"]:
        beside = f"{row['rule']}: {row['theirs']}" if row["theirs"] else row["rule"]
        missed = " (missed)" if row["met"] is False else ""
        out.append(f"| {row['what']} | {row['ours']} | {beside or '-'} | {row['goal'] or '-'}{missed} |")
    out.append("")
    for plot in part["plots"]:
        out += [f"![{part['alt']}]({plot}.svg)", ""]
    for paragraph in part["told"]:
        out += [paragraph, ""]
    out += [
        (
            f"`python -m tools.loop {name}`: {part['cpu_seconds']:.0f} CPU seconds, {around['machine']}, "
            f"commit {around['commit']}, {around['date']}."
        ),
        "",
    ]
    return "\n".join(out)
