"""What a batch is: requests in pieces, pieces that fit together, and their answers from one model.

A batch holds rows of one model and of like cost, at most so many as should be computed in `SLICE` seconds, so that a
long request delays a short one little.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from lingqu.bundle.read import gave_numbers, never_finite
from lingqu.contract import Answer, Refusal, Rows
from lingqu.data.accept import accept
from lingqu.errors import DataError
from lingqu.serve.cost import Estimate, bucket, costs

if TYPE_CHECKING:
    import asyncio

    from lingqu.bundle.read import Brake, Bundle

MOST_ROWS = 64
SLICE = 0.03
"""Seconds that a batch of several rows should take at most."""
MOST_SECONDS = 1.0
"""Seconds that a part of one request should take at most."""


class Model(Protocol):
    """What a batch is computed with: a loaded version."""

    @property
    def bundle(self) -> Bundle: ...

    @property
    def estimate(self) -> Estimate: ...


@dataclass(eq=False, slots=True)
class Request:
    """Rows that wait for one model's answers; `future` gets them, one a row.

    `at`, `begun` and `seconds` are monotonic: when it came, when its first batch began, how long its batches took.
    """

    model: Model
    rows: Rows
    future: asyncio.Future[list[Answer]]
    at: float
    answers: list[Answer] = field(default_factory=list)
    missing: int = 0
    begun: float = 0.0
    seconds: float = 0.0


@dataclass(eq=False, slots=True)
class Piece:
    """Rows of one request that are computed together: their places, and the cost of the longest."""

    request: Request
    places: Sequence[int]
    longest: float

    @property
    def rows(self) -> Rows:
        """The rows themselves."""
        whole = self.request.rows
        return whole if len(self.places) == len(whole) else whole.take(self.places)


Outcome = list[Answer] | BaseException
Watcher = Callable[[Model, int, float, float, BaseException | None], None]
"""Hears, in the event loop, of each batch: its model, rows, cost and seconds, and what went wrong if anything did."""


def unwatched(_model: Model, _rows: int, _cost: float, _seconds: float, _error: BaseException | None) -> None:
    """Hears and forgets."""


def pieces_of(request: Request) -> list[Piece]:
    """The request in parts of at most a batch, rows of like cost together."""
    found = costs(request.rows)
    most = _most_rows(request.model.estimate, max(found))
    if len(found) <= most:
        return [Piece(request, range(len(found)), max(found))]
    order = sorted(range(len(found)), key=found.__getitem__)
    parts = [order[start : start + most] for start in range(0, len(order), most)]
    return [Piece(request, part, found[part[-1]]) for part in parts]


def _most_rows(estimate: Estimate, longest: float) -> int:
    """How many rows of this cost may be computed together, so that one request keeps a thread for a second at most."""
    seconds = estimate.seconds(MOST_ROWS * longest)
    return MOST_ROWS if seconds <= MOST_SECONDS else max(1, int(MOST_ROWS * MOST_SECONDS / seconds))


def form(line: deque[Piece], seconds: float = SLICE) -> list[Piece]:
    """Take the oldest piece out of a line and those like it, as far as they fit into so many seconds."""
    first = line.popleft()
    batch, rows, longest = [first], len(first.places), first.longest
    model, like = first.request.model, bucket(first.longest)
    left: list[Piece] = []
    while line and rows < MOST_ROWS:
        piece = line.popleft()
        more, most = rows + len(piece.places), max(longest, piece.longest)
        fits = piece.request.model is model and bucket(piece.longest) == like and more <= MOST_ROWS
        if fits and model.estimate.seconds(more * most) <= seconds:
            batch.append(piece)
            rows, longest = more, most
        else:
            left.append(piece)
    line.extendleft(reversed(left))
    return batch


def compute(
    parts: Sequence[Rows], bundle: Bundle, brake: Brake | None = None
) -> tuple[list[Outcome], BaseException | None]:
    """The answers to each part, computed together, or why there are none; and what went wrong in the model, if anything.

    A part that breaks the contract as a whole, or makes the model fail, does not harm those beside it. Whoever pulls the
    brake ends the run: then all parts fail.
    """
    outcomes: list[Outcome] = []
    good: list[tuple[int, list[int], Rows]] = []
    for number, rows in enumerate(parts):
        try:
            accepted, errors = accept(rows, bundle.manifest["columns"])
        except DataError as error:
            outcomes.append(error)
            continue
        places = [place for place, error in enumerate(errors) if error is None]
        outcomes.append([Refusal(error or "") for error in errors])
        if places:
            good.append((number, places, accepted if len(places) == len(errors) else accepted.take(places)))
    worst: BaseException | None = None
    for (number, places, _), decided in zip(good, decide([rows for _, _, rows in good], bundle, brake), strict=True):
        if isinstance(decided, BaseException):
            outcomes[number] = worst = decided
            continue
        answers = outcomes[number]
        assert isinstance(answers, list)
        for place, answer in zip(places, decided, strict=True):
            answers[place] = answer
        if gave_numbers(decided) is False:
            # Each row is refused and none gets an error of the service; but the model has failed.
            worst = worst or never_finite()
    return outcomes, worst


def decide(parts: Sequence[Rows], bundle: Bundle, brake: Brake | None = None) -> list[Outcome]:
    """The bundle's answers to accepted rows, all parts at once; one by one where together they fail."""
    if not parts:
        return []
    together = parts[0]
    for rows in parts[1:]:
        together = together.followed_by(rows)
    try:
        answers = bundle.decide(together, brake)
    except Exception as error:  # a model may fail in any way, and who asked must hear of it
        return [error] if len(parts) == 1 else [decide([rows], bundle, brake)[0] for rows in parts]
    taken = iter(answers)
    return [[next(taken) for _ in range(len(rows))] for rows in parts]
