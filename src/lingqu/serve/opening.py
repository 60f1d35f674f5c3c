"""A bundle brought to where it may answer: opened, asked its golden rows, and timed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from lingqu.bundle import golden
from lingqu.bundle.read import Bundle
from lingqu.bundle.trust import MANIFEST
from lingqu.contract import Rows
from lingqu.serve.cost import costs
from lingqu.serve.loaded import Loaded
from lingqu.serve.reply import Served


@dataclass(frozen=True, slots=True)
class Source:
    """Where an engine's versions come from: a bundle folder, one fixed version, or the aliases of a name."""

    name: str
    follows: str | None = None
    """The alias that is answered by; None for what never changes."""


def is_bundle(reference: str | Path) -> bool:
    """Whether this is the folder of a bundle, and not the name of a version."""
    return (Path(reference) / MANIFEST).is_file()


def open_folder(folder: str | Path) -> tuple[Source, Loaded]:
    """The bundle of a folder that needs no store, loaded and warm; BundleError when it must not be served."""
    bundle = Bundle.open(folder)
    name = str(bundle.manifest.get("name") or Path(folder).resolve().name)
    return Source(name), warm(Served(name), bundle)


def warm(served: Served, bundle: Bundle) -> Loaded:
    """A version that has given its golden answers and knows how long it takes; BundleError when it gives others."""
    has_answered = golden.check(bundle)
    loaded = Loaded(served, bundle)
    rows = Rows.from_dicts(golden.golden_rows(bundle.manifest, bundle.task))
    if not has_answered:
        # The first answers pay for memory that later ones reuse, and tell nothing of the time.
        bundle.answer(rows)
    for count in (1, len(rows)):
        asked = rows.take(range(count))
        began, worked = time.monotonic(), time.thread_time()
        bundle.answer(asked)
        cost = count * max(costs(asked))
        loaded.estimate.saw(cost, time.monotonic() - began)
        loaded.effort.saw(cost, time.thread_time() - worked)
    return loaded
