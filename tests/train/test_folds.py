"""Where rows are few, every row is judged by a network that never saw it, nor any row of its group."""

import numpy as np
import pytest

from lingqu.spec import TrainSettings
from lingqu.store import Store
from lingqu.tasks import find_task
from lingqu.train.folds import answers_by_fold, folds


def test_a_group_is_never_parted():
    groups = [str(n % 13) for n in range(60)]
    for kept, stop, out in folds(groups, seed=0):
        assert sorted(np.concatenate([kept, stop, out]).tolist()) == list(range(60))
        parts = [{groups[place] for place in part} for part in (kept, stop, out)]
        assert not (parts[0] & parts[1]) and not (parts[0] & parts[2]) and not (parts[1] & parts[2])


@pytest.mark.heavy
def test_labels_without_meaning_are_not_learned_by_heart(tmp_path):
    """In-sample every label would be right; out of fold they are a coin's."""
    task = find_task("tabular-classification")
    rows = task.toy(120)
    coins = [str(coin) for coin in np.random.default_rng(0).integers(0, 2, 120)]
    rows = rows.with_columns({"label": coins})
    answers = answers_by_fold(
        task,
        "boosting",
        rows,
        groups=[str(place) for place in range(120)],
        kinds={name: "number" if isinstance(rows[name][0], float) else "category" for name in rows.names},
        size="tiny",
        settings=TrainSettings(),
        seconds=60.0,
        store=Store.open(tmp_path),
        work=tmp_path,
        tell=lambda *_: None,
    )
    right = sum(answer.label == coin for answer, coin in zip(answers, coins, strict=True))
    assert len(answers) == 120
    assert abs(right - 60) < 3 * np.sqrt(30)
