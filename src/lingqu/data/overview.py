"""The profile of a data version: what its columns, labels and splits look like, and rows that want a second look.

One JSON structure for the terminal, the report and a page of its own:

    rows        {split: how many}
    columns     [{name, kind, missing, different, low, median, high, bars, common, examples}]
    labels      [{label, train, validation, test}]
    findings    [{level, code, message, column, rows: [the rows that show it]}]

>>> from lingqu.tasks import find_task
>>> rows = Rows({"text": ["a b", "a b", "c d", "e f"], "label": ["x", "y", "x", "y"]})
>>> told = look_over({"train": rows, "validation": rows.take([]), "test": rows.take([])}, {"text": "text", "label": "label"},
...     find_task("text-classification"))
>>> [one["message"] for one in told["findings"]]
["2 of 4 rows have an equal twin with another label ('x' and 'y', for instance): no model can be right on all of them."]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lingqu.contract import Rows, Task
from lingqu.data.accept import columns_of
from lingqu.data.findings import Finding
from lingqu.data.groups import COMMON, row_digests
from lingqu.data.labels import tally
from lingqu.data.marks import Coded
from lingqu.data.profile import SAMPLE

Array = np.ndarray[Any, np.dtype[Any]]

SHOWN_ROWS = 10
SHOWN_VALUES = 8
CELL = 300
"""How much of a cell is kept in a profile, in characters: enough to judge a row by."""
BARS = 20
FAR = 15.0
"""A number this many interquartile ranges from the middle half is far from the others."""
LONG = 20
"""A text this many times as long as the median, and longer than LONG_AT_LEAST, is far from the others."""
LONG_AT_LEAST = 5_000
FEW = 0.001
"""Twins with different labels are a warning from this share of the rows on."""
MOST = 0.9
"""From this share of one class on, accuracy says little."""
SOME_MISSING, MANY_MISSING = 0.05, 0.5


@dataclass(frozen=True, slots=True)
class Held:
    """Rows in their splits as a look at them needs them: the first ones of each split, and of every row two numbers.

    `asked` is equal for rows that ask the same, `targets` says which of `answers` each row has; both int (rows,) by split.
    """

    heads: Mapping[str, Rows]
    asked: Mapping[str, Array]
    targets: Mapping[str, Array]
    answers: Sequence[Any]
    row: Callable[[str, int], Rows]

    @classmethod
    def of(cls, splits: Mapping[str, Rows], kinds: Mapping[str, str], task: Task) -> Held:
        """The same of rows that are in memory."""
        asked, answers = list(columns_of(task, kinds)), Coded()
        known: dict[str, int] = {}
        numbers: dict[str, Array] = {}
        for split, rows in splits.items():
            digests = row_digests(rows, asked)
            numbers[split] = np.array([known.setdefault(digest, len(known)) for digest in digests], np.int64)
            answers.add(rows[task.target.name])
        bounds = np.cumsum([len(rows) for rows in splits.values()])[:-1]
        targets = dict(zip(splits, np.split(answers.codes, bounds), strict=True))
        return cls(splits, numbers, targets, answers.values, lambda split, i: splits[split].take([i]))


def look_over(
    splits: Mapping[str, Rows], kinds: Mapping[str, str], task: Task, found: Sequence[Finding] = ()
) -> dict[str, Any]:
    """The profile of rows in their splits, the first of them being those that train; its findings are those given and
    those that need the rows beside them.
    """
    return profile_of(Held.of(splits, kinds, task), kinds, task, found)


def profile_of(held: Held, kinds: Mapping[str, str], task: Task, found: Sequence[Finding] = ()) -> dict[str, Any]:
    """The same of rows of which only the first ones are in memory."""
    train = next(iter(held.heads.values()))
    sample = train.take(range(min(len(train), SAMPLE)))
    target = task.target.name
    findings = [
        *(asdict(one) | {"rows": []} for one in found),
        *_conflicts(held, kinds, task),
        *_imbalance(sample, kinds, target),
        *(finding for name, kind in kinds.items() for finding in _cells(name, kind, sample, target)),
    ]
    return {
        "rows": {split: len(asked) for split, asked in held.asked.items()},
        "columns": [_column(name, kind, sample[name]) for name, kind in kinds.items()],
        "labels": _labels(held, kinds[target]),
        "findings": findings,
    }


def as_finding(level: str, code: str, message: str, column: str = "", rows: Sequence[Any] = ()) -> dict[str, Any]:
    """A finding as the profile holds it, with the rows that show it."""
    return {"level": level, "code": code, "message": message, "column": column, "rows": list(rows)}


def shown_row(rows: Rows, i: int, **more: Any) -> dict[str, Any]:
    """A row as people look at it: long texts cut, pictures as their size.

    >>> shown_row(Rows({"text": ["a"], "n": [1.0]}), 0, split="train")
    {'split': 'train', 'text': 'a', 'n': 1.0}
    """
    return {**more, **{name: shown_cell(value) for name, value in rows.row(i).items() if value is not None}}


def shown_cell(value: Any) -> Any:
    """A cell as people look at it.

    >>> shown_cell(b"123"), shown_cell("a" * 400)[-3:]
    ('a picture of 3 bytes', 'aa…')
    """
    if isinstance(value, bytes):
        return f"a picture of {len(value):,} bytes"
    return value[:CELL] + "…" if isinstance(value, str) and len(value) > CELL else value


def shown_number(value: float) -> str:
    """A number as people write it.

    >>> shown_number(1455435.0), shown_number(0.25), shown_number(1e12)
    ('1,455,435', '0.25', '1,000,000,000,000')
    """
    return f"{value:,.0f}" if 1e5 <= abs(value) < 1e15 else f"{value:,.6g}"


def _column(name: str, kind: str, values: Sequence[Any]) -> dict[str, Any]:
    present = [value for value in values if value is not None]
    about: dict[str, Any] = {"name": name, "kind": kind, "missing": 1 - len(present) / max(len(values), 1)}
    if not present or kind == "image":
        return about | {"different": None}
    counts = Counter(present)
    about["different"] = len(counts)
    if kind == "number":
        numbers = np.array(present)
        # The middle 98 in a hundred: one wild value would leave every other in the first bar.
        low, high = np.quantile(numbers, [0.01, 0.99])
        bars, edges = np.histogram(numbers.clip(low, high), BARS)
        about |= {"low": float(numbers.min()), "median": float(np.median(numbers)), "high": float(numbers.max())}
        return about | {"bars": bars.tolist(), "from": float(edges[0]), "to": float(edges[-1])}
    if kind == "text":
        lengths = np.array([len(value) for value in present])
        bars, edges = np.histogram(lengths.clip(0, np.quantile(lengths, 0.99)), BARS)
        about |= {"low": int(lengths.min()), "median": float(np.median(lengths)), "high": int(lengths.max())}
        return about | {"bars": bars.tolist(), "from": float(edges[0]), "to": float(edges[-1])}
    common = [[str(shown_cell(value)), count] for value, count in counts.most_common(SHOWN_VALUES)]
    return about | {"common": common}


def _labels(held: Held, kind: str) -> list[dict[str, Any]]:
    if kind not in ("label", "labels"):
        return []
    counts = {split: tally(codes, held.answers, kind) for split, codes in held.targets.items()}
    total = sum(counts.values(), Counter())
    return [{"label": label, **{split: counts[split][label] for split in counts}} for label, _ in total.most_common()]


def _conflicts(held: Held, kinds: Mapping[str, str], task: Task) -> list[dict[str, Any]]:
    """Rows that ask the same and are labelled differently."""
    target = task.target.name
    if kinds[target] not in ("label", "labels") or not list(columns_of(task, kinds)):
        return []
    splits = list(held.asked)
    asked, codes = np.concatenate([*held.asked.values()]), np.concatenate([*held.targets.values()])
    order = np.argsort(asked, kind="stable")
    starts = np.flatnonzero(np.diff(asked[order], prepend=-1))
    # In a table of few columns with few values, equal rows are coincidences and not twins.
    if not len(asked) or 1 - len(starts) / len(asked) >= COMMON:
        return []
    sizes = np.diff(starts, append=len(asked))
    least, most = (extreme.reduceat(codes[order], starts) for extreme in (np.minimum, np.maximum))
    odd = np.flatnonzero(least != most)
    if not len(odd):
        return []
    count = int(sizes[odd].sum())
    lengths = [len(one) for one in held.asked.values()]
    split_of = np.repeat(np.argsort(np.argsort(splits)), lengths)
    place_of = np.concatenate([np.arange(length) for length in lengths])
    # The largest first, then by the place of their first row.
    firsts = order[starts[odd]]
    odd = odd[np.lexsort((place_of[firsts], split_of[firsts], -sizes[odd]))]
    twins = [order[starts[one] : starts[one] + sizes[one]] for one in odd[:SHOWN_ROWS].tolist()]
    first, second, *_ = sorted({str(held.answers[code]) for code in codes[twins[0]].tolist()})
    message = (
        f"{count:,} of {len(asked):,} rows have an equal twin with another label ({first!r} and {second!r}, for instance): "
        "no model can be right on all of them."
    )
    named = sorted(splits)
    places = [(named[split_of[i]], int(place_of[i])) for i in np.concatenate(twins)[:SHOWN_ROWS].tolist()]
    shown = [shown_row(held.row(split, i), 0, split=split) for split, i in places]
    return [
        as_finding("warning" if count >= FEW * len(asked) else "note", "conflicting-labels", message, target, shown)
    ]


def _imbalance(rows: Rows, kinds: Mapping[str, str], target: str) -> list[dict[str, Any]]:
    if kinds[target] != "label" or not len(rows):
        return []
    label, count = Counter(rows[target]).most_common(1)[0]
    share = count / len(rows)
    if share < MOST:
        return []
    message = f"{share:.1%} of the rows are of the class {label!r}: accuracy says little here, f1 and recall more."
    return [as_finding("warning", "imbalanced", message, target)]


def _cells(name: str, kind: str, rows: Rows, target: str) -> list[dict[str, Any]]:
    """What a column's own cells show: many missing, or some far from all others."""
    values = rows[name]
    missing = values.count(None) / max(len(values), 1)
    found: list[dict[str, Any]] = []
    if missing >= SOME_MISSING and name != target:
        level = "warning" if missing >= MANY_MISSING else "note"
        found.append(as_finding(level, "missing", f"{missing:.0%} of column {name!r} are missing.", name))
    if kind == "number":
        found += _far_numbers(name, values, rows)
    if kind == "text":
        found += _odd_texts(name, values, rows)
    return found


def _far_numbers(name: str, values: Sequence[Any], rows: Rows) -> list[dict[str, Any]]:
    numbers = np.array([np.nan if value is None else value for value in values], np.float64)
    if np.isfinite(numbers).sum() < 50:
        return []
    low, middle, high = np.nanquantile(numbers, [0.25, 0.5, 0.75]).tolist()
    reach = np.maximum(low - numbers, numbers - high) / (high - low) if high > low else np.zeros_like(numbers)
    far = np.flatnonzero(reach > FAR)
    # Money and counts have long tails: only a handful of values can be called odd.
    if not 0 < len(far) <= 0.005 * len(numbers):
        return []
    order = far[np.argsort(-reach[far])][:SHOWN_ROWS]
    message = (
        f"{len(far):,} value{'s' * (len(far) != 1)} of column {name!r} lie{'s' * (len(far) == 1)} far from all others "
        f"({shown_number(float(numbers[order[0]]))}; the middle one is {shown_number(middle)})."
    )
    return [as_finding("note", "outliers", message, name, [shown_row(rows, int(i), split="train") for i in order])]


def _odd_texts(name: str, values: Sequence[Any], rows: Rows) -> list[dict[str, Any]]:
    lengths = np.array([len(value or "") for value in values])
    most = max(LONG_AT_LEAST, LONG * float(np.median(lengths))) if len(lengths) else 0
    long = np.flatnonzero(lengths > most)
    mute = [i for i, value in enumerate(values) if value is not None and not any(map(str.isalnum, value))]
    found: list[dict[str, Any]] = []
    if len(long):
        order = long[np.argsort(-lengths[long])][:SHOWN_ROWS]
        message = (
            f"{len(long):,} texts of column {name!r} are far longer than the others ({lengths.max():,} characters)."
        )
        found.append(
            as_finding("note", "outliers", message, name, [shown_row(rows, int(i), split="train") for i in order])
        )
    if mute:
        message = f"{len(mute):,} texts of column {name!r} have neither a letter nor a digit."
        shown = [shown_row(rows, i, split="train") for i in mute[:SHOWN_ROWS]]
        found.append(as_finding("note", "mute-texts", message, name, shown))
    return found
