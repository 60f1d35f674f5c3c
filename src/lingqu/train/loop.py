"""The one training loop, made of named steps; what differs between tasks is handed in.

All that a step does follows from (seed, step): which rows it sees, how they are changed or dropped out, how long its
stride is. So a run that is killed and started again from its checkpoint ends with the same bits, as long as the number
of threads and the machine stay the same.
"""

from __future__ import annotations

import copy
import math
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from lingqu.contract import Step
from lingqu.data.augment import Augmentation, Mix
from lingqu.errors import MemoryLimitError, Problem, TrainingError, UnknownNameError, near
from lingqu.losses import Loss, find_loss
from lingqu.models.family import Examples, Facts, Tell
from lingqu.train.adamw import AdamW, clip
from lingqu.train.averaging import Average
from lingqu.train.batches import Batches, row_lengths, sample
from lingqu.train.checkpoint import Checkpoint, Checkpoints, below, network_tensors, restore_network
from lingqu.train.failpoints import Failpoints
from lingqu.train.judge import validation_loss
from lingqu.train.meter import held
from lingqu.train.muon import Muon
from lingqu.train.options import USUAL, TrainOptions
from lingqu.train.schedules import stride
from lingqu.train.sgd import SGD

if TYPE_CHECKING:
    from lingqu.contract.task import Array

OPTIMISERS = {"adamw": AdamW, "sgd": SGD, "muon": Muon}

TIMED = 5
"""Steps that are timed when training must end within some seconds."""

COPIES = 10
"""How often the weights are held, what the optimiser remembers and a checkpoint being written included."""

JUDGED = 0.1
"""Judging after an epoch may cost this share of the epoch; beyond it, fewer validation rows judge."""


@dataclass(slots=True)
class Progress:
    """Where a run stands; all of it goes into every checkpoint."""

    step: int = 0
    total: int = 0
    best: float = math.inf
    waited: int = 0
    slower: float = 1.0
    halved: bool = False
    loss_sum: float = 0.0
    seconds: float = 0.0
    finished: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)
    foretold: dict[str, float] = field(default_factory=dict)


class Loop:
    """Trains a network on examples until the steps are done or validation no longer gets better."""

    def __init__(
        self,
        network: nn.Module,
        steps: Sequence[Step],
        *,
        train: Examples,
        valid: Examples,
        facts: Facts,
        settings: dict[str, Any],
        options: TrainOptions,
        checkpoints: Checkpoints,
        tell: Tell,
    ) -> None:
        settings = {**USUAL, **settings}
        self.network, self.train = network, train
        # A row of validation costs a forward pass, a third of what a row of training costs.
        self.valid = sample(valid, max(500, int(3 * JUDGED * len(train))), seed=options.seed)
        self.settings, self.options, self.checkpoints, self.tell = settings, options, checkpoints, tell
        self.losses = [find_loss(step.loss) for step in steps]
        self.optimisers = [_optimiser(network, step, settings) for step in steps]
        self.batches = Batches(
            len(train),
            size=settings["batch_size"] * settings["accumulate"],
            seed=options.seed,
            lengths=row_lengths(train.arrays),
        )
        self.augmentation = Augmentation(
            settings["augment"], rows=len(train), seed=options.seed, shift=settings["shift"]
        )
        self.class_weights = _class_weights(train, facts, settings["class_weights"])
        self.half = _half_precision(options.precision, wanted=settings["bf16"])
        self.failpoints = Failpoints()
        self.progress = Progress()
        self.average = Average(network, settings["ema"])
        self.best: dict[str, Tensor] = network_tensors(network, "best")
        self._order: tuple[int, list[Array]] = (-1, [])
        self._start: Checkpoint | None = None

    # --- the journey ---------------------------------------------------------------------------------------------

    def run(self, asked_to_stop: Callable[[], bool] = lambda: False) -> Progress:
        """From the newest checkpoint, or from the start, to the end; the network then holds its best weights.

        When it is asked to stop it writes a checkpoint after the step it is at, and ends.
        """
        self._resume()
        while not self.progress.finished:
            if not self._one_step():
                # Rolled back, possibly to the end of an epoch that has been judged already.
                continue
            if self.progress.step >= self.progress.total or self.progress.step % len(self.batches) == 0:
                self._end_epoch()
            if self.progress.step % self.options.checkpoint_steps == 0 and not self.progress.finished:
                self._save()
            if asked_to_stop():
                self._save()
                break
        restore_network(self.network, self.best, "best")
        return self.progress

    def _one_step(self) -> bool:
        """One batch through the network, one stride of each optimiser; False for a step that went wrong and is undone."""
        started = time.perf_counter()
        epoch, place = divmod(self.progress.step, len(self.batches))
        if self._order[0] != epoch:
            self._order = (epoch, self.batches.of(epoch))
        torch.manual_seed(_step_seed(self.options.seed, self.progress.step))
        self.failpoints.hit("train.step")
        loss = self._learn_as_memory_allows(self._order[1][place])
        if loss is None:
            self._roll_back()
            return False
        self.average.update(self.progress.step)
        self.progress.loss_sum += loss
        self.progress.step += 1
        self.progress.seconds += time.perf_counter() - started
        return True

    def _learn_as_memory_allows(self, rows: Array) -> float | None:
        while True:
            try:
                return self._learn(rows)
            except (MemoryError, RuntimeError) as error:
                self._halve(error, len(rows))

    def _learn(self, rows: Array) -> float | None:
        """The loss before the stride; None, and no stride, when a loss or a gradient is not finite."""
        parts = self._parts(rows)
        self.network.train()
        rate = stride(self.settings["schedule"], self.progress.step / self.progress.total)
        total = 0.0
        for optimiser, loss_of in zip(self.optimisers, self.losses, strict=True):
            self.network.zero_grad()
            for arrays, targets, mix in parts:
                loss = self._loss(loss_of, arrays, targets, mix) * (len(targets) / len(rows))
                if self.failpoints.hit("train.loss"):
                    loss = loss * math.nan
                if not torch.isfinite(loss):
                    return None
                loss.backward()
                total += loss.item()
            held = list(optimiser.parameters.values())
            if self.failpoints.hit("train.gradient"):
                held[0].grad = torch.full_like(held[0], math.nan)
            if not math.isfinite(clip(held, self.options.clip)):
                return None
            optimiser.step(self.settings["learning_rate"] * rate * self.progress.slower)
        return total

    def _parts(self, rows: Array) -> list[tuple[dict[str, Tensor], Tensor, Mix | None]]:
        """These rows as this step sees them, in parts that memory can hold: augmented arrays, targets, how rows were mixed.

        A part has two rows at least, for a norm over one row says nothing.
        """
        step, accumulate = self.progress.step, self.settings["accumulate"] * (2 if self.progress.halved else 1)
        parts = []
        for number, part in enumerate(np.array_split(rows, max(1, min(accumulate, len(rows) // 2)))):
            arrays, mix = self.augmentation.batch(
                self.train.batch(part), part, epoch=step // len(self.batches), step=step * accumulate + number
            )
            parts.append((_tensors(arrays), torch.from_numpy(self.train.targets[part]), mix))
        return parts

    def _loss(self, loss_of: Loss, arrays: dict[str, Tensor], targets: Tensor, mix: Mix | None) -> Tensor:
        """The loss of one forward pass; where rows were mixed, their targets' losses are mixed alike."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.half):
            outputs = self.network(**arrays)
        smoothing = self.settings["smoothing"]
        loss = loss_of(outputs, targets, weights=self.class_weights, smoothing=smoothing)
        if mix is None:
            return loss
        other = loss_of(outputs, targets[mix.partners], weights=self.class_weights, smoothing=smoothing)
        return mix.share * loss + (1 - mix.share) * other

    def _end_epoch(self) -> None:
        """Judges the network on validation rows, keeps it if it is the best so far, and decides whether to go on."""
        progress, started = self.progress, time.perf_counter()
        self.failpoints.hit("train.validation")
        with self.average.worn():
            loss = validation_loss(self.network, self.valid, self.losses[0])
            if loss < progress.best:
                self.best = network_tensors(self.network, "best")
        steps = progress.step % len(self.batches) or len(self.batches)
        epoch = math.ceil(progress.step / len(self.batches))
        progress.history.append(
            {"epoch": epoch, "step": progress.step, "loss": progress.loss_sum / steps, "validation": loss}
        )
        progress.loss_sum = 0.0
        if loss < progress.best:
            progress.best, progress.waited = loss, 0
        else:
            progress.waited += 1
        patience = self.settings["patience"]
        tired = bool(patience) and progress.waited >= patience
        progress.finished = tired or progress.step >= progress.total
        progress.seconds += time.perf_counter() - started
        mean = progress.history[-1]["loss"]
        self.tell(progress.step / progress.total, f"epoch {epoch}: loss {mean:.4f}, validation {loss:.4f}")

    # --- stopping and going on -----------------------------------------------------------------------------------

    def _resume(self) -> None:
        """Goes on from the newest whole checkpoint; without one, decides how many steps there will be."""
        found, complaints = self.checkpoints.newest()
        for sentence in complaints:
            self.tell(0.0, sentence)
        if found is not None:
            self._restore(found)
            return
        self.progress.total = self._steps_in_time(len(self.batches) * self.settings["epochs"])
        self._start = self._now()
        if self.options.seconds is not None:
            # How many steps fit was measured once: a run that is killed goes on with the same plan.
            self.checkpoints.save(self._start)

    def _now(self) -> Checkpoint:
        """All that the next step depends on."""
        tensors = {
            **network_tensors(self.network, "network"),
            **self.best,
            **{f"average/{name}": value for name, value in self.average.tensors().items()},
            **{
                f"optimiser/{number}/{name}": value
                for number, optimiser in enumerate(self.optimisers)
                for name, value in optimiser.tensors().items()
            },
        }
        return Checkpoint(self.progress.step, tensors, asdict(self.progress))

    def _save(self) -> None:
        self.failpoints.hit("train.before-checkpoint")
        self.checkpoints.save(self._now())
        self.failpoints.hit("train.after-checkpoint")

    def _restore(self, checkpoint: Checkpoint) -> None:
        restore_network(self.network, checkpoint.tensors, "network")
        for number, optimiser in enumerate(self.optimisers):
            optimiser.restore(below(checkpoint.tensors, f"optimiser/{number}"))
        self.average.restore(below(checkpoint.tensors, "average"))
        self.best = {f"best/{name}": value for name, value in below(checkpoint.tensors, "best").items()}
        self.progress = Progress(**checkpoint.state)

    def _roll_back(self) -> None:
        """Back to the last checkpoint with strides half as long; TrainingError when that has been done already."""
        step, rate = self.progress.step, self.settings["learning_rate"]
        found = self.checkpoints.newest()[0] or self._start
        if self.progress.slower < 1 or found is None:
            raise TrainingError(
                Problem(
                    "finite numbers in training",
                    f"not-a-number at step {step + 1}, also with half the learning rate",
                    f"Lower train.learning_rate (it was {rate:g}), or look for extreme values in the data.",
                )
            )
        self._restore(found)
        self.progress.slower = 0.5
        self._save()
        self.tell(
            self.progress.step / self.progress.total,
            f"Not-a-number at step {step + 1}: back to step {self.progress.step} with half the learning rate.",
        )

    def _halve(self, error: Exception, rows: int) -> None:
        """From now on half of a batch at a time, its gradients added up; MemoryLimitError when that was done already."""
        # torch says it in words: "DefaultCPUAllocator: can't allocate memory", "CUDA out of memory".
        if not isinstance(error, MemoryError) and not re.search(r"allocate memory|out of memory", str(error)):
            raise error
        if self.progress.halved or rows < 4:
            raise MemoryLimitError(
                Problem(
                    f"memory for a batch of {rows:,} rows",
                    "none left, also with half of it at a time" if self.progress.halved else "none left",
                    f"Lower train.batch_size (it was {self.settings['batch_size']:,}), choose a smaller size, "
                    "or give the process more memory.",
                )
            ) from error
        self.network.zero_grad()
        self.progress.halved = True
        self.tell(
            self.progress.step / self.progress.total, "No memory left: from here on half of each batch at a time."
        )

    def _steps_in_time(self, wanted: int) -> int:
        """As many of the wanted steps as fit into the seconds given, by timing a few on a copy of the network."""
        if self.options.seconds is None:
            return wanted
        own, self.network = self.network, copy.deepcopy(self.network).train()
        times = []
        with held() as memory:
            # Few rows make a single batch: it is taken several times, since its first pass tells only of preparations.
            for rows in islice(cycle(self.batches.of(0)), TIMED):
                started = time.perf_counter()
                for arrays, targets, mix in self._parts(rows):
                    self._loss(self.losses[0], arrays, targets, mix).backward()
                times.append(time.perf_counter() - started)
        self.network = own
        # The first one also prepares what the others find done; the optimiser's stride is little beside a pass.
        each = float(np.median(times[1:] or times))
        each *= 1 + len(self.valid) / (3 * len(self.train))
        steps = max(min(wanted, 20), min(wanted, int(self.options.seconds / each)))
        copies = COPIES * sum(held.nbytes for held in own.parameters()) / (1 << 20)
        self.progress.foretold = {"seconds": each * steps, "memory_mib": memory.peak_mib + copies}
        return steps


def _optimiser(network: nn.Module, step: Step, settings: dict[str, Any]) -> AdamW | SGD | Muon:
    """The optimiser of the parameters that this step names."""
    held = {name: p for name, p in network.named_parameters() if name.startswith(step.parameters) and p.requires_grad}
    if not held:
        raise ValueError(f"no parameter of the network begins with '{step.parameters}'")
    name = settings["optimiser"]
    if name not in OPTIMISERS:
        raise UnknownNameError(Problem("an optimiser that lingqu knows", f"'{name}'", near(name, OPTIMISERS)))
    made = OPTIMISERS[name](held, decay=settings["weight_decay"])
    if isinstance(made, AdamW):
        made.strides = getattr(network, "strides", {})
    return made


def _class_weights(train: Examples, facts: Facts, asked: str) -> Tensor | None:
    """The weight n / (K n_k) of class k, so that every class counts the same; None when nothing was asked.

    Of labels that are each a question of their own, the weights of no and of yes, (2, K).
    """
    if asked != "balanced" or facts.kind not in ("classification", "multilabel"):
        return None
    if facts.kind == "multilabel":
        yes = torch.from_numpy(train.targets).float().sum(0)
        both = torch.stack([len(train) - yes, yes]).clamp(min=1)
        return len(train) / (2 * both)
    counts = torch.from_numpy(np.bincount(train.targets, minlength=facts.outputs)).float().clamp(min=1)
    return counts.sum() / (len(counts) * counts)


def _half_precision(precision: str, *, wanted: bool) -> bool:
    """Whether to compute in bfloat16: when asked, or when it pays for this family and the processor has it."""
    if precision == "auto":
        # Without instructions of its own for bfloat16 a processor only pretends, and is slower than in float32.
        return wanted and torch.cpu._is_avx512_bf16_supported()
    return precision == "bfloat16"


def _step_seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1)


def _tensors(arrays: dict[str, Array]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in arrays.items()}
