"""What is odd about data: a new version by itself, and later rows against the profile of earlier ones.

A difference is told only when it is large enough to matter and could hardly come by chance: every test asks for a
likelihood ratio of e^14, so that clean data stays quiet.

>>> from lingqu.data.profile import profile
>>> reference = profile(Rows({"age": [float(n % 60 + 18) for n in range(400)]}), {"age": "number"})
>>> [str(one) for one in compare(reference, Rows({"age": [1000 * (n % 60 + 18.0) for n in range(200)]}))]
["Column 'age' is about 1,000 times as large as before (median 46, now 44,000): is the unit the same?"]
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from lingqu.contract import Rows, Task
from lingqu.data.findings import Finding
from lingqu.data.groups import row_digests
from lingqu.data.profile import SAMPLE, TEXTS, cells, classes, profile, repeated, right, tells
from lingqu.data.types import convert, infer
from lingqu.data.values import time_key

SURE = 14.0
"""Log likelihood ratio from which on a difference is no chance; for one share about p < 1e-6."""

LEAK = 0.97
"""From this share of otherwise wrong guesses on that one column puts right, it is likely to know the answer."""

_DAMAGED = re.compile("\ufffd|[\x80-\x9f]|Ã[\x80-\xbf‚ƒ„…†‡ˆ‰Š‹Œ]|â€|锟|烫烫|ï»¿")


def surprise(count: int, total: int, share: float) -> float:
    """How surprising it is to see more than the expected share, as a bound on -log p (Chernoff); 0 when it is less.

    >>> surprise(5, 100, 0.05), surprise(50, 100, 0.05) > SURE
    (0.0, True)
    """
    if not total or count / total <= share:
        return 0.0
    return total * _divergence(count / total, min(max(share, 1e-12), 1 - 1e-12))


def difference(count: int, total: int, before: int, total_before: int) -> float:
    """How much two shares differ, as the log likelihood ratio of two shares against one (Wilks 1938).

    >>> difference(50, 100, 50, 100), difference(50, 100, 5, 100) > SURE
    (0.0, True)
    """
    if not total or not total_before:
        return 0.0
    both = (count + before) / (total + total_before)
    if both in (0.0, 1.0):
        return 0.0
    return total * _divergence(count / total, both) + total_before * _divergence(before / total_before, both)


def _divergence(p: float, q: float) -> float:
    return sum(a * math.log(a / b) for a, b in ((p, q), (1 - p, 1 - q)) if a > 0)


def review(splits: Mapping[str, Rows], kinds: Mapping[str, str], task: Task) -> list[Finding]:
    """What a look at a new version shows: its training rows by themselves, and its test rows beside them."""
    target = task.target.name
    train, test = splits["train"], splits["test"]
    reference = profile(train, kinds, target)
    found = _alone(reference, train, kinds, target, task)
    told = {(one.code, one.column) for one in found}
    later = compare(reference, test.take(range(min(len(test), SAMPLE))))
    found += [
        Finding(one.level, one.code, f"In the test rows: {one.message}", one.column)
        for one in later
        if (one.code, one.column) not in told
    ]
    return found


def _alone(about: Mapping[str, Any], rows: Rows, kinds: Mapping[str, str], target: str, task: Task) -> list[Finding]:
    found: list[Finding] = []
    for name, column in about["columns"].items():
        used = name == target or not task.takes_features or column["kind"] in ("number", "category")
        if column.get("different") == 1 and used and about["rows"] > 1:
            found.append(_warn("constant", f"Column {name!r} has one value in every row.", name))
        if task.takes_features and column.get("tells", 0) >= LEAK:
            message = f"Column {name!r} alone tells {target} nearly always: does it know the answer beforehand?"
            found.append(_warn("leak", message, name))
        found += _damaged(name, rows[name][:TEXTS])
    if about["repeated"] > 0.05 * about["rows"]:
        share = about["repeated"] / about["rows"]
        found.append(_warn("repeated-rows", f"{share:.0%} of the rows repeat others exactly."))
    labels = about["columns"][target].get("values", {}) if kinds[target] == "label" else {}
    rare = {label: count for label, count in labels.items() if count < 0.01 * about["rows"]}
    if rare:
        few = ", ".join(f"{label!r} ({count:,})" for label, count in sorted(rare.items(), key=lambda one: one[1])[:5])
        found.append(_warn("rare-class", f"Under one row in a hundred is of the class {few}.", target))
    return found


def _damaged(name: str, values: list[Any]) -> list[Finding]:
    """Text that was once read in a wrong encoding and saved so."""
    texts = [value for value in values if isinstance(value, str)]
    broken = [found for text in texts if not text.isascii() and (found := _DAMAGED.search(text))]
    if len(broken) < max(3, 0.005 * len(texts)):
        return []
    share = len(broken) / len(texts)
    example = broken[0].string[max(broken[0].start() - 12, 0) : broken[0].end() + 12]
    message = f"{share:.1%} of the cells of column {name!r} look as if read in a wrong encoding (as in {example!r})."
    return [_warn("encoding", message, name)]


def compare(reference: Mapping[str, Any], rows: Rows, known: Collection[str] = ()) -> list[Finding]:
    """How rows differ from those that the profile describes; raw or typed. `known` are row digests they must not repeat.

    Codes: missing-column, new-column, type, missing-values, unit, range, constant, new-category, encoding, dates,
    imbalance, leak, shuffled, repeated-rows, overlap.
    """
    columns: Mapping[str, Any] = reference["columns"]
    found = [_warn("missing-column", f"Column {name!r} is missing.", name) for name in columns if name not in rows]
    kinds = {name: about["kind"] for name, about in columns.items() if name in rows}
    typed, broken = _typed(rows, kinds)
    total = len(rows)
    for name, kind in kinds.items():
        about = columns[name]
        if broken[name] > 0.05 * total:
            message = f"{broken[name] / total:.0%} of the cells of column {name!r} are not of the kind {kind}."
            found.append(_warn("type", message, name))
            continue
        found += _column(name, about, typed[name], reference["rows"])
    found += _target(reference, rows, typed, kinds)
    found += _repetition(reference, typed, kinds, known)
    return found


def _typed(rows: Rows, kinds: Mapping[str, str]) -> tuple[Rows, dict[str, int]]:
    """The rows as the kinds say, and how many cells of each column do not fit."""
    columns: dict[str, list[Any]] = {}
    broken: dict[str, int] = {}
    for name, kind in kinds.items():
        typed, faults = convert(rows.select([name]), {name: kind})
        columns[name], broken[name] = typed[name] if name in typed else [None] * len(rows), len(faults)
    return Rows(columns), broken


def _column(name: str, about: Mapping[str, Any], values: list[Any], before: int) -> list[Finding]:
    present = [value for value in values if value is not None]
    missing = len(values) - len(present)
    was = about["missing"]
    found: list[Finding] = []
    more = missing / max(len(values), 1) - was / max(before, 1)
    if more > 0.02 and difference(missing, len(values), was, before) > SURE:
        message = f"{missing / len(values):.0%} of column {name!r} are missing, {was / max(before, 1):.0%} before."
        found.append(_warn("missing-values", message, name))
    if len(present) < 10 or "different" not in about:
        return found
    if about["different"] > 1 and len(set(present)) == 1 and _could_not_be_one(about, present, before):
        found.append(_warn("constant", f"Column {name!r} has one value in every row.", name))
        return found
    look = _LOOKS.get(about["kind"])
    return found + (look(name, about, present, before - was) if look else [])


def _could_not_be_one(about: Mapping[str, Any], present: list[Any], before: int) -> bool:
    """Whether so many rows of one value were no chance when it was that frequent before."""
    frequent = max(about["values"].values()) / max(before, 1) if about.get("values") else 0.9
    return len(present) * -math.log(min(max(frequent, 1e-9), 1.0)) > SURE


def _numbers(name: str, about: Mapping[str, Any], present: list[float], before: int) -> list[Finding]:
    values = np.array(present, np.float64)
    typical = float(np.median(np.abs(values)))
    factor = typical / about["typical"] if about["typical"] and typical else 1.0
    # A power of ten between the medians, larger than any sample would give by itself.
    steps = round(math.log10(factor)) if factor > 0 else 0
    spread = about["spread"] / max(abs(about["median"]), 1e-300)
    if steps and abs(math.log10(factor) - steps) < 0.15 and spread < 10 and abs(math.log(factor)) > 4 * spread / 10:
        many = f"{10 ** abs(steps):,} times as {'large' if steps > 0 else 'small'}"
        medians = f"median {about['median']:,g}, now {np.median(values):,g}"
        return [_warn("unit", f"Column {name!r} is about {many} as before ({medians}): is the unit the same?", name)]
    outside = int(((values < about["low"]) | (values > about["high"])).sum())
    # Of new rows about two in `before` lie outside what so many rows have shown; four times that may still be chance.
    if surprise(outside, len(values), min(8 / max(before, 1), 1.0)) > SURE:
        message = (
            f"{outside:,} of {len(values):,} values of column {name!r} lie outside {about['low']:,g} to "
            f"{about['high']:,g} ({values.min():,g} to {values.max():,g})."
        )
        return [_warn("range", message, name)]
    return []


def _names(name: str, about: Mapping[str, Any], present: list[str], before: int) -> list[Finding]:
    known = about["values"]
    new = Counter(value for value in present if value not in known)
    expected = min(6 / max(before, 1), 1.0) if about["different"] < len(known) + 1 else 1.0
    # A column with many rare names always has new ones: as many as there were names seen once.
    once = sum(count == 1 for count in known.values())
    expected = max(expected, 2 * once / max(before, 1))
    count = sum(new.values())
    if count and surprise(count, len(present), expected) > SURE:
        some = ", ".join(repr(value) for value, _ in new.most_common(3))
        damaged = _damaged(name, [value for value in present if value in new])
        message = f"{count:,} cells of column {name!r} hold names never seen before ({some})."
        return damaged or [_warn("new-category", message, name)]
    return []


def _labels(name: str, about: Mapping[str, Any], present: list[str], before: int) -> list[Finding]:
    found = _names(name, about, present, before)
    counts = Counter(present)
    worst, shift = "", 0.0
    for label, was in about["values"].items():
        change = counts[label] / len(present) - was / before
        if abs(change) > max(0.05, abs(shift)) and difference(counts[label], len(present), was, before) > SURE:
            worst, shift = label, change
    if worst:
        now, then = counts[worst] / len(present), about["values"][worst] / before
        found.append(_warn("imbalance", f"{now:.0%} of the rows are of the class {worst!r}, {then:.0%} before.", name))
    return found


def _texts(name: str, about: Mapping[str, Any], present: list[str], before: int) -> list[Finding]:
    del before
    sample = present[:TEXTS]
    damaged = _damaged(name, sample)
    known = set(about["characters"])
    strange = [text for text in sample if not known.issuperset(text)]
    expected = (about["surprising"] + 3) / max(about["texts"], 1)
    if len(strange) / len(sample) > 2 * expected and surprise(len(strange), len(sample), min(2 * expected, 1)) > SURE:
        message = f"{len(strange) / len(sample):.0%} of column {name!r} hold characters never seen before: "
        return damaged or [_warn("encoding", message + f"is its encoding right ({strange[0][:30]!r})?", name)]
    return damaged


def _times(name: str, about: Mapping[str, Any], present: list[str], before: int) -> list[Finding]:
    del before
    dates = [value for value in present if value[4:5] == "-"]
    late = sum(int(value[8:10]) > 12 for value in dates)
    if dates and about["dates"] and difference(late, len(dates), about["late_days"], about["dates"]) > SURE:
        message = f"{late / len(dates):.0%} of the dates of column {name!r} are after the 12th of a month"
        was = f"{about['late_days'] / about['dates']:.0%} before"
        return [_warn("dates", f"{message}, {was}: are day and month swapped?", name)]
    span = max(about["last"] - about["first"], 1.0)
    far = [value for value in present if not about["first"] - span <= time_key(value) <= about["last"] + span]
    if len(far) > max(2, 0.01 * len(present)):
        message = f"{len(far):,} times of column {name!r} lie far from those before ({far[0]}): are they right?"
        return [_warn("dates", message, name)]
    return []


_LOOKS: Mapping[str, Callable[[str, Mapping[str, Any], list[Any], int], list[Finding]]] = {
    "number": _numbers,
    "category": _names,
    "label": _labels,
    "text": _texts,
    "time": _times,
}


def _target(reference: Mapping[str, Any], rows: Rows, typed: Rows, kinds: Mapping[str, str]) -> list[Finding]:
    """Columns that suddenly know the answer, and features that suddenly know nothing about it."""
    target = reference["target"]
    if target not in typed or len(typed) < 50:
        return []
    columns = reference["columns"]
    labels = classes(typed[target], kinds[target], columns[target])
    found: list[Finding] = []
    best: tuple[int, str, list[Any]] = (0, "", [])
    for name, kind in kinds.items():
        if "tells" in columns[name]:
            values = cells(typed[name], kind, columns[name])
            if tells(values, labels) >= LEAK > columns[name]["tells"]:
                found.append(_leak(name, target))
            best = max(best, (columns[name]["right"], name, values), key=lambda one: one[0])
    if best[1] and _knows_nothing(reference, columns[best[1]], best[2], labels):
        message = f"The columns tell almost nothing about {target} any more: were rows or ids shuffled?"
        found.append(_warn("shuffled", message, target))
    return found + _new_columns(reference, rows, labels)


def _knows_nothing(
    reference: Mapping[str, Any], about: Mapping[str, Any], values: list[Any], labels: list[Any]
) -> bool:
    """Whether the guesses that the best column once allowed are now about as often right as no guess at all."""
    total, usual = reference["rows"], reference["usual"] / max(reference["rows"], 1)
    before = about["right"] / max(total, 1)
    count = right(values, labels, about["guess"])
    lost = count / len(labels) < usual + 0.3 * (before - usual)
    return lost and before > usual + 0.05 and difference(count, len(labels), about["right"], total) > SURE


def _new_columns(reference: Mapping[str, Any], rows: Rows, labels: list[Any]) -> list[Finding]:
    new = [name for name in rows.names if name not in reference["columns"]]
    if not new:
        return []
    typed, _ = convert(rows.select(new), infer(rows.select(new)))
    leaks = [name for name in new if name in typed and tells(typed[name], labels) >= LEAK]
    return [_leak(name, reference["target"]) for name in leaks] + [
        Finding("note", "new-column", f"Column {name!r} is new.", name) for name in new if name not in leaks
    ]


def _leak(name: str, target: str) -> Finding:
    return _warn("leak", f"Column {name!r} alone tells {target} nearly always: does it know the answer?", name)


def _repetition(
    reference: Mapping[str, Any], typed: Rows, kinds: Mapping[str, str], known: Collection[str]
) -> list[Finding]:
    found: list[Finding] = []
    count, was, total = repeated(typed, kinds), reference["repeated"], reference["rows"]
    more = count / max(len(typed), 1) - was / max(total, 1)
    if more > 0.02 and difference(count, len(typed), was, total) > SURE:
        message = f"{count / len(typed):.0%} of the rows repeat others exactly, {was / max(total, 1):.0%} before."
        found.append(_warn("repeated-rows", message))
    if known:
        shared = sum(digest in known for digest in row_digests(typed))
        if shared:
            found.append(_warn("overlap", f"{shared:,} of {len(typed):,} rows are among those that trained."))
    return found


def _warn(code: str, message: str, column: str = "") -> Finding:
    return Finding("warning", code, message, column)
