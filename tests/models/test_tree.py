"""One small tree: the splits are those of the textbook, the rules say what the network does."""

import re

import numpy as np
import pytest
import torch
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from lingqu.models import Examples, Facts
from lingqu.models.tree import FAMILY, rules

FRONT = {
    "name": "table",
    "numbers": [{"name": "income", "mean": 50.0, "std": 10.0}, {"name": "age", "mean": 40.0, "std": 5.0}],
    "categories": [{"name": "job", "values": ["chef", "nurse", "pilot", "baker"]}],
    "cardinalities": [5],
}


def _fit(arrays, targets, kind="classification", front=FRONT, **settings):
    part = Examples(arrays, targets)
    outputs = 1 if kind == "regression" else int(targets.max()) + 1
    chosen = {**FAMILY.settings("small"), "rows_in_leaf": 5, "gain": 0.0, **settings}
    facts = Facts(outputs, kind, front, len(part))
    return FAMILY.fit(part, part, facts, chosen, seed=0, threads=1, tell=lambda *_: None)


def _answers(network, arrays):
    return network(**{name: torch.from_numpy(array) for name, array in arrays.items()}).numpy()


@pytest.mark.parametrize("kind", ["classification", "regression"])
def test_as_scikit_learn_grows_it(kind):
    draw = np.random.default_rng(0)
    numbers = draw.normal(size=(200, 4)).astype(np.float32)
    score = numbers[:, 0] * numbers[:, 1] + numbers[:, 2] + draw.normal(size=200) / 3
    arrays = {"numbers": numbers, "codes": np.zeros((200, 0), np.int64)}
    targets = np.digitize(score, [-1, 1]) if kind == "classification" else score.astype(np.float32)
    front = {"name": "table", "numbers": [{}] * 4, "categories": [], "cardinalities": []}
    fitted = _fit(arrays, targets, kind, front, depth=4)
    model = (DecisionTreeClassifier if kind == "classification" else DecisionTreeRegressor)(
        max_depth=4, min_samples_leaf=5, random_state=0
    ).fit(numbers, targets)
    assert fitted.settings["depth"] == 4
    answers, leaves = _answers(fitted.network, arrays), model.apply(numbers)
    for leaf in np.unique(leaves):
        rows = leaves == leaf
        expected = targets[rows].mean()
        if kind == "classification":
            expected = np.log((np.bincount(targets[rows], minlength=3) + 1) / (rows.sum() + 3))
        assert np.allclose(answers[rows], expected, atol=1e-5)


def test_rules_say_what_it_does():
    draw = np.random.default_rng(1)
    codes = draw.integers(1, 5, (400, 1))
    numbers = draw.normal(size=(400, 2)).astype(np.float32)
    numbers[draw.random(400) < 0.2, 1] = np.nan
    # Paid: chefs and pilots with an income above 40; of the others those whose age nobody wrote down.
    good = np.isin(codes[:, 0], [1, 3])
    targets = np.where(good, numbers[:, 0] > -1, np.isnan(numbers[:, 1])).astype(np.int64)
    arrays = {"numbers": numbers, "codes": codes}
    network = _fit(arrays, targets, depth=2).network
    told = rules(network, FRONT, ["late", "paid"])
    lines = [re.sub(r" \([\d.]+ of \d+ rows\)$", "", line) for line in told.splitlines()]
    threshold = float(lines[1].split("<= ")[1].split(":")[0])
    assert abs(threshold - 40) < 0.5
    lines[1] = "    if income <= 40: late"
    assert lines == [
        "if job is (unknown) or chef or pilot:",  # a name never seen stands in the middle of the order
        "    if income <= 40: late",
        "    otherwise: paid",
        "otherwise:",
        "    if age is missing: paid",
        "    otherwise: late",
    ]
    assert (_answers(network, arrays).argmax(1) == targets).all()


def test_no_question_is_worth_asking():
    arrays = {"numbers": np.zeros((40, 2), np.float32), "codes": np.ones((40, 1), np.int64)}
    fitted = _fit(arrays, (np.arange(40) % 4 == 0).astype(np.int64))
    assert fitted.settings["nodes"] == 1
    assert rules(fitted.network, FRONT, ["late", "paid"]) == "always: late (0.74 of 40 rows)"


def test_numbers_are_told_in_their_own_units():
    arrays = {"numbers": np.linspace(-1, 1, 40, dtype=np.float32)[:, None], "codes": np.zeros((40, 0), np.int64)}
    front = {**FRONT, "numbers": FRONT["numbers"][:1], "categories": [], "cardinalities": []}
    fitted = _fit(arrays, np.sign(arrays["numbers"][:, 0]), "regression", front, depth=1)
    told = rules(fitted.network, front, mean=100.0, std=20.0)
    assert told == "if income <= 50: 80 (20 rows)\notherwise: 120 (20 rows)"
