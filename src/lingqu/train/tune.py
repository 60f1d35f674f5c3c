"""Search over the dials of a recipe: a tree of Parzen estimators proposes, a part of the rows prunes (Optuna).

Each trial learns from a ninth of the rows, then from a third, then from all. One that is worse on a part than the median
of the finished ones on the same part ends there (Golovin et al. 2017, "Google Vizier", the median stopping rule); what
to try next follows from all that was seen (Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization").

The study lies in an SQLite file, and trial k draws from (seed, k) alone: a search that is killed and started again
takes up the trial it was at, with the same dials, and loses and doubles none.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lingqu.errors import TrainingError, missing_package
from lingqu.models.dials import Between, Dial
from lingqu.store.atomic import make_folder
from lingqu.train.failpoints import Failpoints

if TYPE_CHECKING:
    import optuna

PARTS = (9, 3, 1)
"""A trial learns from every ninth row, every third, then every row."""
LEAST_ROWS = 500
"""A smaller part of the rows says too little to end a trial."""
UNPRUNED = 3
"""So many trials are finished before any is ended early."""

Attempt = Callable[[Mapping[str, Any], int, int], float]
"""(dials, part, number of the trial) -> the error on validation rows after learning from every part-th row."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A trial that has ended: "complete", "pruned" or "failed", with the error on the last part that it reached.

    `part` is that part (1 = all rows), `seconds` what it took.
    """

    number: int
    state: str
    dials: dict[str, Any]
    error: float | None
    part: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return asdict(self)


def parts_for(rows: int) -> tuple[int, ...]:
    """The parts of so many rows that are worth trying first.

    >>> parts_for(100), parts_for(2_000), parts_for(9_000)
    ((1,), (3, 1), (9, 3, 1))
    """
    return tuple(part for part in PARTS if part == 1 or rows // part >= LEAST_ROWS)


def search(
    dials: Mapping[str, tuple[Dial, Any]],
    attempt: Attempt,
    *,
    trials: int,
    seed: int,
    folder: Path,
    seconds: float,
    expected: float = 0.0,
    parts: Sequence[int] = PARTS,
    tell: Callable[[float, str], None] = lambda _done, _sentence: None,
) -> list[Tried]:
    """Tries so many settings of these dials, the first being those that they have now, and gives every trial.

    The study is kept in `folder`. No trial begins when less of the `seconds` is left than one is `expected` to take.
    MissingPackageError without Optuna.
    """
    with _quiet() as library:
        study = _study(library, folder, dials)
        points = Failpoints()
        while True:
            found = tried(study)
            spent = sum(one.seconds for one in found)
            if len(found) >= trials or (found and seconds - spent < expected):
                return found
            # Each trial draws from its own number, so that it does not matter in which process those before it ran.
            study.sampler = _sampler(library, trials, _seed(seed, len(found)))
            _one(library, _next(library, study), dials, attempt, parts, points)
            tell(len(found) / trials, f"trial {len(found) + 1} of {trials}")


def _one(  # noqa: PLR0917
    library: Any,
    trial: optuna.Trial,
    dials: Mapping[str, tuple[Dial, Any]],
    attempt: Attempt,
    parts: Sequence[int],
    points: Failpoints,
) -> None:
    """One trial from its dials to its end; what it had learned before a kill, or a trial like it, is not learned again."""
    study = trial.study
    values = {name: _suggested(trial, name, dial) for name, (dial, _) in dials.items()}
    own = study.trials[trial.number].intermediate_values
    done = {**_same(study, trial), **own}
    for step, part in enumerate(parts):
        points.hit("tune.part")
        if step in done:
            trial.set_user_attr(f"part {step}", part)
            if step not in own:
                trial.report(done[step], step)
        else:
            started = time.perf_counter()
            try:
                error = attempt(values, part, trial.number)
            except TrainingError:
                error = math.nan
            # Before the error, so that whoever has the error has the seconds too.
            trial.set_user_attr(f"seconds {step}", round(time.perf_counter() - started, 3))
            trial.set_user_attr(f"part {step}", part)
            if not math.isfinite(error):
                study.tell(trial, state=library.trial.TrialState.FAIL)
                return
            trial.report(error, step)
            done[step] = error
        points.hit("tune.reported")
        if part != parts[-1] and trial.should_prune():
            study.tell(trial, state=library.trial.TrialState.PRUNED)
            return
    study.tell(trial, done[len(parts) - 1])
    points.hit("tune.told")


def _same(study: optuna.Study, trial: optuna.Trial) -> dict[int, float]:
    """The errors of an earlier trial with the very same dials, by step: nothing is learned twice."""
    found: dict[int, float] = {}
    for one in study.trials[: trial.number]:
        if one.params == trial.params:
            found |= one.intermediate_values
    return found


def tried(study: optuna.Study) -> list[Tried]:
    """Every trial of a study that has ended, in the order of their numbers."""
    return [
        Tried(
            one.number,
            {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}[one.state.name],
            {name: json.loads(value) if isinstance(value, str) else value for name, value in one.params.items()},
            one.intermediate_values[max(one.intermediate_values)] if one.intermediate_values else None,
            one.user_attrs.get(f"part {max(one.intermediate_values, default=0)}", 1),
            round(sum(value for name, value in one.user_attrs.items() if name.startswith("seconds")), 3),
        )
        for one in study.trials
        if one.state.is_finished()
    ]


def best(found: Sequence[Tried]) -> Tried | None:
    """The trial with the smallest error among those that learned from all rows, of equals the first; None without any.

    >>> best([Tried(0, "complete", {}, 0.2, 1, 1.0), Tried(1, "pruned", {}, 0.1, 9, 0.1)]).number
    0
    """
    whole = [(one.error, one.number, one) for one in found if one.state == "complete" and one.error is not None]
    return min(whole)[2] if whole else None


def _study(library: Any, folder: Path, dials: Mapping[str, tuple[Dial, Any]]) -> optuna.Study:
    """The study in this folder, begun if it is not there; its first trial has the dials as they are."""
    make_folder(folder)
    study = library.create_study(
        study_name="dials",
        storage=f"sqlite:///{folder / 'study.db'}",
        pruner=library.pruners.MedianPruner(n_startup_trials=UNPRUNED),
        load_if_exists=True,
    )
    if not study.trials:
        study.enqueue_trial({name: _spelled(dial, value) for name, (dial, value) in dials.items()})
    return study


def _next(library: Any, study: optuna.Study) -> optuna.Trial:
    """The trial that a kill interrupted, or a new one."""
    interrupted = [one for one in study.trials if one.state == library.trial.TrialState.RUNNING]
    return library.Trial(study, interrupted[0]._trial_id) if interrupted else study.ask()


def _suggested(trial: optuna.Trial, name: str, dial: Dial) -> Any:
    if not isinstance(dial, Between):
        # Optuna takes scalars only; spelled out, a list is one too.
        return json.loads(trial.suggest_categorical(name, [json.dumps(value) for value in dial.values]))
    if dial.whole:
        return trial.suggest_int(name, int(dial.low), int(dial.high), log=dial.log)
    return trial.suggest_float(name, dial.low, dial.high, log=dial.log)


def _spelled(dial: Dial, value: Any) -> Any:
    return value if isinstance(dial, Between) else json.dumps(value)


def _sampler(library: Any, trials: int, seed: int) -> Any:
    """A quarter of the trials is drawn at random, at most ten: the estimators need something to go by."""
    return library.samplers.TPESampler(n_startup_trials=max(2, min(10, trials // 4)), seed=seed)


def _seed(seed: int, number: int) -> int:
    return int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


@contextmanager
def _quiet() -> Iterator[Any]:
    """Optuna without its own lines on the terminal."""
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise missing_package("optuna", "tune", "searching over dials") from error
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield optuna
    finally:
        optuna.logging.set_verbosity(before)
