"""The steps of compression in their order: each starts from what the one before left, and leaves its before-and-after row.

distil → heads → prune → vocabulary → int8 → head refit → cascade
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    rows: list[Comparison] = []

    def attempt(name: str, trying: str, step: Callable[[Path], Comparison], *, done: float) -> Comparison:
        nonlocal bundle
        say(done, trying)
        found = step(folder / name)
        rows.append(found)
        if found.kept:
            bundle = Bundle.open(folder / name)
        say(done, f"{found.method} {'kept' if found.kept else 'not kept'}: {found.why}")
        return found

    given = {"train": train, "valid": valid}
    if teach is not None:
        attempt("distil", "teaching a cheaper model", lambda to: teach(bundle, to), done=0.0)
    ways = (("heads", prune_heads, has_heads(bundle)), ("hidden units", prune, True)) if settings.prune else ()
    for what, way, suits in ways:
        # What is too much by half may still be right by a quarter.
        for share in (settings.prune, settings.prune / 2) if suits else ():
            step = lambda to, way=way, share=share: way(bundle, to, share=share, **given)  # noqa: E731
            found = attempt(f"{way.__name__}-{share:g}", f"leaving out {share:.0%} of the {what}", step, done=0.1)
            if found.kept or not found.rows:
                break
    if settings.vocabulary and has_vocabulary(bundle):
        attempt("vocabulary", "leaving out unused rows", lambda to: prune_vocabulary(bundle, to, **given), done=0.2)
    if settings.quantise == "int8":
        teacher = bundle
        small = attempt("int8", "trying 8-bit weights", lambda to: quantise(bundle, to, **given), done=0.4)
        if small.kept and settings.refit_head and has_head(bundle):
            refit = lambda to: refit_head(bundle, to, teacher=teacher, **given)  # noqa: E731
            attempt("head", "fitting the last layer again", refit, done=0.6)
    # A student of the cheapest family leaves a cascade nobody to ask.
    if settings.cascade and cheapest and cheapest.manifest["family"] != bundle.manifest["family"]:
        alone = settings.model_copy(update={"cascade": False, "prune": 0.0, "distil": None})
        small, _ = compress(cheapest, alone, folder / "cheapest", train=train, valid=valid)
        attempt(
            "cascade",
            "asking the cheapest model first",
            lambda to: cascade(bundle, to, cheap=small, valid=valid),
            done=0.8,
        )
    return bundle, rows


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
