"""Windows of answers by count: each is looked at once, when it is full, and what was seen is kept.

A window by the clock would hold three rows at night and thirty thousand at noon, and no test means the same on both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from math import ceil
from typing import Any

import numpy as np

from lingqu.monitor.budgets import Budget, latency, refusals
from lingqu.monitor.drift import IN_A_ROW, LEAST, Moved, compare, level
from lingqu.monitor.observed import (
    Answered,
    answered,
    drawn,
    readable,
    signals_of,
    signals_of_inputs,
    since_trial,
    unwatched,
    waiting,
    weeks_before,
)
from lingqu.monitor.quality import estimate
from lingqu.monitor.reference import Reference
from lingqu.monitor.signals import Signal, of_answers, watched
from lingqu.registry import Version
from lingqu.spec.running import MonitorSettings
from lingqu.statistics import Estimate, Interval
from lingqu.store import Store

FEW, MANY, COLUMNS = 300, 1000, 20
"""Rows of a window, those of one with many columns, and from how many columns on they are many."""
LARGEST = 5000
"""Where only a sample of the inputs is kept, windows grow to so many answers, and beyond them only while a signal would
otherwise have too few rows to be judged by."""
ENOUGH = LEAST + LEAST // 2
"""So many inputs are awaited in a window, that hardly one has fewer than the least by chance."""
MOST = 50_000
KEPT = 60
"""How many windows are remembered, and how many are looked at when more wait."""


@dataclass(frozen=True, slots=True)
class Window:
    """One window of answers, and what was seen in it."""

    number: int
    first: str
    last: str
    began: str
    ended: str
    rows: int
    inputs: int
    """How many of its inputs were kept, could be read, and hold anything that is watched."""
    tested: int
    q: float
    drifted: list[Moved]
    estimate: Estimate | None
    budgets: list[Budget]
    asked: int
    season: int = 0
    """With how many answers of the same weekdays it was compared; 0 where it was with held-out rows."""
    trial: int = 0
    """With how many answers since the version's own trial, where it was with these."""
    unwatched: list[str] = field(default_factory=list)
    """The columns that the journal left out of its inputs."""

    def sentence(self) -> str:
        """What was seen, in words.

        >>> Window(3, "", "", "2026-11-22T13:00", "", 300, 300, 0, 0.01, [], None, [], 0).sentence()
        'Window 3 from 2026-11-22 13:00: 300 answers, nothing could be tested.'
        """
        begin = f"Window {self.number} from {self.began[:10]} {self.began[11:16]}: {self.rows:,} answers, "
        if not self.tested:
            return begin + "nothing could be tested."
        found = " ".join(one.sentence() for one in self.drifted)
        return f"{begin}{found}" if found else f"{begin}none of {self.tested} signals moved."

    @property
    def signals(self) -> list[str]:
        """The names of the signals that drifted, and of the budgets that were broken."""
        return [one.signal for one in self.drifted] + [one.name for one in self.budgets if one.broken]

    def to_json(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self) | {"sentence": self.sentence()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Window:
        """The window that `to_json` wrote."""
        fields = {name: value[name] for name in cls.__slots__ if name in value}
        told = fields["estimate"]
        return cls(
            **fields
            | {
                "drifted": [Moved(**one) for one in fields["drifted"]],
                "budgets": [Budget(**one) for one in fields["budgets"]],
                "estimate": told and Estimate(told["value"], Interval(*told["interval"]), told["rows"]),
            }
        )


@dataclass(slots=True)
class Record:
    """What is remembered of a version's answers between two looks."""

    after: str = ""
    began: str = ""
    rows: int = 0
    skipped: int = 0
    windows: list[Window] = field(default_factory=list)
    alarms: dict[str, dict[str, Any]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values."""
        return {**asdict(self), "windows": [window.to_json() for window in self.windows]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Record:
        """The record that `to_json` wrote."""
        return cls(**{**value, "windows": [Window.from_json(one) for one in value["windows"]]})

    @property
    def standing(self) -> list[str]:
        """What was seen in each of the last two windows: signals that drifted, budgets that were broken."""
        if len(self.windows) < IN_A_ROW:
            return []
        return sorted(set.intersection(*(set(window.signals) for window in self.windows[-IN_A_ROW:])))


@dataclass(frozen=True, slots=True)
class Watch:
    """A version that is watched: its answers, what they are compared with, and how."""

    version: Version
    store: Store
    settings: MonitorSettings
    held_out: Reference
    sample: float = 1.0
    """The share of inputs that the journal keeps."""
    proved: bool = False
    """Whether the version has proved itself on traffic, which is then what its windows are compared with."""

    @property
    def size(self) -> int:
        """How many answers make a window; more where only a sample of their inputs is kept.

        Small samples take larger windows, as long as those can be held in memory.
        """
        columns = watched({limit["name"]: limit["kind"] for limit in self.held_out.limits})
        plain = self.settings.window or (MANY if columns > COLUMNS else FEW)
        if not 0 < self.sample < 1:
            return plain
        return max(plain, min(LARGEST, ceil(plain / self.sample)), min(MOST, ceil(ENOUGH / self.sample)))

    def inputs(self, record: Record) -> int:
        """How many inputs a window has: those of the last one, or as many as are awaited where none was seen yet."""
        return record.windows[-1].inputs if record.windows else round(self.sample * self.size)

    def look(self, record: Record) -> list[Answered]:
        """Look at every window that is full by now, and give the answers that wait for theirs."""
        count, size = waiting(self.store, self.version, record.after), self.size
        late = max(0, count // size - KEPT) * size
        if late:
            # Nobody looked for long: what is old cannot be helped any more.
            last = answered(self.store, self.version, record.after, 1, skip=late - 1)[0]
            record.after, record.rows, record.skipped = last.id, record.rows + late, record.skipped + late
        while True:
            rows = answered(self.store, self.version, record.after, size)
            record.began = record.began or (rows[0].at if rows else "")
            if len(rows) < size:
                return rows
            record.rows += size
            seconds = _seconds(record.began, rows[-1].at)
            q = level(self.settings.false_alarms_per_year, record.rows - record.skipped, seconds, size)
            record.windows = [*record.windows, self.see(rows, record.rows // size, q)][-KEPT:]
            record.after = rows[-1].id

    def see(self, rows: list[Answered], number: int, q: float) -> Window:
        """What is seen in one window."""
        held_out, season, trial = self.held_out, self._season(rows), 0
        before = signals_of(season, held_out.limits, held_out.known) if season else held_out.signals
        if self.proved and not season:
            before, trial = self._trial(rows)
        found = compare(before, signals_of(rows, held_out.limits, held_out.known), q)
        return Window(
            number,
            rows[0].id,
            rows[-1].id,
            rows[0].at,
            rows[-1].at,
            len(rows),
            readable(rows, held_out.limits),
            len(found),
            q,
            [one for one in found if one.drifted],
            estimated(rows, held_out),
            _budgets(rows, self.settings),
            drawn(rows, self.settings.audit, self.store),
            len(season),
            trial,
            unwatched(rows, held_out.limits),
        )

    def _trial(self, rows: list[Answered]) -> tuple[list[Signal], int]:
        """The signals of what came since the version's trial; those of held-out rows where that is less than a window.

        Held-out rows are as old as the first version. Whoever has learned a world that moved, and proved it on rows of
        today, need not hear for ever that it is not yesterday.
        """
        held_out, most = self.held_out, self._most(rows)
        asked, own = since_trial(self.store, self.version, rows[0].id, least=len(rows), most=most)
        newer: list[Signal] = []
        if len(own) >= len(rows):
            newer += of_answers([one.answer for one in own])
        if len(asked) >= len(rows):
            newer += signals_of_inputs(asked, held_out.limits, held_out.known)
        found = {signal.name: signal for signal in [*held_out.signals, *newer]}
        return [*found.values()], len(asked) if newer else 0

    def _season(self, rows: list[Answered]) -> list[Answered]:
        """What answers of the same weekdays were like, where that is asked for and there are as many as make a window."""
        if self.settings.season == "none":
            return []
        found = weeks_before(self.store, self.version, rows, self._most(rows))
        return found if len(found) >= len(rows) else []

    def unwatched(self, record: Record, rest: list[Answered]) -> list[str]:
        """The columns that the journal leaves out, by the newest inputs that it kept."""
        if any(one.input is not None for one in rest):
            return unwatched(rest, self.held_out.limits)
        return record.windows[-1].unwatched if record.windows else []

    def _most(self, rows: list[Answered]) -> int:
        """With how many answers a window is compared at most; a large one needs as many, about which a draw may miss."""
        return max(self.settings.reference, 2 * len(rows))


def estimated(rows: list[Answered], reference: Reference) -> Estimate | None:
    """The accuracy of these answers by their confidences, or None."""
    sure = [one.confidence for one in rows if one.confidence is not None]
    return estimate(sure, list(reference.confidence), list(reference.right)) if len(reference.confidence) else None


def too_few(reference: Reference) -> str:
    """Why nothing can be compared with this reference, or nothing."""
    if reference.rows >= LEAST:
        return ""
    return (
        f"Drift cannot be judged: there are {reference.rows:,} held-out rows to compare with, and {LEAST} are needed."
    )


def _budgets(rows: list[Answered], settings: MonitorSettings) -> list[Budget]:
    budgets: list[Budget] = []
    if settings.latency_limit_ms is not None:
        budgets.append(latency([one.latency_ms for one in rows], settings.latency_limit_ms))
    if settings.refused_share is not None:
        refused = int(np.sum([one.answer["kind"] == "refusal" for one in rows]))
        budgets.append(refusals(refused, len(rows), settings.refused_share))
    return budgets


def _seconds(began: str, ended: str) -> float:
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds()
