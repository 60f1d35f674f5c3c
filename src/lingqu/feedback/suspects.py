"""With and without: whether what a source brought makes a model worse on rows that it had no part in.

The task's cheapest recipe is learned from all that would train, and again without one block of feedback; both answer the
validation rows and those of audits that no longer judge, which are of newer traffic: what has become right since must
not pass for poison. A block is dropped when the model without it is better by a paired test at 5 %. Blocks are what one
principal brought, and, together, all labels that contradict the answer that was given: many hands that each bring a
little are one block there. Labels that a reviewer decided on are no suspects.
Source: Nelson et al. 2008, "Exploiting Machine Learning to Subvert Your Spam Filter" (reject on negative impact).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

from lingqu.contract import Answer, Rows, Task
from lingqu.data.version import DataVersion
from lingqu.evaluate.judged import judge, labels_of
from lingqu.feedback.grow import typed
from lingqu.feedback.voice import Voice
from lingqu.spec import Spec
from lingqu.statistics import mean_below
from lingqu.store import Store

LEAST_OF_BLOCK = 10
MOST_BLOCKS = 6
PROOF = 0.05
CONTRADICTING = "labels that contradict the answer"


def harmful(
    given: Sequence[Voice],
    data: DataVersion,
    spec: Spec,
    task: Task,
    store: Store,
    *,
    work: Path,
    trusted: Sequence[Voice] = (),
) -> dict[str, str]:
    """The voices that should not train, each with what was found of its block; `given` are those that would.

    `trusted` are labels of audits that no longer judge; they help to judge the blocks.
    """
    number = count()
    asked = data.rows("validation", store)
    if trusted:
        asked = asked.followed_by(typed(trusted, data, task, store).rows.select(asked.names))

    def answers(voices: Sequence[Voice]) -> list[Answer]:
        return _answers(voices, data, spec, task, store, asked=asked, work=work / f"{next(number)}")

    return suspected(given, asked[task.target.name], answers)


def suspected(
    given: Sequence[Voice], truth: Sequence[object], answers: Callable[[Sequence[Voice]], Sequence[Answer]]
) -> dict[str, str]:
    """The voices whose block costs, each with what was found of it.

    `truth` are the labels of rows that none of them has a part in; `answers` gives the answers to these of a model that
    learned from the training rows and from these voices.
    """
    blocks = _blocks(given)
    if not blocks:
        return {}
    everything = answers(given)
    dropped: dict[str, str] = {}
    for name, block in blocks.items():
        inside = {voice.id for voice in block}
        p, worse = _worse(truth, everything, answers([voice for voice in given if voice.id not in inside]))
        if p < PROOF:
            why = f"{name}: {len(block):,} rows cost {worse:.3g} on trusted rows (p = {p:.2g})"
            dropped.update({voice.id: why for voice in block if voice.id not in dropped})
    return dropped


def _blocks(given: Sequence[Voice]) -> dict[str, list[Voice]]:
    by_principal: dict[str, list[Voice]] = defaultdict(list)
    contradicting: list[Voice] = []
    for voice in given:
        if voice.reviewed:
            continue
        by_principal[f"principal {voice.principal}"].append(voice)
        if voice.answer and str(voice.answer.get("prediction")) != voice.label:
            contradicting.append(voice)
    largest = sorted(by_principal.items(), key=lambda item: (-len(item[1]), item[0]))[:MOST_BLOCKS]
    blocks = {CONTRADICTING: contradicting, **dict(largest)}
    return {name: block for name, block in blocks.items() if len(block) >= LEAST_OF_BLOCK}


def _answers(
    given: Sequence[Voice], data: DataVersion, spec: Spec, task: Task, store: Store, *, asked: Rows, work: Path
) -> list[Answer]:
    """The answers to rows of a model that learned from the training rows and these voices."""
    from lingqu.train.folds import learned_answers

    train, valid = (data.rows(split, store) for split in ("train", "validation"))
    added: Rows = typed(given, data, task, store).rows
    return learned_answers(
        task,
        task.ladder[0],
        train.followed_by(added) if len(added) else train,
        valid,
        asked,
        kinds=data.kinds,
        size=spec.size,
        settings=spec.train,
        seconds=spec.budget_seconds,
        store=store,
        work=work,
        part="suspects",
    )


def _worse(truth: Sequence[object], everything: Sequence[Answer], without: Sequence[Answer]) -> tuple[float, float]:
    """The paired test that a model with the block errs more, and by how much (in costs of a row)."""
    labels = labels_of(truth, everything, without)
    gain = judge(truth, without, labels).cost - judge(truth, everything, labels).cost
    return mean_below(gain, 0.0).p, float(-gain.mean())
