"""What the journal keeps of an answer, and the ids of answers."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from lingqu.serve.fresh import fresh

if TYPE_CHECKING:
    from lingqu.contract.answers import Answer
    from lingqu.serve.principal import Principal

_COUNT = itertools.count()


class Entry(NamedTuple):
    """One answer, as the service knows it; `at` is in seconds since 1970, `number` None for a bundle folder."""

    prediction_id: str
    request_id: str
    at: float
    name: str
    number: int | None
    role: str
    principal: Principal
    user: str | None
    input: Mapping[str, Any] | None
    answer: Answer
    latency_ms: float


def new_id() -> str:
    """The id of a prediction: 32 hexadecimal digits, of which the first 12 are the milliseconds since 1970 and the next 5
    count, so that ids sort by time, and the rows of a request in their order; 60 bits are random, so that nobody guesses
    one.

    >>> ids = [new_id() for _ in range(1000)]
    >>> len(set(ids)), {len(one) for one in ids}
    (1000, {32})
    """
    return f"{time.time_ns() // 1_000_000:012x}{next(_COUNT) & 0xFFFFF:05x}{fresh(8).hex()[1:]}"


def moment_of(prediction_id: str) -> float | None:
    """When an id was made, in seconds since 1970; None when it is none of ours.

    >>> abs(time.time() - moment_of(new_id())) < 1, moment_of("17")
    (True, None)
    """
    if len(prediction_id) != 32 or not all(sign in "0123456789abcdef" for sign in prediction_id):
        return None
    return int(prediction_id[:12], 16) / 1000
