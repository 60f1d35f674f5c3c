"""A chosen recipe is learned once more with the validation rows, which then have nothing left to decide."""

import numpy as np
import pytest
from training_lab import arrays_for, facts_for

from lingqu.models import Examples, find_family


@pytest.mark.parametrize("name", ["ngram-linear", "logistic", "boosting", "by-hand", "tree"])
def test_given_its_own_choices_a_fit_no_longer_asks_validation_rows(name):
    from lingqu.train.fit import _packed

    family = find_family(name)
    facts = facts_for(family.front, 48)
    packed = [_packed(arrays_for(family.front, 48, seed=seed), family.front) for seed in (0, 1)]
    targets = np.arange(48) % 2
    train, honest, wrong = (Examples(packed[i], y) for i, y in ((0, targets), (1, targets), (1, 1 - targets)))

    def fit(valid, settings):
        settings = {"class_weights": "none", **settings}
        return family.fit(train, valid, facts, settings, seed=0, threads=1, tell=lambda *_: None)

    def weights(fitted):
        return b"".join(value.numpy().tobytes() for value in fitted.network.state_dict().values())

    # With fifty rows and more, folds of the training rows would choose.
    settings = {**family.settings("small"), "bag_above": 10**6, "strengths": [1e-4, 1.0, 100.0], "few": {}}
    first = fit(honest, settings)
    assert first.settings != fit(wrong, settings).settings
    again = fit(wrong, first.settings)
    assert weights(again) == weights(fit(honest, first.settings))
    assert again.settings == first.settings


def test_a_network_of_the_loop_is_not_learned_again(tmp_path):
    from lingqu.contract import Rows
    from lingqu.spec import TrainSettings
    from lingqu.store import Store
    from lingqu.tasks import find_task
    from lingqu.train.rung import relearn

    found = relearn(
        find_task("text-classification"),
        {"recipe": "bilstm"},
        train=Rows({}),
        valid=Rows({}),
        settings=TrainSettings(),
        store=Store.open(tmp_path),
        work=tmp_path,
        tell=lambda *_: None,
    )
    assert found is None
