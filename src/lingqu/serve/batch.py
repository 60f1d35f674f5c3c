"""What a batch is: requests in pieces, pieces that fit together, and their answers from one model.

A batch holds rows of one model and of like cost, at most so many as should be computed in `SLICE` seconds, so that a
long request delays a short one little.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from lingqu.bundle.read import gave_numbers, never_finite
from lingqu.contract import Answer, Refusal, Rows
from lingqu.data.accept import accept
from lingqu.errors import DataError
from lingqu.serve.blame import blamed, is_models_fault
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

    @property
    def effort(self) -> Estimate: ...

    @property
    def witness(self) -> Bundle | None: ...


@dataclass(eq=False, slots=True)
class Request:
    """Rows that wait for one model's answers; `future` gets them, one a row.

    `at`, `begun` and `seconds` are monotonic: when it came, when its first batch began, how long its batches took, of
    which `own_seconds` are its share.
    """

    model: Model
    rows: Rows
    future: asyncio.Future[list[Answer]]
    at: float
    answers: list[Answer] = field(default_factory=list)
    missing: int = 0
    begun: float = 0.0
    seconds: float = 0.0
    own_seconds: float = 0.0


@dataclass(eq=False, slots=True)
class Piece:
    """Rows of one request that are computed together: their places, and the cost of the longest.

    A piece that is `suspect` took longer than it should, or was beside one that did: it gets no company any more.
    """

    request: Request
    places: Sequence[int]
    longest: float
    suspect: bool = False

    @property
    def rows(self) -> Rows:
        """The rows themselves."""
        whole = self.request.rows
        return whole if self.is_whole else whole.take(self.places)

    @property
    def is_whole(self) -> bool:
        """Whether these are all rows of the request, in their order."""
        return type(self.places) is range


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


def form(line: deque[Piece], seconds: float = SLICE, *, of_processor: bool = False) -> list[Piece]:
    """Take the oldest piece out of a line and those like it, as far as they fit into so many seconds."""
    first = line.popleft()
    batch, rows, longest = [first], len(first.places), first.longest
    model, like = first.request.model, bucket(first.longest)
    estimate = model.effort if of_processor else model.estimate
    left: list[Piece] = []
    while line and rows < MOST_ROWS and not first.suspect:
        piece = line.popleft()
        more, most = rows + len(piece.places), max(longest, piece.longest)
        fits = piece.request.model is model and bucket(piece.longest) == like and more <= MOST_ROWS
        if fits and not piece.suspect and estimate.seconds(more * most) <= seconds:
            batch.append(piece)
            rows, longest = more, most
        else:
            left.append(piece)
    line.extendleft(reversed(left))
    return batch


def compute(
    parts: Sequence[Rows], bundle: Bundle, brake: Brake | None = None, witness: Bundle | None = None
) -> tuple[list[Outcome], BaseException | None]:
    """The answers to each part, computed together, or why there are none; and what went wrong in the model, if anything.

    A part that breaks the contract as a whole, or makes the model fail, does not harm those beside it. Whoever pulls the
    brake ends the run: then all parts fail. The `witness` is another version of the model (`lingqu.serve.blame`).
    """
    names = parts[0].names
    if any(rows.names != names for rows in parts):
        # Some go by the user's own names of columns and some by their roles.
        return _one_by_one(parts, bundle, brake, witness)
    together = Rows({name: [value for rows in parts for value in rows[name]] for name in names})
    try:
        accepted, errors = accept(together, bundle.manifest["columns"])
    except DataError as error:
        return [error] * len(parts), None
    good = [place for place, error in enumerate(errors) if error is None]
    answers: list[Answer] = [Refusal(error) if error else _NONE for error in errors]
    worst: BaseException | None = None
    if good:
        rows = accepted if len(good) == len(errors) else accepted.take(good)
        try:
            decided = bundle.decide(rows, brake)
        except Exception as error:  # a model may fail in any way, and who asked must hear of it
            if len(parts) > 1:
                return _one_by_one(parts, bundle, brake, witness)
            if brake is not None and brake.pulled:
                return [error], error
            found = blamed(rows, error, bundle, witness)
            if found is None:
                return [error], error
            decided = found
        else:
            if gave_numbers(decided) is False and is_models_fault(rows, bundle, witness):
                # Each row is refused and none gets an error of the service; but the model has failed.
                worst = never_finite()
        for place, answer in zip(good, decided, strict=True):
            answers[place] = answer
    taken = iter(answers)
    return [list(islice(taken, len(rows))) for rows in parts], worst


def shares(batch: Sequence[Piece], outcomes: Sequence[Outcome]) -> list[float]:
    """Which part of a batch each piece took, by the cost of its rows that were answered; together 1, or 0 when none was."""
    if len(batch) == 1:
        return [1.0]
    weights = [
        0.0 if isinstance(outcome, BaseException) else piece.longest * (len(outcome) - _refused(outcome))
        for piece, outcome in zip(batch, outcomes, strict=True)
    ]
    total = sum(weights)
    return [weight / total for weight in weights] if total else weights


def _refused(answers: Sequence[Answer]) -> int:
    return sum(type(answer) is Refusal for answer in answers)


_NONE = Refusal("")


def _one_by_one(
    parts: Sequence[Rows], bundle: Bundle, brake: Brake | None, witness: Bundle | None
) -> tuple[list[Outcome], BaseException | None]:
    found = [compute([rows], bundle, brake, witness) for rows in parts]
    errors = [error for _, error in found if error is not None]
    return [outcome for outcomes, _ in found for outcome in outcomes], errors[-1] if errors else None
