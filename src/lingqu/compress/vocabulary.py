"""Tables without the rows that no training text needs: exact on every text that training saw.

A table of hashed n-grams has a row for each hash value, and most of them were learned to be zero; an embedding has a
row for each token, and many occur in no training text. Those rows go, the others are numbered anew
(`lingqu.data.vocabulary`), and the front leaves n-grams out or reads tokens as the unknown one.
Source: Abdaoui et al. 2020, "Load What You Need: Smaller Versions of Multilingual BERT".
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lingqu.bundle.folder import write_folder
from lingqu.bundle.read import Bundle
from lingqu.compress.comparison import Comparison, compare
from lingqu.compress.graph import Graph
from lingqu.contract import Memory, Rows
from lingqu.data.vocabulary import ENTRIES, KEPT, UNKNOWN, pack

if TYPE_CHECKING:
    from lingqu.contract.task import Array

METHOD = "vocabulary"
PRETRAINED = "pieces"
"""The front of encoders that were taught elsewhere, by their own word pieces."""
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


def has_vocabulary(bundle: Bundle, *, pretrained: bool = True) -> bool:
    """Whether the rows are encoded by a vocabulary that is still whole; without `pretrained`, by one that was learned here.

    Of a table that was learned here a row that no training text has is as it was drawn. A pretrained one knows more words
    than a few thousand training texts have, and users will say them; as few validation rows do not show what that costs.
    """
    front = bundle.memory.get("front", {})
    return front.get("name") in ENTRIES and KEPT not in front and (pretrained or front["name"] != PRETRAINED)


def compacted(bundle: Bundle, folder: Path, *, train: Rows) -> Bundle | str:
    """The bundle with compact tables in `folder`, untested; or why there is nothing to leave out."""
    front = bundle.memory["front"]
    name = ENTRIES[front["name"]]
    graph = Graph.of(bundle)
    found = _tables(graph, name)
    unknown = _unknown(front)
    if not found.tables or (unknown is None and front["name"] != "ngrams"):
        return "this model does not look its vocabulary up in tables of its own, or knows no unknown word"
    entries = min(len(table) - found.offset[tensor] for tensor, table in found.tables.items())
    kept = _not_zero(found.tables, entries) if unknown is None else _seen(bundle, train, name, entries)
    # What the graph knows by its number keeps it.
    kept[: found.numbered + 1] = True
    if unknown is not None:
        kept[unknown] = True
    if kept.sum() > (1 - WORTH) * entries:
        return f"training texts need {kept.mean():.0%} of the vocabulary"
    for tensor, table in found.tables.items():
        offset = found.offset[tensor]
        graph.put(tensor, table[: entries + offset][kept[-offset:]])
    front = {**front, KEPT: pack(kept), **({} if unknown is None else {UNKNOWN: unknown})}
    return write_folder(folder, bundle.manifest, graph.bytes(), {**bundle.memory, "front": front})


def _unknown(front: Memory) -> int | None:
    """The entry that a front reads for what it does not know; None for one that has none."""
    if front["name"] == "tokens":
        return 1
    model = json.loads(front["tokenizer"])["model"] if front["name"] == "pieces" else {}
    # Pieces are numbered from 1, their tokenizers from 0.
    place = model.get("unk_id")
    if place is None and isinstance(model.get("vocab"), dict):
        place = model["vocab"].get(model.get("unk_token"))
    return None if place is None else place + 1


@dataclass(frozen=True, slots=True)
class _Tables:
    """The weights whose rows are looked up by an input, each with what is added to an entry to find its row.

    `numbered` is the highest entry that the graph compares with or falls back on.
    """

    tables: dict[str, Array] = field(default_factory=dict)
    offset: dict[str, int] = field(default_factory=dict)
    numbered: int = 0


def _tables(graph: Graph, name: str) -> _Tables:
    """What is looked up by this input; nothing when it is used in any other way that numbers matter to."""
    found, numbered, waiting = _Tables(), 0, [(name, 0)]
    while waiting:
        given, offset = waiting.pop()
        for node in graph.users.get(given, []):
            fixed = [
                int(value.ravel()[0]) for value in map(graph.fixed, node.input) if value is not None and value.size == 1
            ]
            if node.op_type == "Cast":
                waiting.append((node.output[0], offset))
            elif node.op_type == "Sub" and node.input[0] == given and fixed == [1]:
                waiting.append((node.output[0], offset - 1))
            elif node.op_type == "Where" and given in node.input[1:] and len(fixed) == 1:
                numbered = max(numbered, fixed[0] - offset)
                waiting.append((node.output[0], offset))
            elif node.op_type in ("Equal", "Greater") and len(fixed) == 1:
                numbered = max(numbered, fixed[0] - offset)
            elif node.op_type == "Gather" and node.input[1] == given and not _axis(node):
                table = graph.weight(node.input[0])
                # A table that something else reads too (tied weights) must stay whole.
                if table is None or any(user.op_type != "Gather" for user in graph.users[node.input[0]]):
                    return _Tables()
                if found.offset.setdefault(node.input[0], offset) != offset:
                    return _Tables()
                found.tables[node.input[0]] = table
            elif node.op_type != "Shape":
                return _Tables()
    return replace(found, numbered=numbered)


def _axis(node: Any) -> int:
    return next((found.i for found in node.attribute if found.name == "axis"), 0)


def _not_zero(tables: dict[str, Array], entries: int) -> Array:
    """The entries of which any table says anything, bool (entries,)."""
    return np.any([table[:entries].reshape(entries, -1).any(axis=1) for table in tables.values()], axis=0)


def _seen(bundle: Bundle, train: Rows, name: str, entries: int) -> Array:
    """The entries that occur in training rows, bool (entries,)."""
    seen = np.zeros(entries, bool)
    for batch in train.batches(512):
        seen[np.unique(bundle.task.encode(batch, bundle.memory)[name])] = True
    return seen
