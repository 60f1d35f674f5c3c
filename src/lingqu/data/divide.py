"""The groups of prepared rows, and from them their splits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lingqu.contract import Task
from lingqu.data.accept import columns_of
from lingqu.data.findings import Finding
from lingqu.data.groups import group_keys, largest_share, numbered, row_digests, table_groups
from lingqu.data.labels import label_names
from lingqu.data.near_duplicates import text_groups
from lingqu.data.prepare import Prepared
from lingqu.data.similar_images import image_groups
from lingqu.data.split import SPLITS, assign, assign_by_time
from lingqu.data.values import time_key
from lingqu.errors import DataError, Problem
from lingqu.spec.settings import DataSettings

LARGE = 0.1
"""A group that holds more than this share of the rows is worth a warning."""


MOST_TOLD = 6
"""So many missing classes are told one by one; a column of ids taken for labels has hundreds."""


@dataclass(frozen=True, slots=True)
class Divided:
    """For each prepared row: its digest, that of what a request would hold of it, the key of its group, its split, and its time if the spec names one."""

    digests: list[str]
    asked: list[str]
    keys: list[str]
    splits: list[str]
    times: list[float] | None
    findings: list[Finding]


def divide(prepared: Prepared, task: Task, settings: DataSettings) -> Divided:
    """The split of every row: as given, by time, or by the hash of its group; DataError when one cannot be used."""
    digests = row_digests(prepared.rows)
    # Neither a corrected label nor a new column beside the text may move a row to another split.
    asked = row_digests(prepared.rows, columns_of(task, prepared.kinds))
    findings: list[Finding] = []
    near = _near(prepared, task, settings, digests, findings)
    named = None
    if settings.group:
        named = prepared.rows[_inside(prepared, settings.group)]
    keys = group_keys(numbered(asked, digests), near, named)
    times = None
    if settings.time:
        times = [time_key(value) for value in prepared.rows[_inside(prepared, settings.time)]]
    splits = _split(prepared.splits, keys, times, settings)
    share = largest_share(keys)[1] if keys else 0.0
    if share > LARGE and len(keys) >= 20:
        message = f"One group of rows that belong together holds {share:.0%} of all rows, so splits may be uneven."
        findings.append(Finding("warning", "large-group", message))
    findings += _leaks(keys, splits)
    named_labels = label_names(prepared.rows[task.target.name], task.target.kind)
    check_splits(splits, named_labels, prepared.splits)
    return Divided(digests, asked, keys, splits, times, findings)


def _inside(prepared: Prepared, column: str) -> str:
    """The name inside lingqu of a source column."""
    return next((role for role, source in prepared.columns.items() if source == column), column)


def _near(
    prepared: Prepared, task: Task, settings: DataSettings, digests: list[str], findings: list[Finding]
) -> Sequence[int]:
    """For each row the position of the first one that is nearly the same."""
    rows = prepared.rows
    if not settings.near_duplicates:
        return range(len(rows))
    if "text" in rows and not task.takes_features:
        return text_groups(rows["text"])
    if prepared.thumbnails:
        return image_groups(np.stack(prepared.thumbnails), row_digests(rows, ["image"]))
    used = [name for name, kind in prepared.kinds.items() if kind in ("number", "category", "label")]
    near, coincidences = table_groups(digests if len(used) == len(rows.names) else row_digests(rows, used))
    if coincidences:
        message = "Most rows repeat others exactly; with so few different rows they are not kept together."
        findings.append(Finding("note", "coincidences", message))
    return near


def _split(given: list[str], keys: list[str], times: list[float] | None, settings: DataSettings) -> list[str]:
    """Splits as given; of the rows that may train, what else is needed is taken."""
    splits = list(given)
    free = [i for i, split in enumerate(given) if split in ("", "train")]
    test = 0.0 if "test" in given else settings.split.test
    validation = 0.0 if "validation" in given else settings.split.validation
    mine = [keys[i] for i in free]
    if times is None:
        chosen = assign(mine, validation=validation, test=test, seed=settings.seed)
    else:
        chosen = assign_by_time(mine, [times[i] for i in free], validation=validation, test=test)
    for i, split in zip(free, chosen, strict=True):
        splits[i] = split
    return splits


def _leaks(keys: list[str], splits: list[str]) -> list[Finding]:
    """Given test or validation rows of which a near-duplicate trains: they stay where they were given, and are told."""
    found: list[Finding] = []
    for split in ("test", "validation"):
        others = {key for key, where in zip(keys, splits, strict=True) if where == "train"}
        shared = sum(1 for key, where in zip(keys, splits, strict=True) if where == split and key in others)
        if shared:
            whole = splits.count(split)
            message = (
                f"{shared:,} of {whole:,} {split} rows ({shared / whole:.1%}) stand in train too, nearly or exactly the "
                f"same: scores on {split} are a little too good."
            )
            found.append(Finding("warning", "overlap", message))
    return found


def check_splits(splits: Sequence[str], labels: Sequence[list[str]] | None, given: Sequence[str] = ()) -> None:
    """DataError when a split has no rows, or lacks a class that the other ones have.

    >>> check_splits(["train", "test", "validation"] * 2, [["a"], ["a"], ["a"], ["b"], ["a"], ["a", "b"]])
    Traceback (most recent call last):
    lingqu.errors.DataError: Expected rows of every class in test, found none of 'b' (2 rows in all). Add rows of it, join it with another class, leave it out, or try another data.seed.
    """
    counts = Counter(splits)
    problems = [
        Problem(
            f"rows in {split}", f"none of {len(splits):,}", "Add rows, or set data.split, data.seed or data.source."
        )
        for split in SPLITS
        if not counts[split]
    ]
    if labels is not None and not problems:
        problems += _missing_classes(splits, labels, set(given))
    if problems:
        raise DataError(problems)


def _missing_classes(splits: Sequence[str], labels: Sequence[list[str]], given: set[str]) -> list[Problem]:
    held: dict[str, set[str]] = defaultdict(set)
    for split, names in zip(splits, labels, strict=True):
        held[split].update(names)
    counts = Counter(name for names in labels for name in names)
    problems: list[Problem] = []
    lacking = 0
    for split in SPLITS:
        if split in given and split != "train":
            # The user's own test rows may lack a rare class, but cannot hold one that nothing was learned of.
            continue
        absent = sorted(set(counts) - held[split])
        lacking += len(absent)
        for label in absent[: MOST_TOLD - len(problems)]:
            rows = f"{counts[label]:,} row{'s' * (counts[label] != 1)} in all"
            advice = "Add rows of it, join it with another class, leave it out, or try another data.seed."
            problems.append(Problem(f"rows of every class in {split}", f"none of {label!r} ({rows})", advice))
    if lacking > len(problems):
        found = f"{lacking:,} such gaps, of which these are the first"
        advice = f"There are {len(counts):,} classes in {len(labels):,} rows: check data.columns."
        problems.append(Problem("rows of every class in every split", found, advice))
    return problems
