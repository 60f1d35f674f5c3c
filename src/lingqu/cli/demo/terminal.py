"""The story on the terminal: a line an act, live while it is played, and a table at the end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Self

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from lingqu.cli.demo.told import DOING, TITLES, Event, Say, shown
from lingqu.cli.present import err

STYLES: Mapping[str, str] = {
    "shift": "yellow",
    "drift": "yellow",
    "overrule": "red",
    "poison": "magenta",
    "promote": "green",
    "back": "green",
    "rollback": "green",
}

GOOD = 0.8
"""From this share of right answers on a span is green."""
WIDE = 44


class Screen:
    """Shows acts on standard error; where that is no terminal, a plain line for each that has ended."""

    def __init__(self, say: Say, began: float) -> None:
        self.say = say
        self.began = began
        self._live: Progress | None = None
        self._log = logging.getLogger("lingqu.monitor")

    def __enter__(self) -> Self:
        # Alarms are acts of the story: they are told once.
        self._log.setLevel(logging.ERROR)
        return self

    def __exit__(self, *_: object) -> None:
        self.pause()
        self._log.setLevel(logging.NOTSET)

    def begin(self, act: str) -> Callable[[float, str], None]:
        """A live line for an act."""
        self.pause()
        if not err.is_terminal:
            return lambda done, words: None
        clock = TextColumn("{task.fields[clock]}", style="dim")
        title = TextColumn("{task.description}", markup=False)
        words = TextColumn("{task.fields[words]}", style="dim", markup=False)
        self._live = Progress(clock, SpinnerColumn(), title, BarColumn(20), words, console=err, transient=True)
        self._live.start()
        task = self._live.add_task(self.say(DOING[act]), total=1.0, clock=self._now(), words="")
        live = self._live

        def show(done: float, said: str) -> None:
            live.update(task, completed=min(done, 1.0), words=said[:WIDE], clock=self._now())

        return show

    def pause(self) -> None:
        """Take the live line away."""
        if self._live is not None:
            self._live.stop()
        self._live = None

    def happened(self, event: Event) -> None:
        """The line that stays."""
        self.pause()
        title, style = self.say(TITLES[event.act]), STYLES.get(event.act, "cyan")
        err.print(
            Text.assemble(
                (self._clock(event.at), "dim"), ("  ● ", style), (f"{title}: ", "bold"), event.sentence(self.say)
            )
        )

    def _now(self) -> str:
        return self._clock(time.monotonic() - self.began)

    @staticmethod
    def _clock(seconds: float) -> str:
        return f"{seconds:3.0f} s"


def story_table(kept: Mapping[str, Any], say: Say) -> Table:
    """What was answered from one event to the next, and how much of it was right."""
    made = Table(title="", box=None, pad_edge=False, header_style="bold")
    for name in ("s", "what happened", "answers by", "answers", "right", "95 % interval"):
        made.add_column(say(name), justify="right" if name in ("s", "answers", "right") else "left")
    for span in kept["spans"]:
        count, right, between = shown(span["share"])
        good = bool(right) and span["share"]["value"] >= GOOD
        made.add_row(
            f"{span['begin']:.0f}",
            Text(say(TITLES[span["act"]]), style="bold"),
            ", ".join(f"@{number}" for number in span["versions"]),
            count,
            Text(right, style="green" if good else "red"),
            Text(between, style="dim"),
        )
    return made
