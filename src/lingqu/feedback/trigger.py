"""When it is time to go round the loop: enough new labels, an alarm, or somebody's wish; never too often, never in vain.

>>> due = consider(accepted=250, needed=200, since_last=None, pause=86_400.0)
>>> due.go, due.why
(True, '250 new labels of the 200 that start a round')
>>> consider(accepted=250, needed=200, since_last=3600.0, pause=86_400.0).why
'the last round was 1 h ago, and the spec wants 24 h between two'
>>> consider(accepted=12, needed=200, since_last=None, pause=0).why
'12 new labels of the 200 that start a round'
"""

from __future__ import annotations

from dataclasses import dataclass

DAY, HOUR, MINUTE = 86_400, 3600, 60


@dataclass(frozen=True, slots=True)
class Due:
    """Whether a round should begin, and why or why not."""

    go: bool
    why: str


def consider(
    *,
    accepted: int,
    needed: int,
    since_last: float | None,
    pause: float,
    since_change: float | None = None,
    alarm: str = "",
    frozen: str = "",
    asked: bool = False,
) -> Due:
    """Whether a round should begin.

    `accepted` labels came since the last round, which began `since_last` seconds ago (None: there was none); the champion
    changed `since_change` seconds ago. An alarm needs a quarter of the labels: what is no news teaches nothing, and each
    look at the gate costs. Somebody who asks waits for nobody, except where a person has frozen the model.
    """
    if frozen:
        return Due(False, f"frozen: {frozen}")
    if asked:
        return Due(True, "asked for")
    if since_last is not None and since_last < pause:
        return Due(False, f"the last round was {span(since_last)} ago, and the spec wants {span(pause)} between two")
    if since_change is not None and since_change < pause:
        return Due(False, too_soon(since_change, pause))
    if alarm and accepted >= max(1, needed // 4):
        return Due(True, f"{alarm}, and {accepted:,} new labels")
    return Due(accepted >= needed, f"{accepted:,} new labels of the {needed:,} that start a round")


def too_soon(since_change: float, pause: float) -> str:
    """What keeps the champion from changing twice within one cool-down."""
    return f"the champion changed {span(since_change)} ago, and the spec wants {span(pause)} between two changes"


def span(seconds: float) -> str:
    """A time in its plainest unit.

    >>> span(90), span(7200), span(172_800)
    ('2 min', '2 h', '2 d')
    """
    if seconds >= 2 * DAY:
        return f"{round(seconds / DAY)} d"
    return f"{round(seconds / HOUR)} h" if seconds >= HOUR else f"{max(1, round(seconds / MINUTE))} min"
