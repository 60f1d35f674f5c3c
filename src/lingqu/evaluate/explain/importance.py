"""Global importance: what the model's answers rest on, over many rows.

Of a table, permutation importance: by how much the deciding metric falls on the test rows when a column's values are dealt
out anew (Breiman 2001, "Random Forests"; Fisher et al. 2019, arXiv 1801.01489). Of text, the words whose absence costs the
answers most. Columns that tell the same share their importance: each looks smaller than both together.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from lingqu.contract import Rows
from lingqu.data.text import normalise, words
from lingqu.evaluate.explain.parts import Explanation
from lingqu.evaluate.explain.scores import score
from lingqu.evaluate.judged import judge
from lingqu.evaluate.measures import Groups
from lingqu.metrics import find_metric
from lingqu.statistics import paired_bootstrap

if TYPE_CHECKING:
    from lingqu.bundle.read import Bundle

ROWS = 1000
DEALS = 3
REPEATS = 500
MOST_WORDS = 10
MOST_NAMES = 6
PHRASES = 2000
LEAST_TIMES = 3


def permutation(bundle: Bundle, rows: Rows, *, groups: Groups = None, seed: int = 0) -> list[dict[str, Any]]:
    """For each column: value, low and high of the fall of the deciding metric, the most important first.

    `rows` hold the target. The interval is of the paired bootstrap over rows, each deal's fall averaged; above zero the
    column helps, also where a smaller metric is better.
    """
    task, draw = bundle.task, np.random.default_rng(seed)
    places = np.sort(draw.permutation(len(rows))[:ROWS])
    rows = rows.take(places.tolist())
    index = None if groups is None else np.unique(groups[places], return_inverse=True)[1].astype(np.int64)
    metric, truth = find_metric(task.decide_by), rows[task.target.name]
    sign = 1.0 if metric.higher_is_better else -1.0
    labels = bundle.memory.get("labels", ())
    asked = [column for column in bundle.manifest["columns"] if column["name"] in rows]

    def scorer(given: Rows) -> Any:
        judged = judge(truth, bundle.predict(given), labels)
        return metric.scorer(judged.truth, judged.prediction)

    whole = scorer(rows)
    found: list[dict[str, Any]] = []
    for column in asked:
        name = column["name"]
        dealt = [
            scorer(rows.with_columns({name: [rows[name][i] for i in draw.permutation(len(rows))]}))
            for _ in range(DEALS)
        ]
        paired = paired_bootstrap(
            lambda counts, dealt=dealt: np.mean([one(counts) for one in dealt], axis=0),
            whole,
            len(rows),
            repeats=REPEATS,
            seed=seed,
            groups=index,
        )
        low, high = sorted(sign * end for end in paired.interval()) if len(paired.replicates) else (None, None)
        told = {"column": column["source"], "value": sign * paired.difference, "low": low, "high": high}
        # A column that is never used changes no answer: there is nothing to resample, and nothing to doubt.
        found.append(told if low != high else {**told, "low": None, "high": None, "why": "no answer depends on it"})
    return sorted(found, key=lambda one: -one["value"])


def effects(
    bundle: Bundle, rows: Rows, background: Rows, columns: Sequence[str], *, points: int = 15
) -> list[dict[str, Any]]:
    """The mean score of the background rows while one column takes its usual values in turn.

    Friedman 2001, "Greedy Function Approximation", section 8.2 (partial dependence). The score is of the second label, as
    in a ROC curve, or the number itself.
    """
    labels = bundle.memory.get("labels")
    label = labels[1] if labels else None
    base = background.take(np.linspace(0, len(background) - 1, min(40, len(background))).astype(int).tolist())
    found: list[dict[str, Any]] = []
    for column in bundle.manifest["columns"]:
        if column["source"] not in columns or column["kind"] not in ("number", "category"):
            continue
        name, known = column["name"], [value for value in background[column["name"]] if value is not None]
        if column["kind"] == "number":
            values: list[Any] = np.unique(np.quantile(np.array(known, float), np.linspace(0.02, 0.98, points))).tolist()
        else:
            values = list(column.get("values", []))[:MOST_NAMES]
        if len(values) < 2:
            continue
        given = [{**row, name: value} for value in values for row in base]
        means = score(bundle, Rows.from_dicts(given), label).values.reshape(len(values), -1).mean(axis=1)
        found.append({"column": column["source"], "kind": column["kind"], "values": values, "scores": means.tolist()})
    order = {name: i for i, name in enumerate(columns)}
    return sorted(found, key=lambda one: order[one["column"]])


def telling_words(explained: Sequence[Explanation], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Per answered label, the words whose absence costs it most: the sum of their weights over these rows."""
    sums: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for one in explained:
        for part in one.parts:
            if part.column in columns and one.label is not None and part.weight > 0 and _spelled(str(part.what)):
                sums[one.label][normalise(str(part.what))].append(part.weight)
    found: list[dict[str, Any]] = []
    for label, held in sums.items():
        ranked = sorted(held.items(), key=lambda item: (-sum(item[1]), item[0]))[:MOST_WORDS]
        told = [{"word": word, "weight": float(np.mean(w)), "rows": len(w)} for word, w in ranked]
        found.append({"label": label, "words": told})
    return sorted(found, key=lambda one: str(one["label"]))


def phrases(bundle: Bundle, texts: Sequence[str], column: str) -> list[dict[str, Any]]:
    """Per label, the words and pairs of words of these texts that speak for it most when they stand alone.

    Of a linear model this is its weights with names: n-grams are only known by their hash, so those of real texts are asked.
    """
    times: dict[str, int] = defaultdict(int)
    for text in texts:
        tokens = [word for word in words(normalise(text)) if word and not word.isspace()]
        # Words of Chinese stand without a space, and no phrase goes on behind a comma.
        pairs = [(first, second) for first, second in pairwise(tokens) if _spelled(first) and _spelled(second)]
        joined = (("" if not first.isascii() else " ").join([first, second]) for first, second in pairs)
        for phrase in {*filter(_spelled, tokens), *joined}:
            times[phrase] += 1
    common = sorted((p for p, count in times.items() if count >= LEAST_TIMES), key=lambda p: (-times[p], p))[:PHRASES]
    if not common:
        return []
    given = Rows({column: ["", *common]})
    found: list[dict[str, Any]] = []
    for label in bundle.memory["labels"]:
        values = score(bundle, given, label).values
        gains = values[1:] - values[0]
        best = np.argsort(-gains, kind="stable")[:MOST_WORDS]
        told = [{"word": common[i], "weight": float(gains[i]), "rows": times[common[i]]} for i in best if gains[i] > 0]
        found.append({"label": label, "words": told})
    return found


def _spelled(word: str) -> bool:
    """Whether there is a letter or a digit in it."""
    return any(letter.isalnum() for letter in word)
