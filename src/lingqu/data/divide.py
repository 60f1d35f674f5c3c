"""From what is known of all rows to their groups, splits and order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from lingqu.contract import Task
from lingqu.data.findings import Finding
from lingqu.data.groups import group_leaders, numbered, places, spelled_order
from lingqu.data.labels import tally
from lingqu.data.marks import GIVEN, Marks
from lingqu.data.split import SPLITS, assign, assign_by_time
from lingqu.data.values import CellFault, to_number
from lingqu.errors import DataError, Problem
from lingqu.spec.settings import DataSettings

Array = np.ndarray[Any, np.dtype[Any]]

LARGE = 0.1
"""A group that holds more than this share of the rows is worth a warning."""


MOST_TOLD = 6
"""So many missing classes are told one by one; a column of ids taken for labels has hundreds."""

MANY = 20
"""From so many numbers on labels may be amounts: stars and grades are fewer."""

_TRAIN = SPLITS.index("train")
_BY_NAME = np.argsort(np.argsort(SPLITS)).astype(np.uint8)
_CHUNK = 50_000


class Divided:
    """The group, split and place of every row; arrays over rows in the order in which they came.

    `asked` is equal for rows that ask the same, `identities` are the digests that tell them apart, `leaders` the rows that
    name the groups, `splits` positions in SPLITS, and `order` the rows in the order of the version: split after split, in
    each by time if there is one, then by content.
    """

    def __init__(self, marks: Marks, settings: DataSettings) -> None:
        self._marks = marks
        near, self.findings = marks.near()
        content, self.asked = places(marks.digests()), places(marks.asked())
        identity = places(marks.identities()) if settings.identity else self.asked
        self._numbers = numbered(identity, content)
        named = marks.names.in_order() if settings.group else None
        self.leaders = group_leaders(identity, self._numbers, near, named)
        self._named = None if named is None else (marks.names.codes, marks.names.values)
        del near, identity
        self.identities = marks.identities()
        self.splits = self._split(settings)
        self.findings += [*_large(self.leaders), *_leaks(self.leaders, self.splits)]
        # Rows of the same content and split differ by the number of their repetition at most.
        keys = spelled_order(self._numbers[self.leaders])
        self._by_content = np.lexsort((keys, _BY_NAME[self.splits], content)).astype(np.int32)
        times = () if marks.times is None else (marks.times,)
        self.order = np.lexsort((keys, content, *times, self.splits)).astype(np.int32)
        self.counts: dict[str, int] = dict(
            zip(SPLITS, np.bincount(self.splits, minlength=len(SPLITS)).tolist(), strict=True)
        )

    def _split(self, settings: DataSettings) -> Array:
        """Splits as given; of the rows that may train, what else is needed is taken."""
        given = self._marks.given
        free = np.flatnonzero((given == GIVEN.index("")) | (given == GIVEN.index("train")))
        test = 0.0 if (given == GIVEN.index("test")).any() else settings.split.test
        validation = 0.0 if (given == GIVEN.index("validation")).any() else settings.split.validation
        splits = np.maximum(given, 1).astype(np.uint8) - 1
        mine = self.leaders[free]
        times = self._marks.times
        if times is not None:
            chosen = assign_by_time(mine.tolist(), times[free].tolist(), validation=validation, test=test)
            splits[free] = [SPLITS.index(split) for split in chosen]
            return splits
        where = np.zeros(len(given), np.uint8)
        different = np.unique(mine)
        for start in range(0, len(different), _CHUNK):
            part = different[start : start + _CHUNK]
            chosen = assign([self.key(i) for i in part.tolist()], validation=validation, test=test, seed=settings.seed)
            where[part] = [SPLITS.index(split) for split in chosen]
        splits[free] = where[mine]
        return splits

    def key(self, leader: int) -> str:
        """The key of the group that a row names: its name, or else its digest with the number of its repetition."""
        if self._named is not None and self._named[0][leader] >= 0:
            return self._named[1][self._named[0][leader]]
        digest, number = self.identities[leader].tobytes().hex(), int(self._numbers[leader])
        return f"{digest}#{number}" if number else digest

    def keys(self, rows: Array) -> list[str]:
        """The keys of the groups of these rows."""
        return [self.key(leader) for leader in self.leaders[rows].tolist()]

    def forget_digests(self) -> None:
        """Give back the room of the digests, once no key is asked for any more."""
        self.identities = self.identities[:0].copy()

    def places(self, split: str) -> Array:
        """The rows of a split in the order of the version."""
        begin = sum(self.counts[before] for before in SPLITS[: SPLITS.index(split)])
        return self.order[begin : begin + self.counts[split]]

    def lines(self) -> Iterator[tuple[str, str, str]]:
        """Digest, split and key of every row, sorted."""
        digests = self._marks.digests()
        for start in range(0, len(digests), _CHUNK):
            for row in self._by_content[start : start + _CHUNK].tolist():
                yield digests[row].tobytes().hex(), SPLITS[self.splits[row]], self.key(int(self.leaders[row]))


def divide(marks: Marks, task: Task, settings: DataSettings) -> Divided:
    """The split of every row: as given, by time, or by the hash of its group; DataError when one cannot be used."""
    divided = Divided(marks, settings)
    labels, kind = None, marks.kind
    if kind in ("label", "labels"):
        codes, values = marks.targets.codes, marks.targets.values
        labels = {split: tally(codes[divided.splits == at], values, kind) for at, split in enumerate(SPLITS)}
    given = {GIVEN[at] for at in np.unique(marks.given).tolist()}
    try:
        check_splits(divided.counts, labels, given, len(np.unique(divided.leaders)))
    except DataError:
        if task.takes_features and (amounts := _amounts(marks.targets.values)):
            found = f"{amounts:,} different numbers in {len(marks):,} rows"
            advice = "To predict a number, say task: tabular-regression."
            raise DataError(Problem(f"classes for {task.target.name}", found, advice)) from None
        raise
    return divided


def _amounts(labels: Sequence[str]) -> int:
    """How many labels there are, when they look like amounts: many, and every one a number.

    >>> _amounts([str(n) for n in range(40)]), _amounts(["1", "2"])
    (40, 0)
    """
    if len(labels) < MANY:
        return 0
    with suppress(CellFault):
        return len([to_number(label) for label in labels])
    return 0


def _large(leaders: Array) -> list[Finding]:
    share = float(np.bincount(leaders).max(initial=0)) / max(len(leaders), 1)
    if share <= LARGE or len(leaders) < 20:
        return []
    message = f"One group of rows that belong together holds {share:.0%} of all rows, so splits may be uneven."
    return [Finding("warning", "large-group", message)]


def _leaks(leaders: Array, splits: Array) -> list[Finding]:
    """Given test or validation rows of which a near-duplicate trains: they stay where they were given, and are told."""
    found: list[Finding] = []
    trains = np.zeros(len(leaders), bool)
    trains[leaders[splits == _TRAIN]] = True
    for split in ("test", "validation"):
        mine = splits == SPLITS.index(split)
        shared, whole = int(trains[leaders[mine]].sum()), int(mine.sum())
        if shared:
            message = (
                f"{shared:,} of {whole:,} {split} rows ({shared / whole:.1%}) stand in train too, nearly or exactly the "
                f"same: scores on {split} are a little too good."
            )
            found.append(Finding("warning", "overlap", message))
    return found


def check_splits(
    rows: Mapping[str, int],
    labels: Mapping[str, Mapping[str, int]] | None,
    given: Collection[str] = (),
    groups: int | None = None,
) -> None:
    """DataError when a split has no rows, or lacks a class that the other ones have.

    `groups` is how many groups the rows form of which none is torn apart.

    >>> check_splits({"train": 2, "test": 2, "validation": 2}, {"train": {"a": 2}, "test": {"a": 2}, "validation": {"a": 1, "b": 1}})
    Traceback (most recent call last):
    lingqu.errors.DataError: 1. Expected rows of every class in train, found none of 'b' (1 row in all). Add rows of it, join it with another class, leave it out, or try another data.seed.
    2. Expected rows of every class in test, found none of 'b' (1 row in all). Add rows of it, join it with another class, leave it out, or try another data.seed.
    """
    total = sum(rows.values())
    advice = "Add rows, or set data.split, data.seed or data.source."
    found = f"none of {total:,}"
    if groups is not None and groups < total / 2:
        found += (
            f", which are {groups:,} group{'s' * (groups != 1)} of rows that ask nearly the same or belong together"
        )
        advice = "Add rows that differ; rows of one group stay in one split."
    problems = [Problem(f"rows in {split}", found, advice) for split in SPLITS if not rows.get(split)]
    if labels is not None and not problems:
        problems += _missing_classes(labels, total, given)
    if problems:
        raise DataError(problems)


def _missing_classes(labels: Mapping[str, Mapping[str, int]], total: int, given: Collection[str]) -> list[Problem]:
    counts = sum((Counter(held) for held in labels.values()), Counter[str]())
    problems: list[Problem] = []
    lacking = 0
    for split in SPLITS:
        if split in given and split != "train":
            # The user's own test rows may lack a rare class, but cannot hold one that nothing was learned of.
            continue
        absent = sorted(set(counts) - set(labels[split]))
        lacking += len(absent)
        for label in absent[: MOST_TOLD - len(problems)]:
            rows = f"{counts[label]:,} row{'s' * (counts[label] != 1)} in all"
            advice = "Add rows of it, join it with another class, leave it out, or try another data.seed."
            problems.append(Problem(f"rows of every class in {split}", f"none of {label!r} ({rows})", advice))
    if lacking > len(problems):
        found = f"{lacking:,} such gaps, of which these are the first"
        advice = f"There are {len(counts):,} classes in {total:,} rows: check data.columns."
        problems.append(Problem("rows of every class in every split", found, advice))
    return problems
