"""What no model of a spec can do is told before any work, not when its rung begins."""

from __future__ import annotations

from typing import Any

import pytest

from lingqu.contract import Rows
from lingqu.data.label_sets import LabelSetTask
from lingqu.errors import SpecError
from lingqu.loop import check
from lingqu.models import FAMILIES, IN_SHORT, find_family
from lingqu.models.hub import ENCODERS
from lingqu.spec import Spec
from lingqu.stages.check import _misfits
from lingqu.tasks import find_task

NEITHER = (
    "Expected train.augment: auto or none for a model of neither pictures nor tokens, found flip. Remove the line."
)
PRETRAIN = "Expected a model family that can first learn from the texts alone (train.method: pretrain), found"
PICTURES = "Expected an augmentation of pictures (flip, shift, crop, colour, cutout or mixup)"
TABLE, TEXT, IMAGE = "tabular-classification", "text-classification", "image-classification"

# (task, model, train, what is said; None: nothing)
SPECS: list[tuple[str, str, dict[str, Any], str | None]] = [
    (TABLE, "auto", {"augment": ["flip"]}, NEITHER),
    (TABLE, "boosting", {"augment": ["flip"]}, NEITHER),
    (
        TEXT,
        "auto",
        {"augment": ["drop", "flip"]},
        "Expected an augmentation of tokens (drop or swap), found 'flip'. Change train.augment, or leave it to auto.",
    ),
    (TEXT, "textcnn", {"augment": ["drop"]}, None),
    (IMAGE, "cnn", {"augment": ["flip", "shift"]}, None),
    (
        IMAGE,
        "cnn",
        {"augment": ["swap"]},
        f"{PICTURES}, found 'swap'. Change train.augment, or leave it to auto.",
    ),
    (
        TEXT,
        "textcnn",
        {"method": "pretrain"},
        f"{PRETRAIN} textcnn. Write model: transformer, or leave train.method out.",
    ),
    (
        TABLE,
        "tree",
        {"method": "pretrain"},
        f"{PRETRAIN} tree. No model of this task can: leave train.method out.",
    ),
    (TEXT, "transformer", {"method": "pretrain"}, None),
]


@pytest.mark.heavy
@pytest.mark.parametrize(("task", "model", "train", "said"), SPECS, ids=str)
def test_what_no_family_can_do(task: str, model: str, train: dict[str, Any], said: str | None) -> None:
    spec = {"name": "asked", "task": task, "data": {"source": "sklearn:iris"}, "model": model, "train": train}
    if said is None:
        assert check(spec).train.method == train.get("method", "auto")
        return
    with pytest.raises(SpecError) as caught:
        check(spec)
    assert str(caught.value) == said


class TaggedTable(LabelSetTask):
    """A team's own task: rows of a table with any number of labels."""

    name, about, columns = "tagged-table", "Tags of a row.", ()
    fronts, ladder = ("table",), ("mlp",)

    def toy(self, rows: int = 48, seed: int = 0) -> Rows:
        return Rows({"size": [1.0] * rows, "labels": [""] * rows})


@pytest.mark.parametrize(
    ("task", "model", "said"),
    [
        (TABLE, "textcnn", "a model family that reads table, as tabular-classification needs, found 'textcnn', which reads tokens."),
        (TABLE, "linear", "a model family for classification, as tabular-classification needs, found 'linear', which is for regression."),
    ],
)  # fmt: skip
def test_a_family_that_does_not_fit_is_told_before_any_work(task: str, model: str, said: str) -> None:
    spec = {"name": "asked", "task": task, "data": {"source": "sklearn:iris"}, "model": model}
    with pytest.raises(SpecError) as caught:
        check(spec)
    assert str(caught.value) == f"Expected {said} Write model: auto, or model: {find_task(task).ladder[0]}."


def test_trees_learn_no_sets_of_labels() -> None:
    asked = {"name": "a", "task": "tagged-table", "data": {"source": "a.csv"}, "model": ["boosting", "mlp"]}
    (problem,) = _misfits(Spec.model_validate(asked), TaggedTable())
    assert str(problem) == (
        "Expected a model family for multilabel, as tagged-table needs, found 'boosting', which is for classification and "
        "regression. Write model: auto, or model: mlp."
    )


@pytest.mark.heavy
def test_what_is_known_of_a_family_in_short_is_what_it_says() -> None:
    for name, (fronts, kinds) in IN_SHORT.items():
        family = find_family(name)
        assert (set(family.fronts), set(family.kinds)) == (set(fronts), set(kinds)), name
    assert FAMILIES.keys() - IN_SHORT.keys() == set(ENCODERS)


def test_a_search_without_optuna_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from lingqu.errors import MissingPackageError

    monkeypatch.setitem(sys.modules, "optuna", None)
    spec = {"name": "asked", "task": TABLE, "data": {"source": "sklearn:iris"}, "tune": {"trials": 3}}
    with pytest.raises(MissingPackageError) as caught:
        check(spec)
    assert str(caught.value) == (
        "Expected the package optuna for searching over dials (tune.trials), found it not installed. "
        "Run: pip install 'lingqu[tune]'"
    )
    assert check({**spec, "tune": {"trials": 0}}).tune.trials == 0
