"""Numbers that lie far from what everybody else says, left out one by one.

Where the answer is a number, a single label can outweigh all others in a model, and no trial of blocks sees one row. How
far a label lies from the answer is held against how far the labels of the same round do, all of them and a few voices of each
principal: whoever brings most of a round, or comes by several keys, must not say alone where its middle is. What the two
contest is left to caps, trial and gate. Where the world has moved, all are off, and none is far; where a part of it has,
several principals say so. Labels that a person has decided on are never left out.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from itertools import chain
from statistics import median

from lingqu.data.values import CellFault, to_number
from lingqu.feedback.suspects import LEAST_OF_BLOCK
from lingqu.feedback.voice import Voice

RANGES, DEVIATIONS = 5.0, 10.0
"""A label is far that lies further from both middles than this many half ranges of the answer and this many times as
far as labels usually do; of normal errors neither happens once in ten million."""
ALIKE = 3
"""What so many principals say alike, within a half range of the answer or as far as labels usually lie, is news, not far."""

FAR = "its number lies much farther from the answer than others of this round do"


def far_off(given: Sequence[Voice]) -> dict[str, str]:
    """Why each of these should not train before a person has looked, of those that are far off."""
    off: dict[str, tuple[float, float]] = {}
    of_one: dict[str, list[float]] = defaultdict(list)
    for voice in given:
        with suppress(CellFault, KeyError, TypeError, ValueError):
            said, answer = to_number(voice.value), voice.answer
            if said is not None and answer["kind"] == "number-value":
                reach = (float(answer["high"]) - float(answer["low"])) / 2
                off[voice.id] = (said - float(answer["prediction"]), reach)
                of_one[voice.principal].append(off[voice.id][0])
    if not off:
        return {}
    said_by = {principal: sorted(numbers) for principal, numbers in of_one.items()}
    middles = [_middle(said_by.values(), median_of) for median_of in (_of_all, _of_voices)]
    far: dict[str, str] = {}
    for voice in given:
        if voice.id in off and not voice.reviewed:
            by, reach = off[voice.id]
            wide = all(abs(by - middle) > max(RANGES * reach, DEVIATIONS * usual) for middle, usual in middles)
            if wide and all(_saying(said_by, by, max(reach, usual)) < ALIKE for _, usual in middles):
                far[voice.id] = FAR
    return far


def _middle(
    said: Collection[Sequence[float]], median_of: Callable[[Collection[Sequence[float]]], float]
) -> tuple[float, float]:
    """The middle of what principals say, and how far from it they usually are."""
    middle = median_of(said)
    return middle, median_of([[abs(by - middle) for by in own] for own in said])


def _of_all(of_each: Collection[Sequence[float]]) -> float:
    return median(chain.from_iterable(of_each))


def _of_voices(of_each: Collection[Sequence[float]]) -> float:
    """The median where each principal says the middle of their own, which counts for ten numbers at most.

    Who brings fewer weighs less, for no trial tries them: of two principals one with a single number decides nothing.
    """
    return _of_all([[median(own)] * min(len(own), LEAST_OF_BLOCK) for own in of_each])


def _saying(said_by: Mapping[str, Sequence[float]], by: float, near: float) -> int:
    """How many principals say a number near this one; their numbers are sorted."""
    return sum(bisect_left(own, by - near) < bisect_right(own, by + near) for own in said_by.values())
