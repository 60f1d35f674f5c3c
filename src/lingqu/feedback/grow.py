"""A new data version: the rows of the old one, each where it was, and what was accepted of feedback to train on.

The gate's rows never move and never train, and no row that is nearly the same as one of them joins the training rows,
whoever sent it. What joins keeps its place for ever by its content, so that the same feedback gives the same version
whatever the order in which it came.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from lingqu.contract import Rows, Task
from lingqu.data.accept import accept, by_source, columns_of, learn_limits
from lingqu.data.alike import nearly_same
from lingqu.data.findings import Finding
from lingqu.data.groups import row_digests
from lingqu.data.labels import label_names
from lingqu.data.near_numbers import nearly_in
from lingqu.data.parquet import from_parquet, to_parquet
from lingqu.data.split import SPLITS
from lingqu.data.values import CONVERT, CellFault, to_known_labels
from lingqu.data.version import GROUP, ROW, DataVersion
from lingqu.feedback.influence import Offer, within_caps
from lingqu.feedback.labels import unknown_of
from lingqu.feedback.voice import Voice
from lingqu.store import Store, canonical_json, write_bytes
from lingqu.store.canonical import digest_of

GATE_SPLITS = ("validation", "test")


@dataclass(frozen=True)
class Grown:
    """The new version, the voices that train in it, and why each other one does not."""

    data: DataVersion
    joined: tuple[str, ...]
    left: dict[str, str]


@dataclass(frozen=True)
class Typed:
    """Voices as typed rows with their label, in one order with `ids`; and why others are no rows."""

    rows: Rows
    ids: list[str]
    faults: dict[str, str]


def typed(given: Sequence[Voice], data: DataVersion, task: Task, store: Store) -> Typed:
    """The rows that voices speak of, as the data version's columns; a row that breaks the learned contract is a fault."""
    kinds = columns_of(task, data.kinds)
    limits = learn_limits(data.rows("train", store).select(kinds), kinds, data.columns)
    asked = Rows.from_dicts([by_source(voice.input or {}, limits) for voice in given])
    # Where no row has a column that the model asks for, each row is at fault, and the round is not.
    absent = [limit["name"] for limit in limits if not {limit["name"], limit["source"]} & {*asked.names}]
    rows, errors = accept(asked.with_columns({name: [None] * len(given) for name in absent}), limits)
    faults = {voice.id: error for voice, error in zip(given, errors, strict=True) if error is not None}
    targets, wrong = _targets(given, data, task, store)
    faults = {**wrong, **faults}
    whole = rows.with_columns({task.target.name: targets})
    empty = {name: [None] * len(given) for name in data.kinds if name not in whole}
    whole = whole.with_columns(empty).select(data.kinds)
    good = [place for place, voice in enumerate(given) if voice.id not in faults]
    return Typed(whole.take(good), [given[place].id for place in good], faults)


def _targets(given: Sequence[Voice], data: DataVersion, task: Task, store: Store) -> tuple[list[Any], dict[str, str]]:
    """What each voice says as the target holds it, and why some say nothing that it could hold.

    A number has the learned limits that any column of numbers has: one that is out of all reach would, all alone, outweigh
    what the others say. A set of labels that nobody has looked at holds none that the rows do not have.
    """
    target, kind = task.target.name, task.target.kind
    if kind == "number":
        limits = learn_limits(data.rows("train", store).select([target]), {target: kind}, data.columns)
        rows, errors = accept(Rows({target: [voice.value for voice in given]}), limits)
        return list(rows[target]), {v.id: error for v, error in zip(given, errors, strict=True) if error is not None}
    targets: list[Any] = []
    faults: dict[str, str] = {}
    for voice in given:
        found = None
        with suppress(CellFault):
            found = to_known_labels(voice.value, data.labels) if kind == "labels" else CONVERT[kind](voice.value)
        targets.append(found)
        new = unknown_of(found, data.labels) if kind == "labels" and found and not voice.reviewed else []
        if found is None:
            faults[voice.id] = f"its answer {str(voice.value)[:80]!r} is no {kind}"
        elif new:
            faults[voice.id] = f"{new[0][:80]!r} is no label of this model"
    return targets, faults


def grow(
    data: DataVersion,
    given: Sequence[Voice],
    task: Task,
    store: Store,
    *,
    guard: Rows | None = None,
    settled: Collection[str] = (),
) -> Grown:
    """The data version with what these accepted voices add to its training rows, and what it left out.

    `guard` holds further rows that judge (a fresh gate) and that nothing near may train beside. The voices `settled` are
    no news to the champion, and no cap holds them.
    """
    found = typed(_latest(given), data, task, store)
    by_id = {voice.id: voice for voice in given}
    left = {**{voice.id: "a newer voice speaks of the same row" for voice in given}, **found.faults}
    for id in found.ids:
        left.pop(id, None)
    kinds = columns_of(task, data.kinds)
    known, near = _near(found.rows, data, task, store, guard)
    offers: list[Offer] = []
    for place, id in enumerate(found.ids):
        if place in known:
            left[id] = "it is a row of the gate, or nearly so"
            continue
        voice = by_id[id]
        labels = label_names([found.rows[task.target.name][place]], task.target.kind)
        label = "|".join(labels[0]) if labels else ""
        offers.append(Offer(id, voice.principal, near[place], label, voice.reviewed, id in settled))
    base = data.counts["train"]
    held = label_names(data.rows("train", store)[task.target.name], task.target.kind)
    counts = Counter(["|".join(names) for names in held]) if held is not None else {"": base}
    taken, capped = within_caps(offers, counts)
    left.update(capped)
    places = {id: place for place, id in enumerate(found.ids)}
    rows = found.rows.take([places[offer.id] for offer in taken])
    if not taken:
        return Grown(data, (), left)
    return Grown(_write(data, rows, row_digests(rows, kinds), task, store), tuple(o.id for o in taken), left)


def _latest(given: Sequence[Voice]) -> list[Voice]:
    """Of several voices on the same row, the last that a person decided on, else the last."""
    chosen: dict[str, Voice] = {}
    for voice in sorted(given, key=lambda voice: (voice.reviewed, voice.at, voice.id)):
        chosen[voice.asked] = voice
    return sorted(chosen.values(), key=lambda voice: (voice.at, voice.id))


def _near(rows: Rows, data: DataVersion, task: Task, store: Store, guard: Rows | None) -> tuple[set[int], list[int]]:
    """The places of rows that are, nearly, rows that judge; and for each row the first that is nearly the same."""
    kinds = columns_of(task, data.kinds)
    judging = [data.rows(split, store).select(kinds) for split in GATE_SPLITS]
    judging += [guard.select(kinds)] if guard is not None and len(guard) else []
    before = judging[0]
    for more in judging[1:]:
        before = before.followed_by(more)
    groups = nearly_same(before.followed_by(rows.select(kinds)), kinds, task)
    first: dict[int, int] = {}
    for place, group in enumerate(groups):
        first.setdefault(group, place)
    mine = [first[group] for group in groups[len(before) :]]
    found = {place for place, leader in enumerate(mine) if leader < len(before)}
    if set(kinds.values()) <= {"number", "category"}:
        found |= nearly_in(rows, before, kinds)
    return found, mine


def _write(data: DataVersion, rows: Rows, asked: list[str], task: Task, store: Store) -> DataVersion:
    """The version with these rows behind its training rows, in the order of their content."""
    whole = row_digests(rows)
    order = sorted(range(len(rows)), key=lambda place: whole[place])
    identity = digest_of(canonical_json([data.id, sorted(whole)]))
    added = rows.with_columns({ROW: asked, GROUP: asked}).take(order)
    work = store.work(f"data-{identity}")
    folder = store.folder_path(data.folder)
    for split in SPLITS:
        held = (folder / f"{split}.parquet").read_bytes()
        if split == "train":
            held = to_parquet(from_parquet(folder / "train.parquet").followed_by(added), data.kinds)
        write_bytes(work / f"{split}.parquet", held)
    kept = store.put_folder(work)
    store.clear_work(f"data-{identity}")
    names = label_names(rows[task.target.name], task.target.kind) or []
    labels = dict(data.labels)
    for label, count in Counter([name for found in names for name in found]).items():
        labels[label] = labels.get(label, 0) + count
    told = Finding("note", "feedback", f"{len(rows):,} of the training rows came as feedback and were accepted.")
    return replace(
        data,
        id=identity,
        folder=kept,
        labels=labels,
        counts={**data.counts, "train": data.counts["train"] + len(rows)},
        sources={**data.sources, "feedback": digest_of(canonical_json(sorted(whole)))},
        findings=(*data.findings, told),
    )
