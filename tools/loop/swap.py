"""P5: versions that change under load; measured by `python -m tools.serving swap`, and read here from what it wrote."""

from __future__ import annotations

import json
from pathlib import Path

from tools.circumstances import ROOT
from tools.loop.record import Proof, Row

MEASURED = ROOT / "docs" / "results" / "serving.json"


def prove(_: Path) -> Proof:
    """The figures of the service's own measurement, as they were written down."""
    found = json.loads(MEASURED.read_text("utf-8"))["swap"]
    around = found["around"]
    rows = [
        Row(
            one["what"],
            f"{one['lingqu']:.3g}",
            goal=one["goal"],
            met=one["lingqu"] == 0 if one["goal"] == "0" else None,
        )
        for one in found["rows"]
    ]
    return Proof(
        "P5. Versions change under load",
        rows,
        [
            (
                "A service answers a client that asks at a steady rate, at most a quarter of what it bears, while the champion "
                "changes again and again; an answer that is not what the version it names says of the row has failed. Then "
                "rollbacks are timed, from the command until the last answer of the old version was asked for. Measured by "
                f"`python -m tools.serving swap` on {around['machine']}, commit {around['commit']}, {around['date']}, and read from "
                "`serving.json`; more of the service is in `serving.md`."
            )
        ],
        data={"around": around},
    )
