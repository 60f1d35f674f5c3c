"""A cascade: most rows are answered by the cheap model, and only where it is unsure the dear one is asked.

Every other validation row chooses the confidence from which the cheap answer stands: the lowest at which the cascade is
wrong no more often than the dear model alone, and its scores are not seen to be worse. The rows between them, which had
no part in it, are the paired test.
Source: Viola and Jones 2001; Varshney and Baral 2022, "Model Cascading: Towards Jointly Improving Efficiency and Accuracy
of NLP Systems" (thresholds on confidence).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lingqu.bundle.cascade import Cascade, calibrated, confidence
from lingqu.bundle.folder import write_cascade
from lingqu.bundle.read import Bundle
from lingqu.compress.comparison import Comparison, compare, cost, losses
from lingqu.contract import Answer, LabelScores, LabelSet, Memory, Rows

if TYPE_CHECKING:
    from lingqu.contract.task import Array

METHOD = "cascade"
SLACK = 0.02
"""How much the mean log loss may grow: a cheap model that is 98 % sure is not wrong for not being 99.99 % sure."""
DOUBT = 0.2
"""While choosing, a test that is this near to seeing a cost is near enough."""


def cascade(dear: Bundle, folder: Path, *, cheap: Bundle, valid: Rows) -> Comparison:
    """Write the cascade of two bundles of one task to `folder`; kept when it is faster and a test sees no cost."""
    if dear.task.answer not in (LabelScores, LabelSet):
        return Comparison(METHOD, False, "a cascade needs labels with scores, which say how sure a model is")
    if cheap.memory.get("labels") != dear.memory.get("labels"):
        return Comparison(METHOD, False, "the two models do not answer with the same labels")
    choosing, testing = (valid.take(range(start, len(valid), 2)) for start in (0, 1))
    threshold = _threshold(cheap, dear, choosing)
    if threshold is None:
        return Comparison(METHOD, False, "the cheap model is not sure enough of any answer")
    task, memory = dear.task, _memory(dear)
    raw = Bundle(folder, dear.manifest, memory, task, Cascade(cheap, dear, threshold))
    memory = task.calibrate(raw.outputs(valid), task.targets(valid, memory), memory)
    after = write_cascade(folder, cheap, dear, threshold, memory)
    found = compare(dear, after, testing, METHOD, for_speed=True, slack=SLACK)
    share = float((confidence(calibrated(cheap, testing), task.answer) < threshold).mean())
    told = f"{share:.0%} of the rows go on to {dear.manifest['family']}, the rest stay with {cheap.manifest['family']}"
    return replace(found, escalated=round(share, 4), why=f"{found.why}; {told}")


def _threshold(cheap: Bundle, dear: Bundle, rows: Rows) -> float | None:
    """The lowest confidence from which the cheap member may answer; None when it never may."""
    task, truth, memory = dear.task, rows[dear.task.target.name], _memory(dear)
    first, second = calibrated(cheap, rows), calibrated(dear, rows)
    sure = confidence(first, task.answer)

    def answers(threshold: float) -> list[Answer]:
        logits: Array = np.where((sure >= threshold)[:, None], first, second)
        return task.decode({"logits": logits}, memory)

    alone = answers(np.inf)
    wrong = losses(alone, truth).sum()
    # From the cheapest cascade up: a twentieth of the rows more goes to the dear member each time.
    for share in np.arange(0.0, 1.0, 0.05):
        threshold = float(np.quantile(sure, share, method="higher"))
        given = answers(threshold)
        if losses(given, truth).sum() <= wrong and cost(alone, given, truth, slack=SLACK)[0] >= DOUBT:
            return threshold
    return None


def _memory(dear: Bundle) -> Memory:
    """What decodes logits that are calibrated already: the labels, and of sets from which probability on they are said."""
    held = {name: dear.memory[name] for name in ("labels", "threshold") if name in dear.memory}
    return {**held, "temperature": 1.0}
