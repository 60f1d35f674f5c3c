"""One rung of the ladder: rows of a data version in, weights and memory in the store out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.numpy import load, save
from torch import nn

from lingqu.contract import Memory, Rows, Task
from lingqu.models import Facts, find_family
from lingqu.models.hub import shown
from lingqu.spec import TrainSettings
from lingqu.store import Store
from lingqu.store.canonical import canonical_json
from lingqu.train.encoded import Encoded, encode
from lingqu.train.fit import Trained, fit_rung, rebuild
from lingqu.train.meter import held
from lingqu.train.options import TrainOptions

if TYPE_CHECKING:
    pass

GRAPH_BYTES = 4000
"""What an ONNX file, a manifest and the facts take besides, more or less."""


def climb(
    task: Task,
    name: str,
    *,
    train: Rows,
    valid: Rows,
    kinds: Mapping[str, str],
    size: str,
    settings: TrainSettings,
    seconds: float,
    store: Store,
    work: Path,
    tell: Callable[[float, str], None],
    over: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Train one family and keep its weights and memory in the store; the result says where and how it went.

    `kinds` are the kinds of the columns, `work` holds checkpoints so that a run that was killed goes on where it was,
    `seconds` bounds the training loop, and `over` are dials that a search has set.
    """
    with held() as resident:
        started = time.perf_counter()
        tell(0.0, f"encoding {len(train):,} rows")
        encoded = Encoded.of(task, name, train, valid, valid, kinds=kinds, size=size, over=over)
        encoding = time.perf_counter() - started
        options = TrainOptions(**settings.model_dump(), seconds=seconds)
        trained = encoded.learned(encoded.dialled(size, over), options, store=store, work=work, tell=tell)
    memory = encoded.memory
    return {
        "family": shown(name),
        "recipe": name,
        "weights": store.put_bytes(save(trained.weights)),
        "memory": store.put_json(memory),
        "facts": store.put_json(encoded.facts.to_json()),
        "settings": trained.settings,
        "history": trained.history,
        "epochs": trained.epochs,
        "parameters": int(sum(array.size for array in trained.weights.values())),
        "seconds": round(encoding + trained.seconds, 3),
        "memory_mib": round(resident.peak_mib, 1),
        "disk_bytes": trained.weight_bytes + len(canonical_json(memory)),
        "forecast": _forecast(trained, memory, encoding),
    }


def kept_bytes(trained: Trained, memory: Memory) -> int:
    """What a rung keeps on the disk: weights and memory, once to go on from and once in its bundle, which adds a graph."""
    return 2 * (trained.weight_bytes + len(canonical_json(memory))) + GRAPH_BYTES


def _forecast(trained: Trained, memory: Memory, encoding: float) -> dict[str, Any] | None:
    """What the first steps of the loop foretold of this rung; None without a loop."""
    if not trained.foretold:
        return None
    return {
        "by": "first steps",
        "seconds": round(encoding + trained.foretold["seconds"], 1),
        "memory_mib": round(trained.foretold["memory_mib"], 1),
        # An untrained network is as large as a trained one.
        "disk_bytes": kept_bytes(trained, memory),
    }


def relearn(
    task: Task,
    rung: dict[str, Any],
    *,
    train: Rows,
    valid: Rows,
    settings: TrainSettings,
    store: Store,
    work: Path,
    tell: Callable[[float, str], None],
) -> nn.Module | None:
    """The rung's recipe once more, on training and validation rows together; None for a family that needs the loop.

    What validation rows decided the first time (penalty, number of trees) stays decided, and so does all that encoding
    remembers. A loop would stop by rows that it now learns from, so its networks stay as they are.
    """
    family = find_family(rung["recipe"])
    if family.fit is None:
        return None
    memory, facts = store.get_json(rung["memory"]), Facts.from_json(store.get_json(rung["facts"]))
    rows = train.followed_by(valid)
    tell(0.0, f"learning from all {len(rows):,} rows")
    trained = fit_rung(
        family,
        rung["settings"],
        encode(task, rows, memory),
        task.targets(rows, memory),
        encode(task, valid, memory),
        task.targets(valid, memory),
        facts=facts,
        steps=task.steps(),
        options=TrainOptions(**settings.model_dump()),
        work=work,
        rows=store.rows,
        progress=tell,
    )
    return rebuild(rung["family"], trained.settings, facts, trained.weights)


def restore(rung: dict[str, Any], store: Store) -> tuple[nn.Module, Memory]:
    """The network and the memory of a rung, from the store."""
    facts = Facts.from_json(store.get_json(rung["facts"]))
    network = rebuild(rung["family"], rung["settings"], facts, load(store.get_bytes(rung["weights"])))
    return network, store.get_json(rung["memory"])
