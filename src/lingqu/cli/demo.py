"""`lingqu demo`: the whole journey on 1,797 real pictures of handwritten digits, which lie inside scikit-learn."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.text import Text

from lingqu.cli.journey import tell_result
from lingqu.cli.present import err, progress
from lingqu.loop import run
from lingqu.store import Store, write_bytes

FOLDER = Path("lingqu-demo")
SPEC = """\
# Which digit is this? 1,797 pictures of 8 x 8 pixels, from scikit-learn.
name: digits
task: image-classification
data: {source: "sklearn:digits", columns: {image: image, label: label}}
budget: 1 min
"""


def demo(arguments: argparse.Namespace) -> int:
    """Run the journey in the folder lingqu-demo; a second time nothing is left to do."""
    spec = FOLDER / "lingqu.yaml"
    if not spec.exists():
        write_bytes(spec, SPEC.encode())
    journey = "rows → models → bundle → report → gate → version"
    err.print(Text.assemble("The journey of ", (str(spec), "bold"), f": {journey}."))
    with progress() as tell:
        result = run(spec, store=Store.open(Path(arguments.home)) if arguments.home else None, tell=tell)
    tell_result(arguments, result)
    err.print(Text(f"\nEverything is in {FOLDER.resolve()}", style="dim"))
    return 0
