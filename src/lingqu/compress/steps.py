"""The steps of compression in their order: each starts from what the one before left, and leaves its before-and-after row.

distil → heads → prune → vocabulary → int8 → head refit → cascade
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lingqu.bundle.read import Bundle
from lingqu.compress.cascade import cascade
from lingqu.compress.comparison import Comparison
from lingqu.compress.head import has_head, refit_head
from lingqu.compress.prune import has_heads, prune, prune_heads
from lingqu.compress.quantise import quantise, quantised
from lingqu.compress.vocabulary import METHOD as VOCABULARY
from lingqu.compress.vocabulary import compacted, has_vocabulary, prune_vocabulary
from lingqu.contract import Memory, Rows
from lingqu.data.vocabulary import KEPT, UNKNOWN
from lingqu.spec import CompressSettings

Say = Callable[[float, str], None]
REPEATABLE = {VOCABULARY, "int8"}
"""Steps that follow from the weights alone, so that they can be done once more to a model that was learned again."""


def compress(
    bundle: Bundle,
    settings: CompressSettings,
    folder: Path,
    *,
    train: Rows,
    valid: Rows,
    cheapest: Bundle | None = None,
    teach: Callable[[Bundle, Path], Comparison] | None = None,
    say: Say = lambda _done, _sentence: None,
) -> tuple[Bundle, list[Comparison]]:
    """The bundle after every step that was kept, and the row of every step that was tried; new bundles lie in `folder`.

    `cheapest` is what answers first in a cascade, `teach` writes a student of a bundle to a folder.
    """
    steps, given = _Steps(bundle, folder, say), {"train": train, "valid": valid}
    if teach is not None:
        steps.attempt("distil", "teaching a cheaper model", teach, done=0.0)
    if settings.prune:
        _leave_out(steps, settings.prune, given)
    if settings.vocabulary != "none" and has_vocabulary(steps.bundle, pretrained=settings.vocabulary == "all"):
        cut = lambda held, to: prune_vocabulary(held, to, **given)  # noqa: E731
        steps.attempt("vocabulary", "leaving out unused rows", cut, done=0.2)
    if settings.quantise == "int8":
        teacher = steps.bundle
        small = steps.attempt("int8", "trying 8-bit weights", lambda held, to: quantise(held, to, **given), done=0.4)
        if small.kept and settings.refit_head and has_head(steps.bundle):
            refit = lambda held, to: refit_head(held, to, teacher=teacher, **given)  # noqa: E731
            steps.attempt("head", "fitting the last layer again", refit, done=0.6)
    # A student of the cheapest family leaves a cascade nobody to ask.
    if settings.cascade and cheapest and cheapest.manifest["family"] != steps.bundle.manifest["family"]:
        alone = settings.model_copy(update={"cascade": False, "prune": 0.0, "distil": None})
        first, _ = compress(cheapest, alone, folder / "cheapest", train=train, valid=valid)
        ask = lambda held, to: cascade(held, to, cheap=first, valid=valid)  # noqa: E731
        steps.attempt("cascade", "asking the cheapest model first", ask, done=0.8)
    return steps.bundle, steps.rows


@dataclass
class _Steps:
    """The bundle as the steps that were kept have left it, and a row for each that was tried."""

    bundle: Bundle
    folder: Path
    say: Say
    rows: list[Comparison] = field(default_factory=list)

    def attempt(self, name: str, trying: str, step: Callable[[Bundle, Path], Comparison], *, done: float) -> Comparison:
        """One step, which writes to a folder of this name; what it wrote takes the bundle's place when it is kept."""
        self.say(done, trying)
        found = step(self.bundle, self.folder / name)
        self.rows.append(found)
        if found.kept:
            self.bundle = Bundle.open(self.folder / name)
        self.say(done, f"{found.method} {'kept' if found.kept else 'not kept'}: {found.why}")
        return found


def _leave_out(steps: _Steps, most: float, given: Mapping[str, Rows]) -> None:
    """Heads, then hidden units: this share of them, or half of it, for what is too much by half may be right by a quarter."""
    for what, way in (("heads", prune_heads), ("hidden units", prune)):
        for share in (most, most / 2) if way is prune or has_heads(steps.bundle) else ():
            step = lambda held, to, way=way, share=share: way(held, to, share=share, **given)  # noqa: E731
            found = steps.attempt(f"{way.__name__}-{share:g}", f"leaving out {share:.0%} of the {what}", step, done=0.1)
            if found.kept or not found.rows:
                break


def whole(memory: Memory) -> Memory:
    """The memory of a model whose tables have all their rows again."""
    front = {name: value for name, value in memory["front"].items() if name not in (KEPT, UNKNOWN)}
    return {**memory, "front": front}


def again(bundle: Bundle, kept: Sequence[str], folder: Path, *, train: Rows) -> Bundle:
    """Repeatable steps of these names done once more to a bundle that was learned again; nothing is tested or calibrated.

    For a model whose decisions were all made before: it is learned on more rows, and keeps temperature and error range.
    """
    if VOCABULARY in kept and has_vocabulary(bundle):
        made = compacted(bundle, folder / "vocabulary", train=train)
        bundle = bundle if isinstance(made, str) else made
    if "int8" in kept:
        bundle = quantised(bundle, folder / "int8", train=train)
    return bundle
