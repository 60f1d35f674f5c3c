"""Numbers that lie far from what everybody else says, left out one by one.

Where the answer is a number, a single label can outweigh all others in a model, and no trial of blocks sees one row. How
far a label lies from the answer is held against how far the labels of the same round do: where the world has moved, all
of them are off, and none is far. Labels that a person has decided on are never left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from statistics import median

from lingqu.data.values import CellFault, to_number
from lingqu.feedback.voice import Voice

RANGES, DEVIATIONS = 5.0, 10.0
"""A label is far that lies further from the middle one than this many half ranges of the answer and this many times as
far as labels usually do; of normal errors neither happens once in ten million."""

FAR = "its number lies much farther from the answer than others of this round do"


def far_off(given: Sequence[Voice]) -> dict[str, str]:
    """Why each of these should not train before a person has looked, of those that are far off."""
    off: dict[str, tuple[float, float]] = {}
    for voice in given:
        with suppress(CellFault, KeyError, TypeError, ValueError):
            said, answer = to_number(voice.value), voice.answer
            if said is not None and answer["kind"] == "number-value":
                reach = (float(answer["high"]) - float(answer["low"])) / 2
                off[voice.id] = (said - float(answer["prediction"]), reach)
    if not off:
        return {}
    middle = median(by for by, _ in off.values())
    usual = median(abs(by - middle) for by, _ in off.values())
    far: dict[str, str] = {}
    for voice in given:
        by, reach = off.get(voice.id, (middle, 0.0))
        if not voice.reviewed and abs(by - middle) > max(RANGES * reach, DEVIATIONS * usual):
            far[voice.id] = (
                f"it lies {by:+.3g} from the answer, and labels of this round lie {middle:+.3g} on the middle"
            )
    return far
