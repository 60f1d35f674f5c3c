"""What happened in a demo, as it is kept, told and drawn: events in order, and how many answers between them were right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lingqu.cli.demo.chinese import CHINESE
from lingqu.cli.demo.crowd import Answered
from lingqu.monitor.quality import Share

TITLES: Mapping[str, str] = {
    "learn": "A model is learned",
    "serve": "It is served",
    "quiet": "All is quiet",
    "shift": "The camera slips",
    "drift": "Drift is seen",
    "labels": "Labels come",
    "challenger": "A challenger is proved",
    "shadow": "It answers unseen",
    "canary": "A few users get it",
    "promote": "It is promoted",
    "back": "Answers are right again",
    "poison": "Poison is contained",
    "overrule": "The gate is overruled",
    "rollback": "It is rolled back",
    "thaw": "A person has looked",
}

DOING: Mapping[str, str] = {
    "learn": "learning",
    "serve": "starting the service",
    "quiet": "people ask",
    "drift": "watching",
    "labels": "listening",
    "challenger": "learning anew",
    "shadow": "comparing unseen",
    "canary": "a few users first",
    "promote": "changing over",
    "back": "people ask",
    "poison": "under attack",
    "overrule": "overruling the gate",
    "rollback": "watching",
    "thaw": "people ask",
}
"""What is said of an act while it is played."""
FEW = 10
"""Of fewer answers than this nobody can say how many are right."""


class Say:
    """Says templates in one language.

    >>> Say("zh")("answers")
    '回答'
    """

    def __init__(self, language: str) -> None:
        self.language = language

    def __call__(self, english: str, /, **values: Any) -> str:
        """The template in this language, its `{names}` filled in."""
        template = CHINESE.get(english, english) if self.language == "zh" else english
        return template.format(**values)


@dataclass(frozen=True, slots=True)
class Event:
    """One act's end: when (seconds since the story began), which, the sentence as template and values, its numbers."""

    at: float
    act: str
    template: str
    values: dict[str, str]
    numbers: dict[str, Any] = field(default_factory=dict)

    def sentence(self, say: Say) -> str:
        """What happened, in words."""
        return say(self.template, **self.values)


@dataclass(frozen=True, slots=True)
class Story:
    """A whole story: its events, every answer, and what came of the requests; `played` is when (UTC)."""

    name: str
    played: str
    seconds: float
    events: list[Event]
    answered: list[Answered]
    sent: int
    failures: list[str]

    def to_json(self) -> dict[str, Any]:
        """The story as JSON values, without the single answers: they are told in spans."""
        say = Say("en")
        return {
            "name": self.name,
            "played": self.played,
            "seconds": round(self.seconds, 2),
            "requests": {"sent": self.sent, "failed": len(self.failures), "failures": sorted(set(self.failures))},
            "events": [{**asdict(one), "at": round(one.at, 2), "sentence": one.sentence(say)} for one in self.events],
            "spans": [asdict(one) for one in spans(self)],
            "curve": [asdict(one) for one in curve(self.answered)],
        }


@dataclass(frozen=True, slots=True)
class Span:
    """The answers from one event to the next: by which versions, how many, and how many of them were right."""

    begin: float
    act: str
    versions: list[int]
    share: Share | None


@dataclass(frozen=True, slots=True)
class Point:
    """Some answers in a row: the middle of their time, and the share that was right, with its exact 95 % interval."""

    at: float
    share: Share


def spans(story: Story) -> list[Span]:
    """What was answered after each event, until the next."""
    ends = [one.at for one in story.events[1:]] + [float("inf")]
    found: list[Span] = []
    for event, end in zip(story.events, ends, strict=True):
        within = [one for one in story.answered if event.at <= one.at < end]
        versions = [*dict.fromkeys(one.version for one in within)]
        found.append(Span(round(event.at, 2), event.act, versions, share_of(within)))
    return found


def share_of(answered: Sequence[Answered]) -> Share | None:
    """How many of these answers were right; None where there are none.

    >>> share_of([Answered(1.0, 1, True), Answered(2.0, 1, False)]).value
    0.5
    """
    return Share.of(sum(one.right for one in answered), len(answered))


def shown(share: Mapping[str, Any] | None) -> tuple[str, str, str]:
    """How many answers, the share of right ones, and its interval, as people read them; too few answers have no share.

    >>> shown({"labels": 60, "value": 0.9, "low": 0.79, "high": 0.96}), shown({"labels": 3, "value": 1.0, "low": 0.3, "high": 1.0})
    (('60', '90 %', '79 – 96 %'), ('3', '', ''))
    """
    if share is None or share["labels"] < FEW:
        return "" if share is None else f"{share['labels']:,}", "", ""
    between = f"{100 * share['low']:.0f} – {100 * share['high']:.0f} %"
    return f"{share['labels']:,}", f"{100 * share['value']:.0f} %", between


def curve(answered: Sequence[Answered], size: int = 60) -> list[Point]:
    """The accuracy over time: each point stands for so many answers in a row, none counted twice.

    >>> [(point.at, point.share.value) for point in curve([Answered(float(n), 1, n < 3) for n in range(4)], 2)]
    [(0.5, 1.0), (2.5, 0.5)]
    """
    ordered = sorted(answered, key=lambda one: one.at)
    found: list[Point] = []
    for start in range(0, len(ordered) - size + 1, size):
        part = ordered[start : start + size]
        share = share_of(part)
        assert share is not None
        found.append(Point(round((part[0].at + part[-1].at) / 2, 3), share))
    return found
