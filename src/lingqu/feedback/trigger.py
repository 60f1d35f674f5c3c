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
    alarm: str = "",
    frozen: str = "",
    asked: bool = False,
) -> Due:
    """Whether a round should begin.

    `accepted` labels came since the last round, which began `since_last` seconds ago (None: there was none). Somebody
    who asks waits for nobody, except where a person has frozen the model.
    """
    if frozen:
        return Due(False, f"frozen: {frozen}")
    if asked:
        return Due(True, "asked for")
    if since_last is not None and since_last < pause:
        return Due(False, f"the last round was {_span(since_last)} ago, and the spec wants {_span(pause)} between two")
    if alarm and accepted:
        return Due(True, f"{alarm}, and {accepted:,} new labels")
    return Due(accepted >= needed, f"{accepted:,} new labels of the {needed:,} that start a round")


def _span(seconds: float) -> str:
    """A time in its plainest unit.

    >>> _span(90), _span(7200), _span(172_800)
    ('2 min', '2 h', '2 d')
    """
    if seconds >= 2 * DAY:
        return f"{round(seconds / DAY)} d"
    return f"{round(seconds / HOUR)} h" if seconds >= HOUR else f"{max(1, round(seconds / MINUTE))} min"
