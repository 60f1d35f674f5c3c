"""One rung of the ladder: a family, its settings and encoded rows in; weights out.

>>> import tempfile
>>> rows = np.random.default_rng(0).normal(size=(60, 1)).astype(np.float32)
>>> arrays = {"numbers": rows, "codes": np.zeros((60, 0), np.int64)}
>>> targets = (rows[:, 0] > 0).astype(np.int64)
>>> facts = Facts(2, "classification", {"name": "table", "numbers": [{}], "cardinalities": []}, 60, (30, 30))
>>> family = find_family("logistic")
>>> trained = fit_rung(family, family.settings("small"), arrays, targets, arrays, targets,
...     facts=facts, steps=(Step("cross_entropy"),), options=TrainOptions(), work=Path(tempfile.mkdtemp()))
>>> network = rebuild("logistic", trained.settings, facts, trained.weights)
>>> (network(**{name: torch.from_numpy(array) for name, array in arrays.items()}).argmax(1).numpy() == targets).mean() > 0.9
np.True_
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import nn

from lingqu.contract import Step
from lingqu.data import augment
from lingqu.data.fronts import RAGGED
from lingqu.data.ragged import Ragged, pack
from lingqu.errors import Problem, RequestError, TrainingError
from lingqu.models import find_family
from lingqu.models.family import Examples, Facts, Family
from lingqu.store.rows import RowCache
from lingqu.train.checkpoint import Checkpoints
from lingqu.train.loop import Loop, Progress
from lingqu.train.options import FEW, USUAL, TrainOptions
from lingqu.train.pretrain import pretrain
from lingqu.train.stopping import held_back

if TYPE_CHECKING:
    from lingqu.contract.task import Array

    Arrays = Mapping[str, Array | Ragged]


LEAST_BATCH = 16
"""Of fewer rows a step hardly knows where to go."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What a rung gives: the weights by name, every setting that made them, and how it went."""

    weights: dict[str, Array]
    settings: dict[str, Any]
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    epochs: int = 0
    foretold: dict[str, float] = field(default_factory=dict)
    """Seconds and memory (MiB) that the first steps of the loop foretold; empty without a loop."""

    @property
    def weight_bytes(self) -> int:
        """How much the weights take."""
        return sum(array.nbytes for array in self.weights.values())


def _quiet(_done: float, _sentence: str) -> None:
    """Tells nobody."""


def fit_rung(  # noqa: PLR0917
    family: Family,
    settings: Mapping[str, Any],
    arrays_train: Arrays,
    targets_train: Array,
    arrays_valid: Arrays,
    targets_valid: Array,
    *,
    facts: Facts,
    steps: tuple[Step, ...],
    options: TrainOptions,
    work: Path,
    rows: Callable[[Mapping[str, Any]], RowCache] | None = None,
    progress: Callable[[float, str], None] = _quiet,
) -> Trained:
    """Trains one family; `work` holds checkpoints, so that the same call after a kill goes on where it was.

    `rows` opens what is kept of rows between runs; without it that is kept in `work`.

    `progress` is told how much is done (0 to 1) and one sentence. Same arguments, same machine, same threads: same bits.
    """
    chosen = enough_steps(options.over(settings), settings, options, rows=len(targets_train))
    front = facts.front.get("name", "")
    train = Examples(_packed(arrays_train, front), np.ascontiguousarray(targets_train))
    valid = Examples(_packed(arrays_valid, front), np.ascontiguousarray(targets_valid))
    _check(family, facts, train, valid)
    # An encoder is much work for few rows as well.
    threads = options.threads_for(len(train) if family.transfer is None else max(len(train), FEW))
    with _pinned(threads):
        torch.manual_seed(options.seed)
        started = time.perf_counter()
        if family.transfer is not None:
            kept = rows or (lambda what: RowCache(work, what))
            train, valid = (
                family.transfer.prepare(part, facts, chosen, rows=kept, tell=progress) for part in (train, valid)
            )
        if family.fit is not None:
            fitted = family.fit(train, valid, facts, chosen, seed=options.seed, threads=threads, tell=progress)
            return Trained(_weights(fitted.network), fitted.settings, [], time.perf_counter() - started, 1)
        loops = _Loops(family, facts, steps, train, valid, options, work, progress)
        return loops.trained({**USUAL, **chosen}, started)


@dataclass(frozen=True, slots=True)
class _Loops:
    """What the loop trains: a family without a fit of its own, and the rows as it reads them."""

    family: Family
    facts: Facts
    steps: tuple[Step, ...]
    train: Examples
    valid: Examples
    options: TrainOptions
    work: Path
    progress: Callable[[float, str], None]

    def trained(self, chosen: dict[str, Any], started: float) -> Trained:
        """Builds the network and loops; `started` is when the work on this rung began."""
        chosen["augment"] = augment.chosen(
            self.options.augment, chosen["augment"], self.train.arrays, self.train.targets
        )
        network = self._network(chosen)
        before = time.perf_counter() - started
        if self.options.method == "pretrain" and "pretraining" in chosen:
            told = self._pretrained(network, chosen)
            chosen, before = {**chosen, "masked_loss": told["curve"]}, before + told["seconds"]
        done = self._looped(network, chosen, before)
        epochs = int(done.history[-1]["epoch"]) if done.history else 0
        if self.family.transfer is not None:
            self.family.transfer.finish(network)
        foretold = {**done.foretold}
        if foretold:
            foretold["seconds"] += before
        return Trained(_weights(network), chosen, done.history, before + done.seconds, epochs, foretold)

    def _network(self, chosen: dict[str, Any]) -> nn.Module:
        """The untrained network, with what it takes from the rows or from another network before the first step."""
        if self.family.build is None:
            raise ValueError(f"the family '{self.family.name}' has neither build nor fit")
        network = self.family.build(self.facts, chosen)
        if self.family.prepare is not None:
            self.family.prepare(network, self.train)
        if self.family.transfer is not None:
            self.family.transfer.start(network, chosen)
        return network

    def _pretrained(self, network: nn.Module, chosen: dict[str, Any]) -> dict[str, Any]:
        return pretrain(
            network,
            self.train,
            self.valid,
            self.facts,
            chosen,
            options=self.options,
            work=self.work / "pretraining",
            tell=self.progress,
        )

    def _looped(self, network: nn.Module, chosen: dict[str, Any], before: float) -> Progress:
        """The network trained in what is left of the seconds, once `before` of them are spent."""
        options = self.options
        if before > 1 and options.seconds is not None:
            options = replace(options, seconds=max(1.0, options.seconds - before))
        loop = Loop(
            network,
            self.steps,
            train=self.train,
            valid=self.valid,
            facts=self.facts,
            settings=chosen,
            options=options,
            checkpoints=Checkpoints(self.work),
            tell=self.progress,
        )
        with held_back() as asked_to_stop:
            return loop.run(asked_to_stop)


def enough_steps(
    chosen: Mapping[str, Any], settings: Mapping[str, Any], options: TrainOptions, *, rows: int
) -> dict[str, Any]:
    """Settings fit for few rows: smaller batches and more epochs, until the optimiser has steps enough to learn.

    Sizes are meant for thousands of rows; what the user or a search decided stays.

    >>> family = {"epochs": 5, "batch_size": 256, "patience": 2, "least_steps": 200}
    >>> enough_steps(family, family, TrainOptions(), rows=80)
    {'epochs': 25, 'batch_size': 10, 'patience': 10, 'least_steps': 200}
    >>> enough_steps(family, family, TrainOptions(), rows=60_000) == family
    True
    """
    found = dict(chosen)
    if "least_steps" not in settings:
        return found
    decided = settings.get("decided", ())
    if options.batch_size is None and "batch_size" not in decided:
        found["batch_size"] = min(found["batch_size"], max(8, rows // 8))
    longer = math.ceil(found["least_steps"] / math.ceil(rows / found["batch_size"]))
    if options.epochs is None and "epochs" not in decided and longer > found["epochs"]:
        if options.patience is None:
            found["patience"] = math.ceil(found["patience"] * longer / found["epochs"])
        found["epochs"] = longer
    return found


def sparing(settings: Mapping[str, Any], options: TrainOptions, *, rows: int, whole: int) -> dict[str, Any]:
    """Settings for some of the `whole` rows that cost their share: the epochs of a run on all, in smaller batches.

    `enough_steps` gives few rows more epochs, and a tenth of the rows would take half of the time. Smaller batches give
    the optimiser half of its steps at no cost; where even the smallest do not, there are more epochs.

    >>> family = {"epochs": 6, "batch_size": 64, "patience": 2, "least_steps": 200}
    >>> found = sparing(family, TrainOptions(), rows=593, whole=5931)
    >>> found["epochs"], found["batch_size"], found["decided"]
    (6, 35, ['batch_size', 'epochs'])
    """
    if "least_steps" not in settings:
        return dict(settings)
    planned = enough_steps(options.over(settings), settings, options, rows=whole)
    fewest = rows * planned["epochs"] // max(1, planned["least_steps"] // 2)
    batch = planned["batch_size"] if options.batch_size else min(planned["batch_size"], max(LEAST_BATCH, fewest))
    epochs = max(planned["epochs"], math.ceil(planned["least_steps"] / 2 / math.ceil(rows / batch)))
    epochs = planned["epochs"] if options.epochs else epochs
    return {**settings, "epochs": epochs, "batch_size": batch, "decided": ["batch_size", "epochs"]}


def rebuild(family: str, settings: Mapping[str, Any], facts: Facts, weights: Mapping[str, Array]) -> nn.Module:
    """The trained network again, ready to answer (in eval mode)."""
    # An encoder that the name holds is not needed any more: settings and weights say all.
    build = find_family(family.partition(":")[0]).build
    if build is None:
        raise ValueError(f"the family '{family}' cannot be rebuilt")
    network = build(facts, settings)
    network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
    return network.eval()


def _weights(network: nn.Module) -> dict[str, Array]:
    """The weights as NumPy arrays; TrainingError when one is not finite, so that no such network gets any further."""
    weights = {name: value.detach().numpy().copy() for name, value in network.state_dict().items()}
    spoiled = [name for name, array in weights.items() if not np.isfinite(array).all()]
    if spoiled:
        raise TrainingError(
            Problem(
                "finite weights",
                f"not-a-number in {', '.join(spoiled)}",
                "Lower train.learning_rate, or look for extreme values in the data.",
            )
        )
    return weights


def _packed(arrays: Arrays, front: str) -> dict[str, Array | Ragged]:
    """Padded arrays held end to end, so that each batch is only as wide as its longest row."""
    ragged = RAGGED.get(front, ())
    if not ragged or all(isinstance(arrays[name], Ragged) for name in ragged):
        return dict(arrays)
    return pack([cast("dict[str, Array]", dict(arrays))], ragged)


def _check(family: Family, facts: Facts, train: Examples, valid: Examples) -> None:
    """What must hold before any work; all problems at once."""
    problems = []
    if facts.kind not in family.kinds:
        problems.append(
            Problem(f"a model family for {facts.kind}", f"{family.name}", "Choose another under model, or model: auto.")
        )
    for name, part in (("training", train), ("validation", valid)):
        if len(part) < 2:
            problems.append(Problem(f"at least two {name} rows", f"{len(part)}", "Add rows, or change data.split."))
    if problems:
        raise RequestError(problems)


@contextmanager
def _pinned(threads: int) -> Iterator[None]:
    """So many threads and a random state of our own; afterwards everything is as it was."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_num_threads(before)
