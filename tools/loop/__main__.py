"""Run the loop's proofs and write docs/results/loop.md, loop.json and a plot each.

python -m tools.loop                 all of them
python -m tools.loop NAMES           some of them
python -m tools.loop --list          what there is

Those on real rows read the data sets from ../shared/data, or from where --data says.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from math import inf
from pathlib import Path
from typing import Any

from lingqu.store import write_bytes
from tools.circumstances import ROOT, circumstances
from tools.loop.page import page
from tools.loop.record import Proof

RESULTS = ROOT / "docs" / "results"
PARTS = {
    "quiet": "tools.loop.quiet",
    "equal": "tools.loop.equal",
    "shadow": "tools.loop.shadow",
    "broken": "tools.loop.broken",
    "swap": "tools.loop.swap",
    "poison": "tools.loop.poison",
    "leak": "tools.loop.leak",
    "registrars": "tools.loop.registrars",
    "install": "tools.loop.install",
    "world": "tools.loop.world.proof",
    "lag": "tools.loop.world.lag",
}
LONG = ("poison", "world", "lag")
"""Parts that may be stopped after some seconds and go on the next time."""


def measured(name: str, data: Path, seconds: float) -> Proof:
    """The proof of this name; a long one ends after so many seconds with what it has."""
    prove = importlib.import_module(PARTS[name]).prove
    return prove(data, seconds) if name in LONG else prove(data)


def keep(name: str, proof: Proof, seconds: float) -> None:
    """Put a part in the place of the one of the same name, with its plots, and write the page anew."""
    file = RESULTS / "loop.json"
    parts: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {}
    parts[name] = {**proof.to_json(), "cpu_seconds": round(seconds, 1), "around": circumstances()}
    for plot, drawn in proof.plots.items():
        write_bytes(RESULTS / f"{plot}.svg", drawn.encode())
    kept = {one: parts[one] for one in PARTS if one in parts}
    write_bytes(file, (json.dumps(kept, indent=1, ensure_ascii=False) + "\n").encode())
    write_bytes(RESULTS / "loop.md", page(kept, [*PARTS]).encode())


def main() -> None:
    """Run the named parts, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PARTS))
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--seconds", type=float, default=inf, help="stop a long part then; it goes on the next time")
    parser.add_argument("--list", action="store_true", help="what there is")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.names) - set(PARTS)):
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    for name in PARTS if arguments.list else arguments.names or PARTS:
        if arguments.list:
            print(name)  # noqa: T201
            continue
        began = time.process_time()
        proof = measured(name, arguments.data.absolute(), arguments.seconds)
        keep(name, proof, time.process_time() - began)
        for row in proof.rows:
            print(f"{name}: {row.what}: {row.ours} | {row.rule} {row.theirs} | {row.goal} {row.met}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
