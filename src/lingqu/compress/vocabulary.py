"""Tables without the rows that no training text needs: exact on every text that training saw.

A table of hashed n-grams has a row for each hash value, and most of them were learned to be zero; an embedding has a
row for each token, and many occur in no training text. Those rows go, the others are numbered anew
(`lingqu.data.vocabulary`), and the front leaves n-grams out or reads tokens as the unknown one.
Source: Abdaoui et al. 2020, "Load What You Need: Smaller Versions of Multilingual BERT".
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lingqu.bundle.folder import write_folder
from lingqu.bundle.read import Bundle
from lingqu.compress.comparison import Comparison, compare
from lingqu.compress.graph import Graph
from lingqu.contract import Rows
from lingqu.data.vocabulary import ENTRIES, KEPT, pack

if TYPE_CHECKING:
    from lingqu.contract.task import Array

METHOD = "vocabulary"
SAME = 1e-4
CHECKED_ROWS = 256
WORTH = 0.05


def prune_vocabulary(bundle: Bundle, folder: Path, *, train: Rows, valid: Rows) -> Comparison:
    """Write the bundle without the table rows that training texts never need to `folder`; kept when a test sees no cost."""
    after = compacted(bundle, folder, train=train)
    if isinstance(after, str):
        return Comparison(METHOD, False, after)
    sample = train.take(range(0, len(train), max(1, -(-len(train) // CHECKED_ROWS))))
    gap = max(float(np.abs(one - bundle.outputs(sample)[name]).max()) for name, one in after.outputs(sample).items())
    found = compare(bundle, after, valid, METHOD)
    if gap > SAME:
        return found.refused(f"training texts get other logits (by {gap:.3g})")
    return found


def has_vocabulary(bundle: Bundle) -> bool:
    """Whether the rows are encoded by a vocabulary that is still whole."""
    front = bundle.memory.get("front", {})
    return front.get("name") in ENTRIES and KEPT not in front


def compacted(bundle: Bundle, folder: Path, *, train: Rows) -> Bundle | str:
    """The bundle with compact tables in `folder`, untested; or why there is nothing to leave out."""
    front = bundle.memory["front"]
    name, unknown = ENTRIES[front["name"]]
    graph = Graph.of(bundle)
    tables = _tables(graph, name)
    if not tables:
        return "this model does not look its vocabulary up in tables of its own"
    entries = min(len(table) for table in tables.values())
    kept = _not_zero(tables, entries) if unknown is None else _seen(bundle, train, name, entries)
    kept[: 1 if unknown is None else unknown + 1] = True
    if kept.sum() > (1 - WORTH) * entries:
        return f"training texts need {kept.mean():.0%} of the vocabulary"
    for tensor, table in tables.items():
        graph.put(tensor, table[:entries][kept])
    memory = {**bundle.memory, "front": {**front, KEPT: pack(kept)}}
    return write_folder(folder, bundle.manifest, graph.bytes(), memory)


def _tables(graph: Graph, name: str) -> dict[str, Array]:
    """The weights whose rows are looked up by this input; none when it is used in any way that numbers matter to."""
    found: dict[str, Array] = {}
    waiting = [name]
    while waiting:
        for node in graph.users.get(waiting.pop(), []):
            if node.op_type == "Cast":
                waiting.append(node.output[0])
            elif node.op_type == "Gather" and node.input[0] != name and not _axis(node):
                table = graph.weight(node.input[0])
                if table is None:
                    return {}
                found[node.input[0]] = table
            elif not (node.op_type == "Shape" or _asks_for_padding(graph, node)):
                return {}
    # A table that something else reads too (tied weights) must stay whole.
    return found if all(node.op_type == "Gather" for table in found for node in graph.users[table]) else {}


def _axis(node: Any) -> int:
    return next((found.i for found in node.attribute if found.name == "axis"), 0)


def _asks_for_padding(graph: Graph, node: Any) -> bool:
    """Whether the node compares with 0, the number that never changes."""
    values = [value for value in map(graph.fixed, node.input) if value is not None]
    return node.op_type in ("Equal", "Greater") and len(values) == 1 and not np.any(values[0])


def _not_zero(tables: dict[str, Array], entries: int) -> Array:
    """The entries of which any table says anything, bool (entries,)."""
    return np.any([table[:entries].reshape(entries, -1).any(axis=1) for table in tables.values()], axis=0)


def _seen(bundle: Bundle, train: Rows, name: str, entries: int) -> Array:
    """The entries that occur in training rows, bool (entries,)."""
    seen = np.zeros(entries, bool)
    for batch in train.batches(512):
        seen[np.unique(bundle.task.encode(batch, bundle.memory)[name])] = True
    return seen
