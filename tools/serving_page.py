"""The page docs/results/serving.md: its rows, their goals, and whether these were met."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]


def row(
    what: str, mine: float, *, peer: str = "", theirs: float | None = None, ratio: float | None = None, goal: str = ""
) -> Row:
    """One line of the page."""
    return {"what": what, "lingqu": mine, "peer": peer, "theirs": theirs, "ratio": ratio, "goal": goal}


def met(one: Row) -> str:
    """The goal and whether it was reached.

    >>> met(row("x", 4.0, ratio=2.0, goal=">= 4 (6 is the aim)")), met(row("x", 200.0, goal="<= 250"))
    ('>= 4 (6 is the aim) (missed)', '<= 250')
    """
    goal = one["goal"]
    if not goal:
        return ""
    value = one["lingqu"] if one["ratio"] is None else one["ratio"]
    sign, _, rest = goal.rpartition(" ") if " " not in goal else goal.partition(" ")
    limit = float(rest.split()[0])
    reached = {">=": value >= limit, "<=": value <= limit, "<": value < limit, "": value == limit}[sign]
    return goal if reached else f"{goal} (missed)"


def shown(value: float | None) -> str:
    """A number with as many digits as it deserves.

    >>> shown(0.01234), shown(123.4), shown(4321.2), shown(None), shown(0)
    ('0.0123', '123', '4,321', '', '0')
    """
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 or float(value).is_integer() else f"{value:.3g}"


def page(parts: dict[str, Any], order: Sequence[str]) -> str:
    """The page of all parts that were ever run whole, in this order."""
    lines = [
        "# The service, measured",
        "",
        "Written by `python -m tools.serving`: medians of rounds in which the services take turns, on one machine that also runs",
        "the client. Requests arrive as from many independent users (an open loop), each latency counts from the moment the",
        "request was due, and every answer is checked. Texts have 4 to 128 tokens by Zipf's law. The peers are in `tools/peers`:",
        "the same encoder and head in float32, one text at a time with all threads (FastAPI), or in batches (LitServe).",
        "",
        "| measure | lingqu | beside | its value | ratio or difference | goal |",
        "|---|---|---|---|---|---|",
    ]
    for part in order:
        for one in parts.get(part, {}).get("rows", []):
            cells = [
                one["what"],
                shown(one["lingqu"]),
                one["peer"],
                shown(one["theirs"]),
                shown(one["ratio"]),
                met(one),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "| part | rounds | seconds a probe | machine | load before | commit | date |",
        "|---|---|---|---|---|---|---|",
    ]
    for part in order:
        if (found := parts.get(part)) is None:
            continue
        around = found["around"]
        facts = [
            part,
            found["rounds"],
            found["seconds"],
            *(around[name] for name in ("machine", "load", "commit", "date")),
        ]
        lines.append(f"| {' | '.join(map(str, facts))} |")
    return "\n".join([*lines, "", "A + at a commit: the source held changes that were not committed yet."]) + "\n"
