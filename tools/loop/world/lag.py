"""What it costs lingqu to wait for proof: the world again, with one rule after the other taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lingqu.evaluate.gate import Decision
from lingqu.feedback.voice import ACCEPTED, RULE, Voice
from lingqu.registry.alpha import AlphaRound
from tools.circumstances import ROOT
from tools.loop.draw import bars
from tools.loop.record import Proof, Row
from tools.loop.world.head import Head
from tools.loop.world.lives import lives
from tools.loop.world.play import POLICIES, gained
from tools.loop.world.policies import Lingqu, Policy
from tools.loop.world.products import PRODUCTS
from tools.loop.world.stream import ACTIVE

SEEDS = range(100, 103)
"""Seeds of their own: those of the world's page are not among them."""
LINES = ROOT / "docs" / "results" / "lag.jsonl"


class Forgets(Lingqu):
    """lingqu whose gate looks at fresh rows alone: the frozen rows of the first day, and their slices, forbid nothing."""

    def _gate(self, challenger: Head, fresh: NDArray[Any], now: int) -> tuple[Decision, bool]:
        self.looks += 1
        budget, rows = AlphaRound.of(self.looks), self.world.stream[fresh]
        features = self.world.features(rows, self.world.new[fresh])
        return self._decide(challenger, features, self.truth[rows], budget.alpha, ()), budget.exhausted


class Knows(Lingqu):
    """lingqu whose gate knows the truth: a challenger that is better leads at once; audit labels are waited for as ever."""

    def _gate(self, challenger: Head, fresh: NDArray[Any], now: int) -> tuple[Decision, bool]:
        gain, p = gained(self.world, now, self.champion, challenger)
        decision = "promote" if gain > 0 else "keep"
        return Decision(decision, "accuracy", "the hidden sample", p, 0.0, len(fresh), gain, 0.0, 0.0, 0.0, 0.0), False


class Unbound(Knows):
    """Besides, audit labels train as soon as they come, and no round waits for them."""

    def _may_judge(self) -> bool:
        self.worn = len(self.audit)
        return True


class Trusting(Unbound):
    """Besides, every label trains: no quarantine, no caps, no trial of suspects."""

    def _rule(self) -> None:
        for id, voice in self.voices.items():
            if voice.status != ACCEPTED:
                self.voices[id] = replace(voice, status=ACCEPTED, decided_by=RULE)

    def _within_caps(self, given: Sequence[Voice], served: Sequence[int]) -> list[Voice]:
        return [*given]

    def _harmful(self, kept: Sequence[Voice], served: Sequence[int]) -> dict[str, str]:
        return {}


KINDS: dict[str, type[Policy]] = {
    "lingqu": Lingqu,
    **{name: POLICIES[name] for name in ("point", "informed")},
    "forgets": Forgets,
    "knows": Knows,
    "unbound": Unbound,
    "trusting": Trusting,
}
STEPS = {
    "the frozen rows of the first day, slice by slice, forbid": ("forgets", "lingqu"),
    "the gate waits for proof on fresh rows": ("knows", "forgets"),
    "audit labels are kept for the gate, and rounds wait for them": ("unbound", "knows"),
    "quarantine, caps and trials keep labels out": ("trusting", "unbound"),
}
SHORT = {
    "lingqu": "lingqu",
    "knows": "its gate knows the truth",
    "unbound": "no audit label kept back",
    "trusting": "every label trains",
}


def prove(data: Path, seconds: float = inf) -> Proof:
    """Live what was not lived yet, for so many seconds, and tell what each rule costs."""
    which = [(name, seed, active) for active in (1.0, ACTIVE) for seed in SEEDS for name in PRODUCTS]
    known = lives(data, seconds, file=LINES, which=which, policies=KINDS)
    rows: list[Row] = []
    told: dict[str, Any] = {}
    for name, (title, *_) in PRODUCTS.items():
        for active in (1.0, ACTIVE):
            part = [one for one in known if one["product"] == name and one["active"] == active]
            if part:
                after = {kind: _after(part, kind) for kind in KINDS}
                rows += _rows(title, active, after)
                told[f"{name} x{active:g}"] = {"seeds": len(part)} | {
                    kind: round(float(one.mean()), 4) for kind, one in after.items()
                }
    return Proof(
        "What the proof costs in the world",
        rows,
        [
            _plainly(told),
            *EXPLAINED,
            (
                f"Lived so far: {len(known)} of {len(which)} worlds, seeds {SEEDS.start} to {SEEDS.stop - 1}; "
                f"CPU seconds of all of them: {sum(one['cpu_seconds'] for one in known):,.0f}."
            ),
        ],
        {"loop-lag": _plot(told)} if told else {},
        "Mean accuracy after the first shift of lingqu, and of lingqu without one rule after the other, by product.",
        told,
    )


def _after(part: list[dict[str, Any]], kind: str) -> NDArray[Any]:
    return np.array([one["policies"][kind]["after"] for one in part])


def _rows(title: str, active: float, after: dict[str, NDArray[Any]]) -> list[Row]:
    """What each rule costs, and how far the point estimate is ahead of lingqu."""
    count = len(after["lingqu"])
    who = f"{active:g} times as much" if active != 1 else "as much as others"
    what, rival = (
        f"{title}, hostile users send {who} ({count} seed{'s' * (count > 1)})",
        "the point estimate that has the audit's labels",
    )
    found = [Row(f"{what}: {why}", _points(after[less] - after[more])) for why, (less, more) in STEPS.items()]
    free, theirs = (f"{after[kind].mean():.4f}" for kind in ("trusting", "informed"))
    last = f"lead of {rival} over lingqu, and what is left of it without these rules"
    ahead, left = _points(after["informed"] - after["lingqu"]), _points(after["informed"] - after["trusting"])
    return [*found, Row(f"{what}: {last}", f"{ahead}, {left}", rival, f"{theirs}, and {free} without these rules")]


def _points(gains: NDArray[Any]) -> str:
    """The mean in points, with its standard error over seeds."""
    error = f" (± {100 * gains.std(ddof=1) / len(gains) ** 0.5:.1f})" if len(gains) > 1 else ""
    return f"{100 * gains.mean():+.1f}{error}"


def _plainly(told: dict[str, Any]) -> str:
    """What each rule costs, product by product, in one paragraph."""

    def costs(ending: str) -> str:
        mine = [one for name, one in told.items() if name.endswith(ending)]
        each = {
            why: ", ".join(f"{100 * (one[less] - one[more]):+.1f}" for one in mine)
            for why, (less, more) in STEPS.items()
        }
        return "; ".join(f"{why}: {points}" for why, points in each.items())

    return (
        "**Read plainly.** Points of accuracy that each rule costs, product by product. Where hostile users send as much as "
        f"others: {costs(' x1')}. Where they send {ACTIVE:g} times as much: {costs(f' x{ACTIVE:g}')}. A minus says that the rule "
        "pays for itself: what is kept out there does more harm than the wait."
    )


def _plot(told: dict[str, Any]) -> str:
    names = [name for name in told if name.endswith(" x1")]
    parts = [(words, [100 * told[name][kind] for name in names]) for kind, words in SHORT.items()]
    up = "% accuracy after the first shift"
    return bars("Where hostile users send as much as others", [name[:-3] for name in names], parts, up=up)


EXPLAINED = [
    (
        "The world of the section above, lived on further seeds by lingqu and by lingqu without one rule after the other. "
        "First the frozen rows of the first day forbid nothing any more, and a challenger has to be better on fresh rows alone. "
        "Then its gate knows the truth: a challenger that is better on the large hidden sample leads at once, one that is "
        "not never does, and audit labels judge and wear out as ever. Then audit labels train as soon as they come, and no "
        "round waits until 100 of them make a gate. Then every label trains that anybody gave: no quarantine, caps or trial. "
        "What is left is a policy that nobody can run, for it promotes by what only the report sees; it says how far the "
        "rows that are at hand would carry. Each row of the table is the gain in mean accuracy after the first shift from "
        "taking that rule away beside those before it, in points, with its standard error over seeds; a minus says that the "
        "rule pays for itself. No rule and no dial was chosen by these seeds."
    ),
]
