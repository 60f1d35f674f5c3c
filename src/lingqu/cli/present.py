"""How the command line speaks: one JSON object, or words and tables for people.

With `--json` standard output holds the object and nothing else; progress and errors always go to standard error.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from lingqu.loop import Tell
from lingqu.store import Store

out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


def emit(arguments: argparse.Namespace, value: Mapping[str, Any], *shown: RenderableType) -> None:
    """Print the value as JSON when asked for, and what people read otherwise."""
    if arguments.json:
        json.dump(value, sys.stdout, ensure_ascii=False, allow_nan=False)
        sys.stdout.write("\n")
        return
    for part in shown:
        out.print(part)


def table(title: str, names: Iterable[str], rows: Iterable[Iterable[Any]]) -> Table:
    """A plain table; cells are text, never markup."""
    made = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in names:
        made.add_column(name, overflow="fold")
    for row in rows:
        made.add_row(*(escape(str(cell)) for cell in row))
    return made


def next_step(command: str, why: str = "") -> str:
    """What to type next.

    >>> next_step("lingqu show digits", "the report in the terminal")
    '[dim]Next:[/dim] [bold]lingqu show digits[/bold]  [dim]the report in the terminal[/dim]'
    """
    return f"[dim]Next:[/dim] [bold]{escape(command)}[/bold]" + (f"  [dim]{escape(why)}[/dim]" if why else "")


@contextmanager
def progress() -> Iterator[Tell]:
    """A live line per stage on standard error; plain lines where that is no terminal."""
    if not err.is_terminal:
        seen: set[str] = set()

        def plain(stage: str, done: float, sentence: str) -> None:
            if done >= 1 or stage not in seen:
                seen.add(stage)
                err.print(escape(f"{stage}: {sentence}"))

        yield plain
        return
    columns = (SpinnerColumn(), TextColumn("{task.description:<18}"), BarColumn(24), TimeElapsedColumn())
    with Progress(*columns, TextColumn("[dim]{task.fields[sentence]}"), console=err) as live:
        lines: dict[str, Any] = {}

        def tell(stage: str, done: float, sentence: str) -> None:
            if stage not in lines:
                lines[stage] = live.add_task(escape(stage), total=1.0, sentence="")
            live.update(lines[stage], completed=min(done, 1.0), sentence=escape(sentence)[:100])

        yield tell


def open_store(arguments: argparse.Namespace, beside: Path | None = None) -> Store:
    """The store of --home, LINGQU_HOME, or the folder of the spec (or this one)."""
    if arguments.home:
        return Store.open(Path(arguments.home))
    from lingqu.loop import home

    return Store.open(home(beside or Path.cwd()))
