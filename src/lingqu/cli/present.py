"""How the command line speaks: one JSON object, or words and tables for people.

With `--json` standard output holds the object and nothing else; progress and errors always go to standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from lingqu.cli.visible import visible
from lingqu.evaluate.translation import ENGLISH, Words
from lingqu.loop import Tell, home
from lingqu.stages.opening import reading
from lingqu.store import Store


class SafeConsole(Console):
    """A console whose texts are only ever shown; styles and the moves of a progress bar are Rich's own, and stay."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """As Rich renders it."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


# Who pipes a table wants its cells whole, not folded at the 80 columns that no terminal has.
_PIPED = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 200
# A string is what it says: users write `[/issue]` and `:x:` in reasons, paths and cells. What has a style is a Text.
out = SafeConsole(width=_PIPED, soft_wrap=True, highlight=False, markup=False, emoji=False)
err = SafeConsole(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)


def emit(arguments: argparse.Namespace, value: Mapping[str, Any], *shown: RenderableType) -> None:
    """Print the value as JSON when asked for, and what people read otherwise: strings as they are, or with a style."""
    if arguments.json:
        json.dump(value, sys.stdout, ensure_ascii=False, allow_nan=False)
        sys.stdout.write("\n")
        return
    for part in shown:
        out.print(part)


def table(title: str, names: Iterable[str], rows: Iterable[Iterable[Any]]) -> Table:
    """A plain table; a cell is what it says."""
    made = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in names:
        made.add_column(visible(name), overflow="fold")
    for row in rows:
        # Before they are measured: a sign that is not seen has no width.
        made.add_row(*(visible(str(cell)) for cell in row))
    return made


def findings(told: Mapping[str, Any], say: Words = ENGLISH) -> list[Text]:
    """What was found in the data, as `quarantined` and `findings` of a result tell it: a line each.

    >>> for line in findings({"quarantined": 1, "findings": [{"level": "note", "message": "Column 'a' has one value."}]}):
    ...     print(line)
    Warning: 1 broken row was set aside.
    Note: Column 'a' has one value.
    """
    broken = told["quarantined"]
    many = say("{count} broken rows were set aside.", count=f"{broken:,}")
    aside = say("1 broken row was set aside.") if broken == 1 else many
    lines = [("warning", aside)] * bool(broken) + [(one["level"], say.told(one["message"])) for one in told["findings"]]
    styles = {"warning": "yellow", "note": "dim"}
    return [Text.assemble((say(f"{level.title()}: "), styles.get(level, "")), message) for level, message in lines]


def next_step(command: str, why: str = "", say: Words = ENGLISH) -> Text:
    """What to type next.

    >>> print(next_step("lingqu show digits", "the report in the terminal"))
    Next: lingqu show digits  the report in the terminal
    """
    return Text.assemble((say("Next: "), "dim"), (command, "bold"), (f"  {why}" if why else "", "dim"))


@contextmanager
def progress() -> Iterator[Tell]:
    """A live line per stage on standard error; plain lines where that is no terminal."""
    if not err.is_terminal:
        last: dict[str, str] = {}

        def plain(stage: str, done: float, sentence: str) -> None:
            line = f"{stage}: {sentence or 'begun'}"
            if stage not in last or (done >= 1 and line != last[stage]):
                last[stage] = line
                err.print(line)

        yield plain
        return
    stage_name = TextColumn("{task.description:<18}", markup=False)
    said = TextColumn("{task.fields[sentence]}", style="dim", markup=False)
    with Progress(SpinnerColumn(), stage_name, BarColumn(24), TimeElapsedColumn(), said, console=err) as live:
        lines: dict[str, Any] = {}

        def tell(stage: str, done: float, sentence: str) -> None:
            if stage not in lines:
                lines[stage] = live.add_task(stage, total=1.0, sentence="")
            live.update(lines[stage], completed=min(done, 1.0), sentence=sentence[:100])

        yield tell


def read_store(arguments: argparse.Namespace) -> AbstractContextManager[Store]:
    """The store of --home, LINGQU_HOME or this folder; none is made where none is."""
    return reading(store_folder(arguments))


def store_folder(arguments: argparse.Namespace) -> Path:
    """Where that store is, or would be."""
    return Path(arguments.home) if arguments.home else home(Path.cwd())
