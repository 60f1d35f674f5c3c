"""Rows whose label was changed are the ones that are told, in text, tables and pictures."""

from __future__ import annotations

import random

import pytest

from lingqu.contract import Rows
from lingqu.tasks import find_task
from lingqu.train.label_noise import label_noise

KINDS = {"text": "text", "image": "image", "label": "label"}


def changed(rows: Rows, every: int) -> Rows:
    """Every so-manieth label is another one."""
    names = sorted(set(rows["label"]))
    labels = [
        names[(names.index(label) + 1) % len(names)] if i % every == 7 else label
        for i, label in enumerate(rows["label"])
    ]
    return rows.with_columns({"label": labels, "place": [str(i) for i in range(len(rows))]})


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["text-classification", "tabular-classification", "image-classification"])
def test_changed_labels_are_told(name: str) -> None:
    task = find_task(name)
    rows = changed(task.toy(240), 20)
    kinds = {
        n: KINDS.get(n, "number" if isinstance(rows[n][0], float) else "category") for n in rows.names if n != "place"
    }
    found = label_noise(task, rows, kinds, [])
    assert found["level"] == "warning" and found["code"] == "label-noise"
    right = sum(int(row["place"]) % 20 == 7 for row in found["rows"])
    assert right >= 7 and right >= 0.8 * len(found["rows"])
    assert 0.03 < found["share"] < 0.08
    assert found["message"].startswith(f"About {found['share']:.1%} of the labels look wrong (")


def test_groups_stay_in_one_fold_and_few_rows_are_left_alone() -> None:
    task = find_task("text-classification")
    kinds = {"text": "text", "label": "label"}
    assert label_noise(task, task.toy(80), kinds, []) == {}
    # Each wrong row has a twin that is wrong as well: were they in different folds, one would vouch for the other.
    draw = random.Random(0)
    toys = task.toy(120)
    wrong = ["food" if label == "sport" else "sport" for label in toys["label"][:6]]
    rows = Rows({"text": toys["text"] + toys["text"][:6], "label": [*wrong, *toys["label"][6:], *wrong]})
    keys = [*map(str, range(120)), *map(str, range(6))]
    order = draw.sample(range(126), 126)
    found = label_noise(task, rows.take(order), kinds, [keys[i] for i in order])
    assert {row["text"] for row in found["rows"]} <= set(toys["text"][:6])
    assert len(found["rows"]) == 10


def test_numbers_have_no_label_noise() -> None:
    task = find_task("tabular-regression")
    assert label_noise(task, task.toy(120), {"rooms": "number", "town": "category", "target": "number"}, []) == {}
